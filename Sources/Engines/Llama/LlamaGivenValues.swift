import CLlama
import Devices
import GGUF
import Inference

/// Values of a model that llama.cpp is given beside the file, which has others in their places.
struct LlamaGivenValues: Hashable {
    /// What the file says, by key.
    private(set) var stored: [String: MetadataValue] = [:]
    /// What the model is loaded with, whatever the file says.
    private var override: Override?
    /// What contexts are opened with; nil: what the file says.
    private(set) var rotationBase, rotationScale: Float?
    private(set) var pooling: Int?

    private struct Override: Hashable {
        var key: String
        var value: MetadataValue
    }

    init() {}

    /// - Parameter metadata: the model's, asked for only if they are needed.
    init(_ settings: Settings, _ metadata: () -> Metadata?) {
        let chosen: [Setting] = [.overriddenKey, .givenRotation, .givenPooling]
        guard chosen.contains(where: { settings[$0] != $0.plain }), let metadata = metadata() else { return }
        let prefix = (metadata.string("general.architecture") ?? "") + "."
        if settings[.givenRotation].flag {
            let (base, factor) = (prefix + "rope.freq_base", prefix + "rope.scaling.factor")
            if case .float32(let number)? = metadata[base], number > 0 {
                (rotationBase, stored[base]) = (number, .float32(2 * number))
            }
            let isLinear = [nil, "linear"].contains(metadata.string(prefix + "rope.scaling.type"))
            if isLinear, case .float32(let number)? = metadata[factor], number > 0 {
                (rotationScale, stored[factor]) = (1 / number, .float32(2 * number))
            }
        }
        let poolingKey = prefix + Self.pooling
        if settings[.givenPooling].flag, let number = metadata.integer(poolingKey) {
            // Of the three that need no tensors, another one.
            (pooling, stored[poolingKey]) = (number, .uint32(UInt32(number % 3 + 1)))
        }
        let others = metadata.filter { key, value in
            key.hasPrefix(prefix) && stored[key] == nil && value.other != nil
                && !Self.ofPublicInterface.contains(String(key.dropFirst(prefix.count)))
        }
        let number = settings[.overriddenKey].number
        if number > 0, !others.isEmpty {
            let (key, value) = others[(number - 1) % others.count]
            override = Override(key: key, value: value)
            stored[key] = value.other
        }
    }

    private static let pooling = "pooling_type"
    /// What programs ask llama.cpp of the file, and decide by how they use the model.
    private static let ofPublicInterface = [pooling, "attention.causal", "embedding_length_out"]

    /// - Parameter body: loads the model.
    func withOverrides<Result>(
        _ body: (UnsafeBufferPointer<llama_bridge_override>) throws -> Result
    ) rethrows -> Result {
        guard let override else { return try body(UnsafeBufferPointer(start: nil, count: 0)) }
        return try override.key.withCString { key in
            var value = llama_bridge_override()
            value.key = key
            switch override.value {
            case .float32(let number): (value.kind, value.real) = (LLAMA_BRIDGE_REAL, Double(number))
            case .bool(let flag): (value.kind, value.integer) = (LLAMA_BRIDGE_BOOLEAN, flag ? 1 : 0)
            default: (value.kind, value.integer) = (LLAMA_BRIDGE_INTEGER, Int64(override.value.integer ?? 0))
            }
            return try withUnsafePointer(to: value) { try body(UnsafeBufferPointer(start: $0, count: 1)) }
        }
    }
}

extension MetadataValue {
    /// Another one of its type, of those types whose values can be overridden; nil: it is of none.
    fileprivate var other: MetadataValue? {
        switch self {
        case .uint32(let number): .uint32(number == .max ? 0 : number + 1)
        case .float32(let number): .float32(number == 0 || !number.isFinite ? 1 : 2 * number)
        case .bool(let flag): .bool(!flag)
        default: nil
        }
    }
}

/// A model of whose metadata some have other values.
struct RetoldSource: TensorSource {
    private let base: any TensorSource
    let metadata: Metadata

    init(_ base: any TensorSource, _ changes: [String: MetadataValue]) {
        self.base = base
        metadata = base.metadata.merging(changes)
    }

    var tensors: [TensorInfo] { base.tensors }
    func data(of tensor: TensorInfo) throws -> TensorData { try base.data(of: tensor) }
}
