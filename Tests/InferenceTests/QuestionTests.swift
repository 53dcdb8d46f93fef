import Architectures
import Devices
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@testable import Inference

@Suite("Decisions on questions")
struct QuestionTests {
    /// Orders as letters: `n`, `c`, `s` of questions, `o` of options, `-` of nothing.
    private func prompt(_ orders: String, ids: [Int]? = nil) -> Batch {
        let letters: [Character: DecisionOrder] = ["n": .noul, "c": .choice, "s": .score, "o": .option]
        return Batch(orders.enumerated().map { index, letter in
            Batch.Token(id: ids?[index] ?? index, position: index, order: letters[letter] ?? .none)
        })
    }

    private func scores(_ session: Session, _ batch: Batch) throws -> [Double] {
        let rows = try #require(try session.process(batch).embeddings)
        #expect(rows.width == 1 && rows.keys == Array(0..<rows.keys.count))
        return rows.keys.indices.flatMap(rows.row(at:))
    }

    @Test("runs of one order are texts, and an option is the last question's", arguments: [
        ("no", [0..<1], [[1..<2]]), ("--nnoo-ooo-", [2..<4], [[4..<6, 7..<10]]),
        ("co-oso", [0..<1, 4..<5], [[1..<2, 3..<4], [5..<6]]), ("nono", [0..<1, 2..<3], [[1..<2], [3..<4]]),
    ])
    func texts(_ orders: String, _ questions: [Range<Int>], _ options: [[Range<Int>]]) throws {
        let found = try Questions(prompt(orders).tokens)
        #expect(found.all.map(\.text) == questions)
        #expect(found.all.map(\.options) == options)
    }

    @Test("a prompt without a question, a question without an option, and an option of none are refused", arguments: [
        "-", "---", "n", "n-", "non", "ncoo", "o", "-ono",
    ])
    func nothingToDecide(_ orders: String) throws {
        let session = try Toy(architecture: Clef.self, seed: 1).model().session()
        #expect(throws: SessionError.self) { try session.process(prompt(orders)) }
    }

    @Test("a prompt of two sequences is refused, and questions to a model that does not decide")
    func otherPrompts() throws {
        var batch = prompt("no")
        batch.tokens[1] = .init(id: 0, position: 0, sequences: [1], order: .option)
        let session = try Toy(architecture: Clef.self, seed: 1).model().session()
        #expect(throws: SessionError.self) { try session.process(batch) }
        let other = try Toy(architecture: Llama.self, seed: 1).model().session()
        #expect(throws: SessionError.self) { try other.process(prompt("no")) }
    }

    @Test("each option has a score, and nothing is kept from one prompt to the next", arguments: 0..<4 as Range<UInt64>)
    func everyOption(_ seed: UInt64) throws {
        let model = try Toy(architecture: Clef.self, seed: seed).model()
        let session = try model.session()
        let batch = prompt("-cc-o-oo-noo-o--")
        let first = try scores(session, batch)
        #expect(first.count == 4 && Set(first).count == 4 && first.allSatisfy(\.isFinite))
        _ = try scores(session, prompt("soo"))
        #expect(try scores(session, batch) == first)
    }

    @Test("scores depend on kinds, on other questions, on texts and on the end of the prompt")
    func dependences() throws {
        let session = try Toy(architecture: Clef.self, seed: 1).model().session()
        func scores(_ orders: String, _ ids: [Int]) throws -> [Double] {
            try self.scores(session, prompt(orders, ids: ids))
        }
        let plain = try scores("no-no-", [1, 2, 3, 4, 5, 6])
        #expect(try scores("so-no-", [1, 2, 3, 4, 5, 6])[0] != plain[0])
        for changed in [0, 1, 3, 4, 5] {
            var ids = [1, 2, 3, 4, 5, 6]
            ids[changed] = 9
            #expect(try scores("no-no-", ids)[0] != plain[0], "token \(changed)")
        }
        // Two options, one of which was the other question's.
        #expect(try scores("no-ooo", [1, 2, 3, 4, 5, 6]).count == 2)
    }

    @Test("of equal options each has the score of the other where no text tells them apart")
    func equalOptions() throws {
        // Without layers that see what comes before, a token is what it is wherever it stands.
        var metadata = try Toy(architecture: Clef.self, seed: 0).drawn().metadata
        metadata["clef.decision.routing_block_count"] = .uint32(0)
        metadata["clef.decision.block_count"] = .uint32(1)
        let recipe = WeightRecipe(
            seed: 3, rules: [.init(pattern: #".*(attn_output|ssm_out)\.weight"#, distribution: .constant(value: 0))])
        let session = try Model(MemorySource(metadata, optional: .none, recipe: recipe)).session()
        let found = try scores(session, prompt("co-o-o", ids: [1, 7, 2, 7, 3, 8]))
        #expect(abs(found[0] - found[1]) < 1e-6 && abs(found[0] - found[2]) > 1e-4)
    }
}
