import Architectures
import Devices
import GGUF
import Inference
import ModelGraph
import PropertyTesting

/// A change of a model that must not change what it computes.
public struct Transformation: Hashable, Sendable, Codable {
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// The experts of each layer in another order: of groups, the groups and the experts within each.
        case experts
        /// The groups of heads of each attention layer in another order, and the query heads within each.
        case heads
        /// Projections of one input: those in one tensor apart, those apart in one.
        case fusion
    }
    public var kind: Kind
    /// Of the random orders.
    public var seed: UInt64

    static func draw(
        _ choices: inout Choices, among kinds: [Kind], like target: Transformation?
    ) throws -> Transformation {
        Transformation(
            kind: try choices.element(of: kinds, like: target?.kind),
            seed: UInt64(try choices.integer(in: 0...99, like: target.map { Int(exactly: $0.seed) ?? -1 })))
    }

    /// The changes that a model admits.
    static func kinds(for architecture: any Architecture, optional: Set<String>) throws -> [Kind] {
        let layout = try TensorLayout(architecture, optional)
        return Kind.allCases.filter { kind in
            switch kind {
            case .experts: layout.layers.contains { ($0.experts ?? 0) > 1 }
            case .heads: layout.layers.contains { $0.heads.map { $0.queries > 1 } ?? false }
            case .fusion: layout.layers.contains { !$0.fusions.isEmpty }
            }
        }
    }

    /// The changed model.
    func applied(to source: any TensorSource) throws -> any TensorSource {
        let architecture = try ArchitectureCatalog.read(source.metadata)
        let names = Set(source.tensors.map(\.name))
        let layout = try TensorLayout(architecture, names)
        var changed = ChangedTensors(source)
        for layer in layout.layers {
            var random = RandomStream(seed: seed, stream: UInt64(layer.number))
            switch kind {
            case .experts: try layer.permuteExperts(&changed, &random)
            case .heads: try layer.permuteHeads(&changed, &random)
            case .fusion: for fusion in layer.fusions { try fusion.apply(&changed) }
            }
        }
        return try changed.source()
    }
}

/// A model's tensors, some of them changed.
struct ChangedTensors {
    private let original: any TensorSource
    private let infos: [String: TensorInfo]
    private var changed: [String: TensorData] = [:]
    private(set) var names: Set<String>

    init(_ original: any TensorSource) {
        self.original = original
        infos = Dictionary(original.tensors.map { ($0.name, $0) }) { first, _ in first }
        names = Set(infos.keys)
    }

    func data(_ name: String) throws -> TensorData? {
        guard names.contains(name) else { return nil }
        if let changed = changed[name] { return changed }
        return try infos[name].map { try original.data(of: $0) }
    }

    /// Puts a tensor in the place of others.
    mutating func replace(_ old: [String], by tensors: [TensorData]) {
        for name in old {
            names.remove(name)
            changed[name] = nil
        }
        for tensor in tensors {
            names.insert(tensor.name)
            changed[tensor.name] = tensor
        }
    }

    /// Reorders the equal parts that a tensor's bytes consist of: part `i` becomes part `order[i]` of the old, of each
    /// group of `order.count` parts.
    mutating func permute(_ name: String, _ order: [Int], parts: Int) throws {
        guard let data = try data(name) else { return }
        let count = data.bytes.count
        guard parts > 0, count.isMultiple(of: parts), parts.isMultiple(of: order.count) else {
            throw ModelError(subject: name, reason: "has no \(parts) equal parts")
        }
        let length = count / parts
        replace([], by: [
            TensorData(
                name: name, shape: data.shape, type: data.type, byteOrder: data.byteOrder,
                bytes: data.bytes.withBytes { source in
                    TensorBytes(count: count) { target in
                        for part in 0..<parts {
                            let old = part / order.count * order.count + order[part % order.count]
                            UnsafeMutableRawBufferPointer(rebasing: target[part * length ..< (part + 1) * length])
                                .copyMemory(
                                    from: UnsafeRawBufferPointer(rebasing: source[old * length ..< (old + 1) * length]))
                        }
                    }
                })
        ])
    }

    func source() throws -> any TensorSource {
        let (original, infos, changed) = (original, infos, changed)
        func known(_ name: String) throws -> TensorType {
            guard let type = changed[name]?.type ?? infos[name]?.type else {
                throw ModelError(subject: name, reason: "is missing")
            }
            return type
        }
        let present = names.compactMap { name in
            changed[name].map { TensorInfo(name: name, shape: $0.shape, type: $0.type) } ?? infos[name]
        }
        return try MemorySource(
            original.metadata, optional: .of(present), type: { try known($0.name) }
        ) { tensor in
            if let data = changed[tensor.name] { return data }
            guard let info = infos[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is missing") }
            return try original.data(of: info)
        }
    }
}

extension RandomStream {
    /// A random order of `0 ..< count` that is not the given one, where there is another.
    mutating func order(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for index in order.indices.dropFirst() { order.swapAt(index, Int(next(below: UInt64(index + 1)))) }
        return order == Array(0..<count) ? order.reversed() : order
    }
}
