import Architectures
import Engines
import Inference
import Testing

@testable import Fuzzing

@Suite("Histories")
struct HistoryTests {
    /// Tokens as `id@position`.
    private func tokens(_ plain: History.Plain) -> [String] {
        plain.script.steps.flatMap { step -> [String] in
            switch step {
            case .process(let batch): batch.tokens.map { "\($0.id)@\($0.position)" }
            case .encode(let batch): batch.tokens.map { "encode \($0.id)@\($0.position)" }
            default: ["?"]
            }
        }
    }

    /// Rows as `key: step.row`.
    private func rows(_ plain: History.Plain) -> [String] {
        plain.rows.sorted { ($0.step, $0.original) < ($1.step, $1.original) }.map {
            "\($0.key): \($0.step).\($0.original)"
        }
    }

    private func history(_ steps: [Step], sequences: Int = 2) throws -> [History.Plain] {
        History(
            Script(placement: Placement("cpu"), options: .init(sequences: sequences), steps: steps), try Toy.traits()
        ).plain
    }

    @Test("chunks of a sequence are one batch")
    func chunks() throws {
        let plain = try history([
            .process(Batch([5, 6])), .process(Batch([7], from: 2)), .process(Batch([8, 9], from: 3)),
        ])
        #expect(plain.map(tokens) == [["5@0", "6@1", "7@2", "8@3", "9@4"]])
        #expect(plain.map(rows) == [["0: 0.0", "1: 0.1", "2: 1.0", "3: 2.0", "4: 2.1"]])
        #expect(plain[0].script.options.sequences == 1 && plain[0].script.options.microBatch == 64)
    }

    @Test("sequences are apart, unless one begins as another does")
    func sharedPrefixes() throws {
        let plain = try history([
            .process(Batch([1, 2])), .process(Batch([1, 2, 3], sequence: 1)), .process(Batch([4], from: 2)),
        ])
        #expect(Set(plain.map(tokens)) == [["1@0", "2@1", "3@2"], ["1@0", "2@1", "4@2"]])
        // The outputs of both go to whichever has them.
        #expect(plain.flatMap(rows).sorted() == ["0: 0.0", "0: 1.0", "1: 0.1", "1: 1.1", "2: 1.2", "2: 2.0"])
    }

    @Test("tokens of several sequences count for each of them")
    func sharedTokens() throws {
        let shared = Batch([.init(id: 1, position: 0, sequences: [0, 1])])
        let plain = try history([
            .process(shared), .process(Batch([2], from: 1, sequence: 1)), .process(Batch([3], from: 1)),
        ])
        #expect(Set(plain.map(tokens)) == [["1@0", "2@1"], ["1@0", "3@1"]])
    }

    @Test("a copy goes on as what it is a copy of; what is removed has never been")
    func copiesAndRemovals() throws {
        let plain = try history([
            .process(Batch([1, 2])), .copy(source: 0, destination: 1), .process(Batch([3], from: 2, sequence: 1)),
            .remove(sequence: 0, from: 1, to: nil), .process(Batch([4], from: 1)),
        ])
        #expect(plain.map(tokens) == [["1@0", "2@1", "3@2"], ["1@0", "4@1"]])
        #expect(plain.map(rows) == [["0: 0.0", "1: 0.1", "2: 2.0"], ["1: 4.0"]])
    }

    @Test("what is restored goes on from where it was saved")
    func restores() throws {
        let whole = try history([
            .process(Batch([1, 2])), .save(sequence: nil), .process(Batch([3], from: 2)), .restore(sequence: nil),
            .process(Batch([4], from: 2)),
        ])
        #expect(whole.map(tokens) == [["1@0", "2@1", "3@2"], ["1@0", "2@1", "4@2"]])

        let one = try history([
            .process(Batch([1, 2])), .save(sequence: 0), .clear, .process(Batch([8], sequence: 1)),
            .restore(sequence: 1),
            .process(Batch([3], from: 2, sequence: 1)),
        ])
        #expect(one.map(tokens) == [["1@0", "2@1", "3@2"], ["8@0"]])
    }

    @Test("a shifted sequence is one that has always been there")
    func shifts() throws {
        let plain = try history([
            .process(Batch([1, 2])), .shift(sequence: 0, from: 0, by: 3), .process(Batch([3], from: 5)),
        ])
        #expect(plain.map(tokens) == [["1@3", "2@4", "3@5"], ["1@0", "2@1"]])
        #expect(plain.map(rows) == [["2: 2.0"], ["0: 0.0", "1: 0.1"]])
    }

