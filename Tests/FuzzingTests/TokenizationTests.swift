import Engines
import Foundation
import GGUF
import Inference
import PropertyTesting
import Testing
import Tokenizers

@testable import Fuzzing

@Suite("Tokenizers under test")
struct TokenizationTests {
    private func drawing(_ name: String = "llama") throws -> CaseDrawing {
        try Samples.drawing(name, checks: [.tokenizes])
    }

    private func cases(_ count: UInt64, of name: String = "llama") throws -> [(seed: UInt64, case: Case)] {
        let drawing = try drawing(name)
        return try (0..<count).map { seed in
            var choices = Choices(seed: seed)
            return (seed, try drawing.draw(&choices))
        }
    }

    @Test("are drawn of every kind, with every pre-tokenizer, and with texts of all sorts")
    func features() throws {
        var seen: Set<String> = []
        for (seed, subject) in try cases(1200) {
            #expect(try subject.objection() == nil, "seed \(seed)")
            #expect(subject.flaw(largest: Case.largest()) == nil, "seed \(seed)")
            seen.formUnion(subject.tokenization?.features ?? [])
        }
        #expect(TokenizerCatalog.models.allSatisfy { seen.contains("tokenizer \($0)") })
        let cuts = TokenizerCatalog.preTokenizers.filter { seen.contains("pre-tokenizer \($0)") }
        #expect(cuts.count > TokenizerCatalog.preTokenizers.count * 9 / 10)
        for feature in [
            "tokens of one text", "text that is not UTF-8", "text of more than 4096 bytes",
            "text with special tokens added", "text with special tokens parsed",
        ] { #expect(seen.contains(feature), "\(feature)") }
    }

    @Test("are drawn again by their choices, and read from a file as they were written")
    func roundTrip() throws {
        let drawing = try drawing("bert")
        for seed in 0..<60 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let subject = try drawing.draw(&choices)
            var replayed = Choices(replaying: choices.recording)
            #expect(try drawing.draw(&replayed) == subject, "seed \(seed)")
            let entry = CorpusEntry(
                case: subject,
                signature: Signature(check: .tokenizes, device: "cpu", architecture: "bert", stage: "", kind: ""),
                seen: "", found: .init(seed: seed, index: 0, version: "1"))
            try withTemporaryFolder { folder in
                try entry.write(to: folder + "/x.json")
                #expect(try CorpusEntry(path: folder + "/x.json") == entry, "seed \(seed)")
            }
        }
    }

    @Test("are survived by this program's own engine")
    func builtin() throws {
        let judge = Judge(EngineSet(Toy.engine()))
        for (seed, subject) in try cases(150) {
            for verdict in judge.judge(subject) where verdict.device == "cpu" {
                #expect(verdict.outcome == .passed, "seed \(seed)")
            }
        }
    }

    // MARK: Files

    private func text(_ json: String) throws -> TokenizedText {
        try JSONText.decode(TokenizedText.self, from: Data(json.utf8))
    }

    @Test("have texts that a person reads")
    func pieces() throws {
        let text = TokenizedText(
            [.init("é\u{0}"), .init("ab", times: 3), .init([0xC3]), .init([0xFF, 0x00], times: 2)], addSpecial: true)
        let json = try JSONText.encode(text)
        let expected = #"["é\u0000", {"text": "ab", "times": 3}, {"hex": "C3"}, {"hex": "FF00", "times": 2}]"#
        #expect(json.contains(expected), "\(json)")
        #expect(try self.text(json) == text)
        #expect(text.bytes == Array("é\u{0}ababab".utf8) + [0xC3, 0xFF, 0, 0xFF, 0])
        #expect(!text.isUTF8 && text.length == text.bytes.count)
    }

