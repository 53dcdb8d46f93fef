import Architectures
import Devices
import PropertyTesting
import Testing

@testable import Inference

private let rounding = 1e-9

@Suite("Operations on sequences")
struct SequenceTests {
    @Test("a removed tail leaves no trace", arguments: Toy.all)
    func removeTail(_ toy: Toy) throws {
        let model = try toy.model()
        guard model.remembers else { return }
        let tokens = model.tokens(12)
        let expected = try model.session().process(Batch(tokens)).rows
        let session = try model.session()
        try session.process(Batch(Array(tokens[..<8]) + model.tokens(6, seed: 1)))
        if session.isRecurrent {
            #expect(try session.remove(0, 8 ..< 14) == false)
            #expect(session.positions(of: 0) == 0...13)
            #expect(try session.remove(0, 20 ..< 30))
            #expect(try session.remove(0))
            #expect(largestError(try session.process(Batch(tokens)).rows, expected) < rounding)
        } else {
            #expect(try session.remove(0, 8 ..< .max))
            #expect(session.positions(of: 0) == 0...7)
            let rest = try session.process(Batch(Array(tokens[8...]), from: 8)).rows
            #expect(largestError(rest, Array(expected[8...])) < rounding)
        }
    }

    @Test("a copy goes its own way from the common beginning", arguments: Toy.all)
    func copy(_ toy: Toy) throws {
        let model = try toy.model()
        guard model.remembers else { return }
        let (common, left, right) = (model.tokens(8), model.tokens(5, seed: 1), model.tokens(5, seed: 2))
        let session = try model.session()
        try session.process(Batch(common))
        #expect(try session.copy(0, to: 2))
        #expect(session.positions(of: 2) == 0...7)
        let leftRows = try session.process(Batch(left, from: 8, sequence: 0)).rows
        let rightRows = try session.process(Batch(right, from: 8, sequence: 2)).rows
        let expectedLeft = try model.session().process(Batch(common + left)).rows
        let expectedRight = try model.session().process(Batch(common + right)).rows
        #expect(largestError(leftRows, Array(expectedLeft[8...])) < rounding)
        #expect(largestError(rightRows, Array(expectedRight[8...])) < rounding)

        try session.keep(2)
        #expect(session.positions(of: 0) == nil)
        #expect(session.positions(of: 2) == 0...12)
        #expect(try session.copy(2, to: 1, 0 ..< 4) == !session.isRecurrent)
    }

    @Test("a token of two sequences counts in both", arguments: Toy.few)
    func shared(_ toy: Toy) throws {
        let model = try toy.model()
        let session = try model.session()
        guard model.remembers, !session.isRecurrent else { return }
        let (common, left, right) = (model.tokens(6), model.tokens(3, seed: 1), model.tokens(3, seed: 2))
        var batch = Batch(common)
        for index in batch.tokens.indices { batch.tokens[index].sequences = [1, 3] }
        batch.tokens += Batch(left, from: 6, sequence: 1).tokens + Batch(right, from: 6, sequence: 3).tokens
        let rows = try session.process(batch).rows
        let expectedLeft = try model.session().process(Batch(common + left)).rows
        let expectedRight = try model.session().process(Batch(common + right)).rows
        #expect(largestError(rows, expectedLeft + expectedRight[6...]) < rounding)
    }

    @Test("a shifted sequence is as if computed at its new positions", arguments: Toy.all)
    func shift(_ toy: Toy) throws {
        let model = try toy.model()
        let session = try model.session()
        guard model.remembers else { return }
        guard session.canShift else {
            try session.process(Batch([0]))
            #expect(throws: SessionError.self) { try session.shift(0, by: 1) }
            return
        }
        // Only where nothing but the rotation of keys depends on absolute positions.
        guard model.isShiftInvariant else { return }
        let tokens = model.tokens(10)
        try session.process(Batch(Array(tokens[..<8]), from: 5))
        try session.shift(0, by: 20)
        #expect(session.positions(of: 0) == 25...32)
        try session.shift(0, by: -23)
        #expect(session.positions(of: 0) == 2...9)
        let rows = try session.process(Batch(Array(tokens[8...]), from: 10)).rows
        let expected = try model.session().process(Batch(tokens, from: 2)).rows
        #expect(largestError(rows, Array(expected[8...])) < 1e-8)
    }

    @Test("the middle of a sequence can go, and the rest move up")
    func shiftRest() throws {
        let model = try Toy(architecture: Llama.self, seed: 11).model()
        let session = try model.session()
        try session.process(Batch(model.tokens(10)))
        #expect(try session.remove(0, 4 ..< 6))
        try session.shift(0, 6 ..< .max, by: -2)
        #expect(session.positions(of: 0) == 0...7)
        #expect(throws: SessionError.self, "positions that meet") { try session.shift(0, 6 ..< .max, by: -2) }
        try session.shift(0, by: -3)
        #expect(session.positions(of: 0) == 0...4)
        try session.copy(0, to: 1, 0 ..< 2)
        #expect(throws: SessionError.self, "tokens that another sequence shares") { try session.shift(0, by: 1) }
        try session.shift(0, 2 ..< .max, by: 10)
        #expect(session.positions(of: 0) == 0...14)
    }

