import Engines
import GGUF
import Inference

extension Trial {
    /// Texts have the tokens that the reference's tokenizer gives them, or the tokenizer is refused. Where the
    /// reference has none, for a damaged vocabulary or what is no text, the engine does as it likes, and lives.
    mutating func expectTokens(of engine: any Engine) throws {
        guard let tokenization = subject.tokenization else { throw Discard(reason: "no tokenization") }
        guard engine.traits.tokenizes == true else { throw Unsupported("tokenizers") }
        stage = "tokenize"
        let inputs = tokenization.texts.map(\.input)
        let file = try TemporaryFile(bytes: loaded.source().bytesOfFile())
        try withExtendedLifetime(file) {
            let expected = try expectedTokens(inputs, file)
            let found: [[Int]?]
            do {
                let needed = Self.tokenizingMemory(inputs)
                found = try engine.limitingMemory(to: needed) {
                    try survive { try engine.tokenize(inputs, file: file.path) }
                }
            } catch let refusal as Refusal {
                guard expected != nil else { return }
                guard refusesOnlyInvalid else { throw Discard(reason: "unsupported: \(refusal.reason)") }
                throw Wrong(stage: stage, kind: "refused", seen: refusal.reason)
            }
            let count = tokenization.tokens.count
            for (number, ids) in found.enumerated() {
                if let id = ids?.first(where: { !(0..<count).contains($0) }) {
                    throw Wrong(
                        stage: stage, kind: "no token by \(tokenization.kind)",
                        seen: "text \(number): \(id) is none of the \(count) tokens")
                }
                guard let right = expected?[number] ?? nil, ids != right else { continue }
                throw Wrong(
                    stage: stage, kind: "other tokens by \(tokenization.kind)",
                    seen: "text \(number): " + Self.difference(ids, right))
            }
        }
    }

    /// What an engine may need for texts, in bytes: its libraries, which it may not have loaded yet, and for each byte
    /// of a text what its character, its place among pairs and its token take.
    private static func tokenizingMemory(_ inputs: [TokenizerInput]) -> Int {
        (512 << 20) + 1024 * inputs.reduce(0) { $0 + $1.bytes.count }
    }

    /// The reference's; nil where it refuses the tokenizer.
    private func expectedTokens(_ inputs: [TokenizerInput], _ file: TemporaryFile) throws -> [[Int]?]? {
        do {
            return try engines.oracle.tokenize(inputs, file: file.path)
        } catch is Refusal {
            return nil
        } catch let death as EngineDeath {
            if case .stopped = death.cause { throw Discard(reason: Verdict.stopped) }
            throw Wrong(
                stage: EngineSet.reference, kind: "error", seen: "the reference failed: \(death)", frames: death.frames)
        }
    }

    /// Where tokens are not as expected, for a person.
    static func difference(_ found: [Int]?, _ expected: [Int]) -> String {
        guard let found else { return "no tokens, expected \(expected.count)" }
        let place = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? min(found.count, expected.count)
        func words(_ ids: [Int]) -> String {
            let shown = ids.dropFirst(place).prefix(6).map(String.init).joined(separator: " ")
            return "\(shown.isEmpty ? "nothing" : shown) of \(ids.count)"
        }
        return "from token \(place) on \(words(found)), expected \(words(expected))"
    }
}
