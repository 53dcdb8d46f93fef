/// A property that must hold of a case.
public enum Check: String, Hashable, Sendable, Codable, CaseIterable {
    /// The device's logits match the reference's within the noise floor.
    case agrees
    /// Any split of a prompt into batches and micro-batches gives the same logits.
    case chunking
    /// Sequences in one batch do not affect each other.
    case isolation
    /// Any split of layers or tensors over devices gives the same logits.
    case placement
    /// Saved and loaded again, the model has the same metadata, and its logits are the same bits.
    case roundtrip
    /// A model in memory and the same model in a file give the same bits.
    case loaders
    /// What is removed, copied, shifted, saved and restored goes on as if it had always been there.
    case state
    /// However a model is loaded and its session set, where an engine lets one choose, the logits are the same.
    case settings
    /// The same case again on the same device gives the same bits.
    case determinism
    /// Permuted experts, permuted heads, split or fused projections give the same logits.
    case metamorphic
    /// Metadata that contradicts itself is refused with an error that names the key.
    case rejects
    /// A file that is damaged is refused, or is the same model to whoever takes it.
    case malformed
    /// Texts have the tokens that the file's tokenizer gives them, or it is refused.
    case tokenizes
    /// The reference's gradient is the slope of its loss, and the device's matches it within the noise floor.
    case gradients

    /// A model that has learned a short text says it.
    case trains

    /// Those that are drawn unless others are asked for. Most engines give no gradients, learning takes long, and what
    /// reads files and texts are other parts of an engine than what computes.
    public static let usual = allCases.filter { ![.malformed, .tokenizes, .gradients, .trains].contains($0) }

    /// Whether tokens may be given as embeddings, which nothing permutes with the model, and which are no weights.
    var takesEmbeddings: Bool { ![.metamorphic, .gradients, .trains].contains(self) }

    /// Whether its model may be adapted: not where the model itself is another one in the end.
    var takesAdapters: Bool {
        switch self {
        case .agrees, .chunking, .isolation, .placement, .state, .settings, .determinism, .malformed: true
        case .roundtrip, .loaders, .metamorphic, .rejects, .gradients, .trains, .tokenizes: false
        }
    }

    /// Whether a model's tensors matter to it, and a script: else there are none.
    public var isOfTensors: Bool { self != .rejects && self != .tokenizes }

    /// Whether it asks if a model is refused, rather than what it computes.
    public var isOfRefusals: Bool { self == .rejects || self == .malformed }

    /// Whether a script is one batch that is differentiated.
    var isOfLosses: Bool { self == .gradients || self == .trains }

    /// One line for help and listings.
    public var about: String {
        switch self {
        case .agrees: "a device's logits match the reference's within the noise floor"
        case .chunking: "any split of a prompt into batches and micro-batches gives the same logits"
        case .isolation: "sequences in one batch do not affect each other"
        case .placement: "any split of layers or tensors over devices gives the same logits"
        case .roundtrip: "a model saved and loaded again has the same metadata and gives the same bits"
        case .loaders: "a model in memory and the same model in a file give the same bits"
        case .state: "sequences that are removed, copied, shifted, saved and restored go on as they should"
        case .settings: "repacked or mapped, with few threads or many, one cache or several: the logits are the same"
        case .determinism: "the same case again on the same device gives the same bits"
        case .metamorphic: "permuted experts or heads, split or fused projections give the same logits"
        case .rejects: "metadata that contradicts itself is refused with an error that names the key"
        case .malformed: "a damaged file is refused, or is the same model to whoever takes it"
        case .tokenizes: "texts have the tokens that a file's tokenizer gives them, or it is refused"
        case .trains: "a model that has learned a short text says it, in one batch and token by token"
        case .gradients: "the gradient of a batch's loss is the loss's slope, and a device's matches the reference's"
        }
    }

    /// Whether the property compares a script with each of its sequences processed by itself: see `History`.
    var comparesHistories: Bool { [.chunking, .isolation, .state].contains(self) }

    /// How often the check is drawn, relative to the others.
    var weight: Int {
        switch self {
        case .agrees: 12
        case .chunking, .isolation, .state, .metamorphic, .settings: 2
        case .placement, .roundtrip, .loaders, .determinism, .rejects, .malformed, .tokenizes, .gradients, .trains: 1
        }
    }
}