    // Results depend on positions there, and in a single layer keys on nothing else.
    @Test(
        "a key that is normed after its rotation is shifted as if it had been normed where it is",
        arguments: ["hunyuan-dense", "hunyuan-moe", "hunyuan_vl", "maincoder"])
    func shiftOfNormedKeys(_ name: String) throws {
        var choices = Choices(replaying: [])
        let metadata = try DrawnModel.draw(ArchitectureCatalog.named(name), &choices).metadata
        let model = try Model(MemorySource(metadata, optional: .none, recipe: WeightRecipe(seed: 1)))
        #expect(model.architecture.dimensions.layers == 1)
        let shifted = try model.session()
        try shifted.process(Batch([1, 2]))
        try shifted.shift(0, by: 3)
        let there = try model.session()
        try there.process(Batch([1, 2], from: 3))
        let next = Batch([3], from: 5)
        #expect(largestError(try shifted.process(next).rows, try there.process(next).rows) < rounding)
    }

    @Test("a sequence that is not there is refused")
    func unknown() throws {
        let session = try Toy(architecture: Llama.self, seed: 0).model().session(sequences: 2)
        #expect(throws: SessionError.self) { try session.remove(2) }
        #expect(throws: SessionError.self) { try session.copy(0, to: -1) }
        #expect(throws: SessionError.self) { try session.shift(5, by: 1) }
        #expect(session.positions(of: 7) == nil)
    }
}

@Suite("Saved state")
struct SavedStateTests {
    @Test("a session restored on another placement goes on with the same bits", arguments: Toy.all)
    func whole(_ toy: Toy) throws {
        let model = try toy.model()
        guard model.remembers else { return }
        let session = try model.session(microBatch: 3)
        try session.process(Batch(model.tokens(7)))
        try session.process(Batch(model.tokens(5, seed: 1), sequence: 2))
        try session.remove(0)
        try session.process(Batch(model.tokens(4, seed: 3), sequence: 1))
        let bytes = try session.saveState()
        let other = try model.session(
            Placement("other", layers: [.init(first: 1, last: nil, device: "cpu")]),
            devices: [CPUDevice(), OtherDevice()])
        try other.process(Batch(model.tokens(9, seed: 5), sequence: 3))
        try other.restoreState(bytes)
        #expect(try other.saveState() == bytes)
        #expect(other.positions(of: 3) == nil)
        for sequence in [1, 2] {
            let next = Batch(model.tokens(3, seed: 8), from: [0, 4, 5][sequence], sequence: sequence)
            #expect(try other.process(next).rows == session.process(next).rows)
        }
    }

    @Test("one sequence restored under another number goes on alike", arguments: Toy.all)
    func sequence(_ toy: Toy) throws {
        let model = try toy.model()
        guard model.remembers else { return }
        let session = try model.session()
        try session.process(Batch(model.tokens(6)))
        try session.process(Batch(model.tokens(8, seed: 1), sequence: 1))
        let bytes = try session.saveState(of: 1)
        try session.restoreState(bytes, of: 3)
        try session.restoreState(bytes, of: 0)
        #expect(session.positions(of: 0) == 0...7)
        let rows = try [0, 1, 3].map { try session.process(
            Batch(model.tokens(4, seed: 2), from: 8, sequence: $0)).rows }
        #expect(largestError(rows[0], rows[1]) < rounding)
        #expect(largestError(rows[2], rows[1]) < rounding)
        #expect(throws: StateError.self, "a sequence's state is no session's") {
            try model.session().restoreState(session.saveState(), of: 0)
        }
    }

    @Test("damaged state and another model's are refused with nothing changed")
    func hostile() throws {
        let model = try Toy(architecture: Llama.self, seed: 1).model()
        let session = try model.session()
        try session.process(Batch(model.tokens(5)))
        let bytes = try session.saveState()
        let target = try model.session(sequences: 1)
        try target.process(Batch(model.tokens(3)))
        let before = try target.saveState()
        for length in stride(from: 0, to: bytes.count, by: 97) {
            #expect(throws: StateError.self) { try target.restoreState(Array(bytes[..<length])) }
        }
        // The header: whatever it becomes, it is refused or restored, never a trap.
        for index in 0 ..< min(200, bytes.count) {
            var changed = bytes
            changed[index] ^= 0xFF
            try? model.session().restoreState(changed)
        }
        #expect(try target.saveState() == before)

        let twoSequences = try model.session()
        try twoSequences.process(Batch(model.tokens(3), sequence: 1))
        #expect(throws: StateError.self) { try target.restoreState(twoSequences.saveState()) }
        let other = try Toy(architecture: Mamba.self, seed: 1).model().session()
        #expect(throws: StateError.self) { try target.restoreState(other.saveState()) }
    }
}
