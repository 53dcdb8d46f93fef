import GGUF
import Inference
import Tokenizers

extension Damage.Kind {
    static let ofTokenizers: [Damage.Kind] = [
        .tokenizerModel, .tokenizerPattern, .tokenizerLength, .tokenizerType, .tokenizerElement, .specialToken,
        .characterTable,
    ]
}

/// A tokenizer that contradicts itself or its model. Who only computes need not look at it.
extension Damage.Declaration {
    private static func ofTokenizer(
        _ words: String, _ places: @escaping (FileDraft) -> [Damage.Place] = { _ in [.file] },
        values: @escaping (FileDraft, Damage.Place) -> [MetadataValue?],
        apply: @escaping (inout FileDraft, Damage.Place, MetadataValue) -> Void
    ) -> Self {
        structure(
            words, { places($0.draft.withTokenizer) },
            values: { layout, place in values(layout.draft.withTokenizer, place) },
            meaning: { _, _ in .sameOrNothing },
            apply: { draft, damage in
                draft = draft.withTokenizer
                if let value = damage.value { apply(&draft, damage.place, value) }
            })
    }

    static var tokenizerModel: Self {
        let models: [MetadataValue] = [
            "gpt2", "bert", "t5", "rwkv", "plamo2", "hybriddna", "whitespace", "gemma4", "none", "x", "", .uint32(1),
        ]
        return ofTokenizer("tokenizer", values: { _, _ in models }) { draft, _, model in
            draft[key: TokenizerKey.model] = model
        }
    }

    static var tokenizerPattern: Self {
        let patterns: [MetadataValue] = ["default", "llama-bpe", "gpt-4o", "x", "", .uint32(1)]
        return ofTokenizer("tokenizer of byte pairs with pattern", values: { _, _ in patterns }) { draft, _, pattern in
            draft.useBytePairs()
            draft[key: TokenizerKey.pre] = pattern
        }
    }

    /// The arrays of a tokenizer, which are as long as each other.
    private static func arrays(_ draft: FileDraft) -> [Damage.Place] {
        [TokenizerKey.tokens, TokenizerKey.scores, TokenizerKey.types, TokenizerKey.merges].map { Damage.Place($0) }
    }

    static var tokenizerLength: Self {
        ofTokenizer(
            "length of", arrays,
            values: { draft, place in
                guard let count = draft.tokenizerArray(place.subject)?.count, count > 0 else { return [] }
                return [count - 1, count + 1, 0, 1, 2 * count].filter { $0 != count }.uniqued
                    .map { .uint64(UInt64($0)) }
            },
            apply: { draft, place, count in
                guard let key = place.subject, let array = draft.useTokenizerArray(key), let count = count.integer
                else { return }
                let elements = (0..<count).map { array[$0 % array.count] }
                draft[key: key] = MetadataArray(elements, of: array.elementKind).map { .array($0) }
            })
    }

    static var tokenizerType: Self {
        let types: [MetadataArray] = [
            .string(["x"]), .int32([1]), .uint8([1]), .float32([1]), .float64([1]), .bool([true]), .array([.uint8([])]),
        ]
        let names = types.map { MetadataValue.string("\($0.elementKind)") } + ["scalar"]
        return ofTokenizer(
            "type of the elements of", arrays,
            values: { draft, place in
                guard let array = draft.tokenizerArray(place.subject), !array.isEmpty else { return [] }
                return names.filter { $0.string != "\(array.elementKind)" }
            },
            apply: { draft, place, name in
                guard let key = place.subject, let array = draft.useTokenizerArray(key) else { return }
                let type = types.first { "\($0.elementKind)" == name.string }
                let repeated = type.flatMap { MetadataArray(Array(repeating: $0[0], count: array.count)) }
                draft[key: key] = repeated.map { .array($0) } ?? .uint32(1)
            })
    }

