import Devices
import GGUF
import ModelGraph

/// A defect that a real backend has had, put into a device on purpose.
///
/// What a fault does is one of four things: it changes how nodes are computed, what a weight holds once it is
/// loaded, or what a state keeps between batches, or it ends the process. It shows in the results of some
/// models and batches, never of all.
public struct Fault: Sendable, Identifiable {
    /// In words joined by hyphens, e.g. `window-off-by-one`.
    public let name: String
    /// What goes wrong, and when, in a line.
    public let about: String
    /// The fewest tokens of a case in which it can show: of all batches and sequences, and of an encoder's
    /// input, which a token of the decoder follows. Sequences begin at position 0 and go on without gaps.
    public let fewestTokens: Int
    /// The fewest layers beyond the fewest that the architecture can have.
    public let extraLayers: Int
    /// How a run ends that meets the fault.
    public let symptom: Symptom
    /// Whether it shows in gradients only, which few checks ask for.
    public private(set) var isOfGradients = false
    let effect: Effect

    public var id: String { name }

    /// What a run that meets a fault ends with.
    public enum Symptom: String, Sendable, CaseIterable {
        /// Wrong results, NaN among them.
        case results
        /// Results that differ between two runs of the same case.
        case flakiness
        /// An error that the device throws.
        case error
        /// A process that dies.
        case crash
        /// A process that never answers.
        case hang
        /// A process that takes more and more memory.
        case memory
    }

    enum Effect: Sendable {
        case node(@Sendable (Site) -> Change?)
        /// The elements of a weight, as they are loaded; nil where the fault does not touch them.
        case weight(@Sendable (TensorData) throws -> TensorData?)
        case state(StateEffect)
    }

    private init(
        _ name: String, _ about: String, _ tokens: Int, _ extraLayers: Int, _ symptom: Symptom, _ effect: Effect
    ) {
        self.name = name
        self.about = about
        fewestTokens = tokens
        self.extraLayers = extraLayers
        self.symptom = symptom
        self.effect = effect
    }

    /// A fault in how nodes are computed.
    /// - Parameters:
    ///   - tokens: the fewest with which it can show.
    ///   - change: what becomes of a node, nil where it is computed as it should be.
    init(
        _ name: String, _ about: String, tokens: Int = 1, extraLayers: Int = 0, symptom: Symptom = .results,
        at change: @escaping @Sendable (Site) -> Change?
    ) {
        self.init(name, about, tokens, extraLayers, symptom, .node(change))
    }

    /// A fault in how gradients are computed.
    static func ofGradients(
        _ name: String, _ about: String, tokens: Int = 1, at change: @escaping @Sendable (Site) -> Change?
    ) -> Fault {
        var fault = Fault(name, about, tokens: tokens, at: change)
        fault.isOfGradients = true
        return fault
    }

    /// All results of products with a tensor are multiplied by a factor: how small an error is still caught.
    public static func scaling(_ tensor: String, by factor: Double) -> Fault {
        Fault("scaled-products", "products with \(tensor) are multiplied by \(factor)") { site in
            switch site.op {
            case .matmul, .expertMatmul, .headMatmul:
                site.weight(1)?.name == tensor ? .result { y, _ in y.map { $0 * factor } } : nil
            default: nil
            }
        }
    }

    /// A fault in how weights are read.
    static func loading(
        _ name: String, _ about: String, _ change: @escaping @Sendable (TensorData) throws -> TensorData?
    ) -> Fault {
        Fault(name, about, 1, 0, .results, .weight(change))
    }

    /// A fault in what states keep.
    init(_ name: String, _ about: String, tokens: Int, state effect: StateEffect) {
        self.init(name, about, tokens, 0, .results, .state(effect))
    }
}
