import Architectures
import Devices
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@testable import Inference

/// A toy model drawn at random, as test arguments name it.
struct Toy: Sendable, CustomTestStringConvertible {
    var architecture: any Architecture.Type
    var seed: UInt64

    var testDescription: String { "\(architecture.name) \(seed)" }

    /// One of each architecture.
    static let all = ArchitectureCatalog.all.map { Toy(architecture: $0, seed: 1) }
    /// Of each family the first few, which differ the most.
    static let few = ArchitectureCatalog.families.flatMap { family in
        family.members.prefix(3).map { Toy(architecture: $0.type, seed: 11) }
    }

    func drawn() throws -> DrawnModel {
        var choices = Choices(seed: seed)
        return try DrawnModel.draw(architecture, &choices)
    }

    func source(type: TensorType = .f32) throws -> MemorySource {
        let drawn = try drawn()
        return try MemorySource(
            drawn.metadata, optional: .only(drawn.optionalTensors), recipe: WeightRecipe(seed: seed, type: type))
    }

    func model(type: TensorType = .f32) throws -> Model { try Model(source(type: type)) }
}

extension Model {
    /// Random tokens of the vocabulary, the same for the same seed.
    func tokens(_ count: Int, seed: UInt64 = 0) -> [Int] {
        var random = RandomStream(seed: seed)
        let vocabulary = UInt64(architecture.dimensions.vocabulary)
        return (0..<count).map { _ in Int(random.next(below: vocabulary)) }
    }

    /// So many of them in one sequence; to a model that decides, they are questions and options in turn.
    func batch(_ count: Int, seed: UInt64 = 0) -> Batch {
        var batch = Batch(tokens(count, seed: seed))
        if architecture.traits.decides {
            let orders: [DecisionOrder] = [.choice, .option, .none, .option]
            for index in 0..<count { batch.tokens[index].order = orders[index % 4] }
            if batch.tokens[count - 1].order.isQuestion { batch.tokens[count - 1].order = .option }
        }
        return batch
    }

    func session(
        _ placement: Placement = Placement("cpu"), devices: [any Device] = [CPUDevice()], context: Int = 64,
        sequences: Int = 4, microBatch: Int = 64, cacheType: StateType = .full, isStrict: Bool = false
    ) throws -> Session {
        let session = try Session(
            self, placement: placement, devices: DeviceSet(devices),
            options: SessionOptions(
                context: context, sequences: sequences, microBatch: microBatch, cacheType: cacheType,
                isStrict: isStrict))
        // What an encoder-decoder model translates is the same in every test.
        if architecture.traits.hasEncoder {
            let tokens = tokens(3, seed: 99).enumerated().map {
                Batch.Token(id: $1, position: $0, sequences: SequenceSet(bits: 1 << UInt32(sequences) - 1))
            }
            try session.encode(Batch(tokens))
        }
        return session
    }

    /// Whether results depend on differences of positions only.
    var isShiftInvariant: Bool {
        let names = Set(source.tensors.map(\.name))
        return (try? SessionTraits(architecture, optional: .only(names)))?.isShiftInvariant ?? false
    }

    /// Whether a batch sees more than itself.
    var remembers: Bool { !architecture.traits.isOfWholeBatches }
}

extension Output {
    /// The row of a token: logits where the model has them, else embeddings.
    func row(_ token: Int) -> [Double]? { (logits ?? embeddings)?[token] }
    var rows: [[Double]] { (logits ?? embeddings).map { rows in rows.keys.indices.map(rows.row(at:)) } ?? [] }
}

/// `Σ(a − b)² / Σb²`
func normalizedError(_ found: [Double], _ expected: [Double]) -> Double {
    guard found.count == expected.count else { return .infinity }
    // What can never win is −∞ in both.
    let error = zip(found, expected).reduce(0) { $1.0 == $1.1 ? $0 : $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let power = expected.reduce(0) { $1 == -.infinity ? $0 : $0 + $1 * $1 }
    return error == 0 ? 0 : error / power
}

func largestError(_ found: [[Double]], _ expected: [[Double]]) -> Double {
    guard found.count == expected.count, !found.isEmpty else { return .infinity }
    return zip(found, expected).map { normalizedError($0, $1) }.max() ?? .infinity
}

/// A CPU under another name, which may refuse ops.
final class OtherDevice: Device {
    let cpu = CPUDevice()
    let name: String
    let refused: Set<String>
    init(_ name: String = "other", refusing refused: Set<String> = []) {
        self.name = name
        self.refused = refused
    }
    var summary: String { cpu.summary }
    var precision: Precision { cpu.precision }
    func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String? {
        refused.contains(node.op.name) ? "refused" : cpu.unsupported(node, in: graph, weightTypes: weightTypes)
    }
    func load(_ tensor: TensorData) throws -> any DeviceTensor { try cpu.load(tensor) }
    func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState {
        try cpu.allocate(state, rows: rows, type: type)
    }
    func compile(_ segment: Segment) throws -> any Executable { try cpu.compile(segment) }
}
