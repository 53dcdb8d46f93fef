import Architectures
import Devices
import GGUF
import Testing

@testable import Inference

@Suite("Embeddings")
struct PoolingTests {
    private func embeddings(_ model: Model, _ pooling: Pooling, _ batch: Batch) throws -> Output.Rows {
        let session = try Session(
            model, placement: Placement("cpu"), devices: DeviceSet([CPUDevice()]),
            options: SessionOptions(context: 64, sequences: 4, pooling: pooling, wantsEmbeddings: true))
        return try #require(try session.process(batch).embeddings)
    }

    /// A drawn model of an architecture, with this pooling in its metadata.
    private func model(_ architecture: any Architecture.Type, pooling: Pooling) throws -> Model {
        let drawn = try Toy(architecture: architecture, seed: 3).drawn()
        var metadata = drawn.metadata
        metadata["\(architecture.name).pooling_type"] = .uint32(UInt32(pooling.rawValue))
        return try Model(MemorySource(metadata, optional: .none, recipe: WeightRecipe(seed: 3)))
    }

    @Test(
        "pooled embeddings are the mean, the first or the last of each sequence's",
        arguments: [BERT.self, Llama.self] as [any Architecture.Type])
    func pooling(_ architecture: any Architecture.Type) throws {
        let model = try model(architecture, pooling: .none)
        let batch = Batch(
            Batch(model.tokens(5), sequence: 3).tokens + Batch(model.tokens(3, seed: 1), sequence: 1).tokens)
        let rows = try embeddings(model, .none, batch)
        #expect(rows.keys == Array(0..<8))
        let (mean, cls, last) = try (embeddings(model, .mean, batch), embeddings(model, .cls, batch), embeddings(
            model, .last, batch))
        for (sequence, tokens) in [(3, 0..<5), (1, 5..<8)] {
            #expect(mean.keys == [1, 3])
            let members = tokens.map(rows.row(at:))
            let average = (0..<rows.width).map { column in members.reduce(0) { $0 + $1[column] } / Double(
                members.count) }
            #expect(normalizedError(try #require(mean[sequence]), average) < 1e-10)
            #expect(normalizedError(try #require(cls[sequence]), try #require(members.first)) < 1e-10)
            #expect(normalizedError(try #require(last[sequence]), try #require(members.last)) < 1e-10)
        }
    }

    @Test("a classifier gives a row of scores for each sequence, and cannot be pooled otherwise")
    func rank() throws {
        let model = try model(BERT.self, pooling: .rank)
        let scores = try embeddings(
            model, .rank, Batch(Batch(model.tokens(4)).tokens + Batch(model.tokens(4, seed: 1), sequence: 2).tokens))
        #expect(scores.keys == [0, 2])
        #expect(scores.row(at: 0) != scores.row(at: 1))
        #expect(throws: SessionError.self) { try embeddings(model, .mean, Batch([0])) }
    }

    @Test("tokens that see each other must fit in one micro-batch")
    func microBatch() throws {
        let model = try model(BERT.self, pooling: .none)
        #expect(throws: SessionError.self) { try model.session(microBatch: 4).process(Batch(model.tokens(5))) }
        try model.session(microBatch: 5).process(Batch(model.tokens(5)))
    }

    @Test("a decoder with an encoder needs its output first")
    func encoder() throws {
        let model = try Toy(architecture: T5.self, seed: 0).model()
        let session = try Session(model, placement: Placement("cpu"), devices: DeviceSet([CPUDevice()]))
        #expect(throws: SessionError.self) { try session.process(Batch([0])) }
        let source = Batch(model.tokens(4))
        #expect(try session.encode(source).embeddings?.keys == [0, 1, 2, 3])
        let first = try session.process(Batch(model.tokens(3))).rows
        try session.clear()
        try session.encode(Batch(model.tokens(4, seed: 7)))
        #expect(try session.process(Batch(model.tokens(3))).rows != first)
        #expect(
            throws: SessionError.self) { try Toy(architecture: Llama.self, seed: 0).model().session().encode(source) }
    }
}