    static var tokenizerElement: Self {
        let texts: [MetadataValue] = [
            "", " ", "\u{0}", .string(String(repeating: "x", count: 300)), "<0x", "<0xZZ>", "<0x41>", "<1>", "▁",
        ]
        let values: [String: [MetadataValue]] = [
            TokenizerKey.tokens: texts,
            TokenizerKey.scores: [.float32(.nan), .float32(.infinity), .float32(-.infinity)],
            TokenizerKey.types: [0, -1, 7, .min, .max].map { .int32($0) },
            TokenizerKey.merges: ["", " ", "x", "x ", " x", "x y z", "<1> <0>"],
        ]
        return ofTokenizer(
            "element of",
            { draft in
                arrays(draft).flatMap { place -> [Damage.Place] in
                    guard let count = draft.tokenizerArray(place.subject)?.count, count > 0 else { return [] }
                    return [0, count - 1].uniqued.map { Damage.Place(place.subject, $0) }
                }
            },
            values: { draft, place in
                let kind = draft.tokenizerArray(place.subject)?.elementKind
                return place.subject.flatMap { values[$0] }?.filter { $0.kind == kind } ?? []
            },
            apply: { draft, place, value in
                guard let key = place.subject, let index = place.element, let array = draft.useTokenizerArray(key)
                else { return }
                var elements = array.elements
                elements[index] = value
                draft[key: key] = MetadataArray(elements).map { .array($0) }
            })
    }

    static var specialToken: Self {
        let names = [
            "bos", "eos", "unknown", "seperator", "padding", "mask", "cls", "eot", "eom", "prefix", "suffix", "middle",
            "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep",
        ]
        return ofTokenizer(
            "number of", { _ in names.map { Damage.Place("\(TokenizerKey.prefix)\($0)_token_id") } },
            values: { draft, _ in
                [.uint32(UInt32(draft.vocabulary)), .uint32(.max), .int32(-1), .uint32(1 << 31), "x"]
            },
            apply: { draft, place, value in place.subject.map { draft[key: $0] = value } })
    }

    static var characterTable: Self {
        // The length of a trie, the trie, and what it leads to.
        let tables: [[UInt8]] = [
            [], [0], [0, 0, 0, 0], [255, 255, 255, 255], [4, 0, 0, 0], [4, 0, 0, 0, 255, 255, 255, 255],
            [4, 0, 0, 0, 0, 0, 0, 0, 65], [3, 0, 0, 0, 1, 2, 3, 0],
        ]
        return ofTokenizer("table of characters", values: { _, _ in tables.map { .array(.uint8($0)) } }) {
            draft, _, table in
            draft[key: TokenizerKey.model] = "t5"
            draft[key: TokenizerKey.characterMap] = table
        }
    }
}

extension FileDraft {
    /// The same, with the toys' tokenizer where it has none.
    fileprivate var withTokenizer: FileDraft {
        guard self[key: TokenizerKey.tokens] == nil else { return self }
        var result = self
        for (key, value) in ToyTokenizer.added(to: Metadata(), vocabulary: vocabulary) { result[key: key] = value }
        return result
    }

    /// What the tokenizer has as an array, or would have.
    fileprivate func tokenizerArray(_ key: String?) -> MetadataArray? {
        guard let key else { return nil }
        if case .array(let array)? = self[key: key] { return array }
        return key == TokenizerKey.merges ? .string(["<0> <1>"]) : nil
    }

    /// The same, which it has then.
    fileprivate mutating func useTokenizerArray(_ key: String) -> MetadataArray? {
        if key == TokenizerKey.merges { useBytePairs() }
        return tokenizerArray(key)
    }

    fileprivate mutating func useBytePairs() {
        self[key: TokenizerKey.model] = "gpt2"
        if self[key: TokenizerKey.merges] == nil {
            self[key: TokenizerKey.merges] = tokenizerArray(TokenizerKey.merges).map { .array($0) }
        }
    }
}
