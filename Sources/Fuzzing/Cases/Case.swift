import Architectures
import Devices
import Engines
import GGUF
import Inference

/// One test: a model, what a session is asked for, a property, and the devices on which it must hold.
public struct Case: Hashable, Sendable, Codable {
    public var check: Check
    public var metadata: Metadata
    /// Names of the optional tensors that the model has, ascending.
    public var optionalTensors: [String]
    public var recipe: WeightRecipe
    /// Its placement matters to the check `placement` only; other checks put everything on one device at a time.
    public var script: Script
    /// What the model is adapted by while the script runs, absent where that is nothing: at most one control vector,
    /// and of the check `malformed` one LoRA adapter, whose file is what is damaged.
    public var adapters: [Adapter]?
    /// Those under test. The reference is not among them.
    public var devices: [String]
    /// Of the check `metamorphic`: what is done to the model, beside which it is as it was; of others, the model is
    /// that one.
    public var transformation: Transformation?
    /// Of the check `rejects`: what is wrong with the metadata.
    public var contradiction: Contradiction?
    /// Of the check `malformed`: what is done to the file, one thing after the other.
    public var damages: [Damage]?
    /// Of the check `tokenizes`: the tokenizer that the model has besides, and the texts that it is given.
    public var tokenization: Tokenization?

    public init(
        check: Check, metadata: Metadata, optionalTensors: [String], recipe: WeightRecipe, script: Script,
        adapters: [Adapter]? = nil, devices: [String], transformation: Transformation? = nil,
        contradiction: Contradiction? = nil, damages: [Damage]? = nil, tokenization: Tokenization? = nil
    ) {
        self.check = check
        self.metadata = metadata
        self.optionalTensors = optionalTensors
        self.recipe = recipe
        self.script = script
        self.adapters = adapters
        self.devices = devices
        self.transformation = transformation
        self.contradiction = contradiction
        self.damages = damages
        self.tokenization = tokenization
    }

    public var architecture: String { metadata.string("general.architecture") ?? "" }

    /// The number of blocks; of an encoder-decoder model, of its encoder's.
    public var layers: Int { metadata.integer("\(architecture).block_count") ?? 0 }

    /// Tokens of all batches together, the encoder's included.
    public var tokens: Int {
        script.steps.reduce(0) { sum, step in
            switch step {
            case .encode(let batch), .process(let batch): sum + batch.tokens.count
            default: sum
            }
        }
    }

    /// The toy model in memory.
    /// - Throws: `MetadataError`, `GraphError` or `ModelError` where it is none.
    public func source() throws -> any TensorSource {
        if !check.isOfTensors { return MetadataSource(metadata: tokenization?.added(to: metadata) ?? metadata) }
        let source = try MemorySource(metadata, optional: .only(Set(optionalTensors)), recipe: recipe)
        guard check != .metamorphic, let transformation else { return source }
        return try transformation.applied(to: source)
    }

    /// The bytes of the model's file, damaged if it is to be.
    /// - Throws: as `source()`; `ModelError` for a damage that this model's file cannot have.
    public func file() throws -> [UInt8] {
        check == .malformed && adapters == nil ? try damagedFile(source()).bytes : try source().bytesOfFile()
    }

    /// The file of the check `malformed`: of the adapter, where there is one, or of the model.
    /// - Parameter source: as `source()` gives it.
    /// - Throws: `ModelError` for a damage that this model's file cannot have.
    func damagedFile(_ source: any TensorSource) throws -> DamagedFile {
        let adapter = try adapterSources(for: source).first?.source
        return try DamagedFile(adapter ?? source, optionalTensors: optionalTensors, damages ?? [])
    }
}

/// Metadata without tensors: all that an engine needs in order to refuse it, or to make tokens of texts.
struct MetadataSource: TensorSource {
    var metadata: Metadata
    var tensors: [TensorInfo] { [] }
    func data(of tensor: TensorInfo) throws -> TensorData {
        throw ModelError(subject: tensor.name, reason: "is not in this model")
    }
}
