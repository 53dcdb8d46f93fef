/// The keys of a tokenizer; those of the vocabulary's special tokens are in `SpecialIDs`.
package enum TokenizerKey {
    package static let prefix = "tokenizer.ggml."
    package static let model = prefix + "model"
    package static let pre = prefix + "pre"
    package static let tokens = prefix + "tokens"
    package static let types = prefix + "token_type"
    package static let scores = prefix + "scores"
    package static let merges = prefix + "merges"
    package static let addsBeginning = prefix + "add_bos_token"
    package static let addsEnd = prefix + "add_eos_token"
    package static let addsSpacePrefix = prefix + "add_space_prefix"
    package static let removesExtraSpaces = prefix + "remove_extra_whitespaces"
    package static let characterMap = prefix + "precompiled_charsmap"
    package static let lowercases = prefix + "normalizer.lowercase"
    package static let stripsAccents = prefix + "normalizer.strip_accents"
}
