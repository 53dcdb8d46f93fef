import Engines
import GGUF
import PropertyTesting
import Tokenizers

/// What engines make of texts by the tokenizer of a file, beside what the reference makes of them.
public struct FileTokenization {
    public let texts: [TokenizedText]
    private let path: String
    private let expected: [[Int]?]

    /// - Parameters:
    ///   - path: of the file.
    ///   - texts: those that are made tokens of.
    ///   - reference: the engine that is believed.
    /// - Throws: `Refusal` where the reference does not take the tokenizer.
    public init(path: String, texts: [TokenizedText], reference: any Engine) throws {
        self.path = path
        self.texts = texts
        expected = try reference.tokenize(texts.map(\.input), file: path)
    }

    /// Texts at random, with tokens of the file among them.
    /// - Throws: `GGUFError` where it is no such file.
    public static func texts(_ count: Int, seed: UInt64, for path: String) throws -> [TokenizedText] {
        let metadata = try GGUFFile(path: path).metadata
        let tokens = Tokenization(vocabulary: metadata, texts: []).tokens
        let drawing = TextDrawing(tokens: tokens.isEmpty ? [""] : tokens)
        return try (0..<count).map { number in
            var choices = Choices(seed: seed, stream: UInt64(number))
            return try drawing.draw(&choices)
        }
    }

    /// What an engine makes of the texts that differs, by their numbers. What it does not survive is done again text by
    /// text.
    /// - Throws: `Unsupported`; `Refusal` where it does not take the tokenizer.
    public func differences(by engine: any Engine) throws -> [(text: Int, seen: String)] {
        try stride(from: 0, to: texts.count, by: Self.together).flatMap { start in
            let numbers = start..<min(texts.count, start + Self.together)
            do {
                return try differences(by: engine, numbers)
            } catch is EngineDeath {
                return try numbers.flatMap { number in
                    do {
                        return try differences(by: engine, number..<number + 1)
                    } catch let death as EngineDeath {
                        return [(number, "\(death)")]
                    }
                }
            }
        }
    }

    /// Large vocabularies take longer to read than most texts.
    private static let together = 32

    private func differences(by engine: any Engine, _ numbers: Range<Int>) throws -> [(text: Int, seen: String)] {
        let found = try engine.tokenize(texts[numbers].map(\.input), file: path)
        return zip(numbers, found).compactMap { number, ids in
            guard let right = expected[number], ids != right else { return nil }
            return (number, Trial.difference(ids, right))
        }
    }
}
