import FuzzTarget
import GGUF

@testable import Tokenizers

/// Tokenizers of every kind, made from any metadata and given any text: the ids are those of tokens.
@main
struct Target: FuzzTarget {
    private let models = TokenizerCatalog.models
    private let preTokenizers = TokenizerCatalog.preTokenizers
    private let scores: [Float] = (0..<248).map { -Float($0) / 8 } + [
        .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0,
        1e4,
    ]
    private let flags = [
        TokenizerKey.addsBeginning, TokenizerKey.addsEnd, TokenizerKey.addsSpacePrefix,
        TokenizerKey.removesExtraSpaces, TokenizerKey.lowercases, TokenizerKey.stripsAccents,
    ]
    private let ids = [
        SpecialIDs.beginningKey, SpecialIDs.endKey, SpecialIDs.unknownKey, SpecialIDs.separatorKey,
        "tokenizer.ggml.eot_token_id",
    ]
    /// What takes the place of a value, if anything does.
    private let others: [MetadataValue?] = [
        nil, nil, nil, nil, nil, nil, 1, "", .bool(true), .int64(-1), .uint64(.max), .float32(.nan),
        .array(.string([])), .array(.int32([1])), .array(.uint8([0])), .array(.array([])),
    ]

    func read(_ input: [UInt8]) throws {
        var fields = Fields(input)
        var metadata: Metadata = [
            TokenizerKey.model: .string(fields.element(of: models)),
            TokenizerKey.pre: .string(fields.element(of: preTokenizers)),
        ]
        for key in flags {
            if let flag = fields.element(of: [nil, false, true]) { metadata[key] = .bool(flag) }
        }
        for key in ids {
            let id = fields.byte()
            if id > 0 { metadata[key] = .uint32(UInt32(id) - 1) }
        }
        let other = fields.element(of: others), replaced = fields.byte()
        let tokens = fields.texts()
        metadata[TokenizerKey.tokens] = .array(.string(tokens))
        metadata[TokenizerKey.types] = .array(.int32(fields.bytes().map(Int32.init)))
        metadata[TokenizerKey.scores] = .array(.float32(fields.bytes().map { scores[Int($0)] }))
        for key in [TokenizerKey.types, TokenizerKey.scores] where metadata.array(key)?.isEmpty == true {
            metadata[key] = nil
        }
        metadata[TokenizerKey.merges] = .array(.string(fields.texts()))
        for key in ["general.name", "general.architecture"] { metadata[key] = .string(fields.text()) }
        let text = fields.text()
        let map = fields.remainder()
        if !map.isEmpty { metadata[TokenizerKey.characterMap] = .array(.uint8(map)) }
        if let other { metadata[metadata.keys[Int(replaced) % metadata.count]] = other }

        let tokenizer = try Tokenizer(metadata)
        for isSpecial in [false, true] {
            let ids = try tokenizer.encode(text, addSpecial: isSpecial, parseSpecial: isSpecial)
            expect(ids.allSatisfy(tokens.indices.contains), "an id of no token")
        }
    }

    var seeds: [[UInt8]] {
        let vocabularies = preTokenizers.map { bytePair($0) } + [
            sentencePiece(), wordPiece(), unigram(), plamo2(),
            metadata("rwkv", normal("a", "\\x41", "\\n", "ab", " "), ["unknown_token_id": 0]),
            metadata("test", normal("a", "b")),
        ]
        return vocabularies.map(input)
    }

    /// The input that has this metadata.
    private func input(_ metadata: Metadata) -> [UInt8] {
        var writer = FieldWriter()
        writer.append(metadata.string(TokenizerKey.model) ?? "", of: models)
        writer.append(metadata.string(TokenizerKey.pre) ?? "", of: preTokenizers)
        for key in flags { writer.append(metadata.bool(key), of: [nil, false, true]) }
        for key in ids { writer.append(byte: metadata.integer(key).map { UInt8(truncatingIfNeeded: $0 + 1) } ?? 0) }
        writer.append(nil, of: others)
        writer.append(byte: 0)
        func strings(_ key: String) -> [String] { metadata.array(key)?.elements.compactMap(\.string) ?? [] }
        writer.append(strings(TokenizerKey.tokens))
        writer.append(metadata.array(TokenizerKey.types)?.elements.map { UInt8($0.integer ?? 0) } ?? [])
        writer.append(
            metadata.array(TokenizerKey.scores)?.elements.map { score in
                UInt8(scores.firstIndex { Double($0) == score.double } ?? 0)
            } ?? [])
        writer.append(strings(TokenizerKey.merges))
        for _ in 0..<2 { writer.append("") }
        writer.append("hello 1234 ab\u{E9}\n <u>x \u{4E2D}")
        return writer.input
    }
}