    @Test("outputs that nobody wants are not compared")
    func unwanted() throws {
        var batch = Batch([1, 2, 3])
        batch.tokens[1].wantsOutput = false
        #expect(try history([.process(batch)]).map(rows) == [["0: 0.0", "2: 0.2"]])
        for index in batch.tokens.indices { batch.tokens[index].wantsOutput = false }
        #expect(try history([.process(batch)]).isEmpty)
    }

    @Test("a decoder's are with what its encoder has read of the same sequence")
    func encoders() throws {
        let traits = try Toy.traits(Toy.simplest("t5"))
        let source = Batch([
            .init(id: 7, position: 0, sequences: [0]), .init(id: 8, position: 0, sequences: [1]),
            .init(id: 9, position: 1, sequences: [1]),
        ])
        let script = Script(
            placement: Placement("cpu"), options: .init(sequences: 2),
            steps: [.encode(source), .process(Batch([1])), .process(Batch([1], sequence: 1))])
        #expect(
            Set(History(script, traits).plain.map(tokens)) == [
                ["encode 7@0", "1@0"], ["encode 8@0", "encode 9@1", "1@0"],
            ])
    }

    @Test("of a model that keeps nothing are each sequence of each batch")
    func bidirectional() throws {
        let traits = try Toy.traits(Toy.simplest("bert"))
        let batch = Batch([
            .init(id: 1, position: 0, sequences: [0]), .init(id: 2, position: 0, sequences: [1]),
            .init(id: 3, position: 1, sequences: [0]),
        ])
        let script = Script(
            placement: Placement("cpu"), options: .init(sequences: 2), steps: [.process(batch), .process(Batch([4]))])
        #expect(History(script, traits).plain.map(tokens) == [["1@0", "3@1"], ["2@0"], ["4@0"]])
    }
}

@Suite("What a session remembers")
struct ScriptStateTests {
    private func state(_ steps: [Step], sequences: Int = 3) throws -> ScriptState {
        var state = ScriptState(try Toy.traits(), .init(context: 16, sequences: sequences))
        for step in steps { state.apply(step) }
        return state
    }

    private func ids(_ state: ScriptState) -> [[Int]] { state.histories.map { $0.map(\.id) } }

    @Test("cells that sequences share count once, and are free when none holds them")
    func cells() throws {
        var state = try state([.process(Batch([1, 2])), .copy(source: 0, destination: 2)])
        #expect(state.usedCells == 2 && state.freeCells == 14 && state.end(of: 2) == 2 && state.end(of: 1) == 0)
        #expect(state.alike(0) == [0, 2] && !state.isAlone(0) && state.isAlone(1))
        state.apply(.remove(sequence: 0, from: 1, to: nil))
        #expect(state.usedCells == 2 && state.end(of: 0) == 1 && state.alike(0) == [0])
        state.apply(.remove(sequence: 2, from: 0, to: nil))
        #expect(state.usedCells == 1 && state.isAlone(0))
    }

    @Test("a whole session goes back to what was saved; one sequence is a copy of its own")
    func restores() throws {
        var state = try state([.process(Batch([1, 2])), .save(sequence: nil), .clear])
        #expect(ids(state) == [[], [], []])
        state.apply(.restore(sequence: nil))
        #expect(ids(state) == [[1, 2], [], []])
        state.apply(.save(sequence: 0))
        state.apply(.restore(sequence: 1))
        #expect(ids(state) == [[1, 2], [1, 2], []] && state.usedCells == 4 && state.isAlone(1))
    }

    @Test("keeping, shifting, and shifting out")
    func others() throws {
        var state = try state([
            .process(Batch([1, 2, 3])), .process(Batch([4], sequence: 1)), .shift(sequence: 0, from: 0, by: -1),
        ])
        #expect(ids(state) == [[2, 3], [4], []] && state.histories[0].map(\.position) == [0, 1])
        state.apply(.shift(sequence: 0, from: 1, by: 5))
        #expect(state.histories[0].map(\.position) == [0, 6])
        state.apply(.keep(sequence: 1))
        #expect(ids(state) == [[], [4], []])
    }
}