    @Test("have no texts that nobody could give", arguments: [
        #"{"pieces": [{"text": "a", "times": 0}]}"#, #"{"pieces": [{"text": "a", "times": -1}]}"#,
        #"{"pieces": [{"text": "a", "times": 1048577}]}"#, #"{"pieces": [{"hex": "C"}]}"#,
        #"{"pieces": [{"hex": "+1"}]}"#, #"{"pieces": [{"hex": "zz"}]}"#, #"{"pieces": [{"hex": "41", "text": "A"}]}"#,
        #"{"pieces": [{"times": 2}]}"#, #"{"pieces": [1]}"#, #"{"pieces": [{"text": "a", "tims": 2}]}"#, "{}",
    ])
    func malformed(_ json: String) { #expect(throws: DecodingError.self) { try text(json) } }

    @Test("are no case where there are no texts, too long ones, or keys of the model")
    func flaws() throws {
        var subject = try #require(try cases(1).first?.case)
        subject.tokenization?.texts = [.init([.init("ab", times: 1 << 20)])]
        #expect(try subject.objection() == "tokenization.texts[0].pieces: are longer than 1048576 bytes")
        subject.tokenization?.texts = []
        #expect(try subject.objection() == "tokenization.texts: there are none")
        subject.tokenization?.texts = [.init([])]
        subject.tokenization?.vocabulary["llama.block_count"] = 7
        #expect(try subject.objection() == "tokenization.vocabulary: llama.block_count: is no key of a tokenizer")
        subject.tokenization = nil
        #expect(subject.flaw(largest: Case.largest()) == "tokenization: is missing")
    }

    // MARK: Verdicts

    /// An engine that makes of tokens what it is told to.
    private final class TokenEngine: Engine {
        typealias Change = ([TokenizerInput], () throws -> [[Int]?]) throws -> [[Int]?]
        let name = "tokens"
        var devices: [EngineDevice] { builtin.devices.filter { $0.name == "cpu" } }
        let refusesOnlyInvalid: Bool
        let traits: EngineTraits
        private let builtin = Toy.engine()
        private let change: Change

        init(refusesOnlyInvalid: Bool = false, tokenizes: Bool? = true, _ change: @escaping Change) {
            self.refusesOnlyInvalid = refusesOnlyInvalid
            traits = EngineTraits(tokenizes: tokenizes)
            self.change = change
        }

        func load(_ source: any TensorSource) throws -> any EngineModel { try builtin.load(source) }
        func load(file path: String) throws -> any EngineModel { try builtin.load(file: path) }
        func tokenize(_ inputs: [TokenizerInput], file path: String) throws -> [[Int]?] {
            try change(inputs) { try builtin.tokenize(inputs, file: path) }
        }
    }

    private static let vocabulary: Metadata = [
        TokenizerKey.model: "gpt2", TokenizerKey.pre: "gpt-2", TokenizerKey.merges: .array(.string(["a b"])),
        TokenizerKey.tokens: .array(.string(["a", "b", "ab", "c"])),
    ]

    private func outcome(
        _ engine: TokenEngine, _ bytes: [UInt8] = Array("abc".utf8),
        _ vocabulary: Metadata = TokenizationTests.vocabulary
    ) -> Verdict.Outcome {
        var subject = Toy.subject(.tokenizes, [])
        subject.tokenization = Tokenization(vocabulary: vocabulary, texts: [.init([.init(bytes)])])
        return Judge(EngineSet(oracle: Toy.engine(), engines: [engine])).judge(subject)[0].outcome
    }

    private func failure(_ outcome: Verdict.Outcome) -> Failure? {
        if case .failed(let failure) = outcome { failure } else { nil }
    }

    @Test("pass with the reference's tokens, and fail with others")
    func tokens() {
        #expect(outcome(TokenEngine { try $1() }) == .passed)
        let other = failure(outcome(TokenEngine { _, _ in [[0, 1, 3]] }))
        #expect(other?.signature.kind == "other tokens by gpt2 gpt-2" && other?.signature.stage == "tokenize")
        #expect(other?.seen == "text 0: from token 0 on 0 1 3 of 3, expected 2 3 of 2")
        #expect(failure(outcome(TokenEngine { _, _ in [nil] }))?.seen == "text 0: no tokens, expected 2")
        let none = failure(outcome(TokenEngine { _, _ in [[2, 4]] }))
        #expect(none?.signature.kind == "no token by gpt2 gpt-2" && none?.seen == "text 0: 4 is none of the 4 tokens")
    }

    @Test("may do as they like with what is no text, and with a vocabulary that the reference refuses")
    func unjudged() {
        #expect(outcome(TokenEngine { _, _ in [[3]] }, [0xFF]) == .passed)
        var damaged = Self.vocabulary
        damaged[TokenizerKey.tokens] = .array(.string(["a", "b", "a", "c"]))
        #expect(outcome(TokenEngine { _, _ in [[3]] }, [0x61], damaged) == .passed)
        #expect(outcome(TokenEngine { _, _ in throw Refusal("twice") }, [0x61], damaged) == .passed)
        let death = failure(outcome(TokenEngine { _, _ in throw EngineDeath(.signal(11, "SIGSEGV")) }, [0x61], damaged))
        #expect(death?.signature.kind == "SIGSEGV")
    }

    @Test("may refuse a vocabulary only where that can mean something else than that it is invalid")
    func refusals() {
        #expect(outcome(TokenEngine { _, _ in throw Refusal("no") }) == .discarded("unsupported: no"))
        let refused = failure(outcome(TokenEngine(refusesOnlyInvalid: true) { _, _ in throw Refusal("no") }))
        #expect(refused?.signature.kind == "refused")
        #expect(outcome(TokenEngine(tokenizes: nil) { try $1() }) == .discarded("unsupported: tokenizers"))
    }

    // MARK: Shrinking

    @Test("that fail are cut down to the characters and tokens that matter")
    func shrinking() throws {
        let engine = TokenEngine { inputs, tokens in
            if inputs.contains(where: { $0.addSpecial && $0.bytes.count(where: { $0 == 0x20 }) > 2 }) {
                throw EngineDeath(.signal(11, "SIGSEGV"))
            }
            return try tokens()
        }
        let judge = Judge(EngineSet(oracle: Toy.engine(), engines: [engine]))
        let drawn = try cases(400).map(\.case)
        let (subject, failure) = try #require(
            drawn.lazy.compactMap { subject -> (Case, Failure)? in
                guard let tokenization = subject.tokenization, tokenization.texts.count > 1,
                    let failure = judge.judge(subject).compactMap(\.failure).first
                else { return nil }
                return (subject, failure)
            }.first)
        let shrunk = try #require(CaseShrinker(try drawing(), judge, budget: 1500).shrink(subject, failure))
        let tokenization = try #require(shrunk.case.tokenization)
        #expect(tokenization.texts.count == 1 && tokenization.texts[0].bytes == [0x20, 0x20, 0x20])
        #expect(tokenization.texts[0].addSpecial && !tokenization.texts[0].parseSpecial)
        #expect(tokenization.tokens.isEmpty && tokenization.vocabulary.isEmpty, "\(tokenization.vocabulary.keys)")
    }

    @Test("keep what they say of a token by its number when others go")
    func removal() throws {
        let number = "\(TokenizerKey.prefix)bos_token_id"
        var vocabulary = Self.vocabulary
        vocabulary[number] = .uint32(3)
        let engine = TokenEngine { inputs, tokens in
            let ids = try tokens()
            // Where the text begins with the token that does not belong to it.
            if let first = ids.first??.first, first != 0, inputs[0].addSpecial { throw EngineDeath(.exit(1)) }
            return ids
        }
        vocabulary[TokenizerKey.addsBeginning] = true
        var subject = Toy.subject(.tokenizes, [])
        subject.tokenization = Tokenization(
            vocabulary: vocabulary, texts: [.init([.init("ab")], addSpecial: true)])
        let judge = Judge(EngineSet(oracle: Toy.engine(), engines: [engine]))
        let failure = try #require(judge.judge(subject)[0].failure)
        let shrunk = try #require(CaseShrinker(try drawing(), judge).shrink(subject, failure)?.case.tokenization)
        #expect(shrunk.tokens.count == 2 && shrunk.vocabulary[number] == .uint32(1))
        #expect(shrunk.texts == [.init([], addSpecial: true)])
    }
}
