import Engines
import Inference

/// What is known of one case of a run.
public struct CaseRecord: Sendable {
    public var index: UInt64
    public var architecture: String
    /// nil where not even a case could be drawn.
    public var check: Check?
    public var features: [String] = []
    public var layers = 0
    public var tokens = 0
    public var verdicts: [Verdict] = []
    /// From drawing the case to the last verdict.
    public var duration = Duration.zero

    init(index: UInt64, architecture: String) {
        self.index = index
        self.architecture = architecture
    }
}

extension Case {
    /// What is special about the case, for coverage: of pairs of these, few are interesting, and nobody knows which.
    public var features: [String] { features(of: (try? source().tensors) ?? []) }

    /// - Parameter tensors: of the model, whose types are not always what the recipe asks for: rows that are no whole
    ///   blocks of a type take another.
    func features(of tensors: [TensorInfo]) -> [String] {
        let types = Set(tensors.filter { $0.shape.rank > 1 }.map(\.type))
            .filter { $0 != .f32 || recipe.type == .f32 }
        var features = ["check \(check.rawValue)"]
        let prefix = architecture + "."
        features += metadata.keys.filter { $0.hasPrefix(prefix) }.map { "key \($0.dropFirst(prefix.count))" }
        features += Set(optionalTensors.map(\.withoutBlock)).map { "tensor \($0)" }
        features += types.map { "type \($0.name)" }
        features += recipe.adversities.map { "weights \($0.rawValue)" }
        features += Set(script.steps.map(\.name)).map { "step \($0)" }
        if script.steps.contains(where: { if case .remove(nil, _, _) = $0 { true } else { false } }) {
            features.append("removal from all sequences")
        }
        let options = script.options
        features.append("cache \(options.cacheType.rawValue)")
        features += Setting.allCases.compactMap { $0.feature(of: script) }
        if options.sequences > 1 { features.append("several sequences") }
        if script.hasSequenceWithoutSource { features.append("sequence without source") }
        if options.microBatch < tokens { features.append("micro-batches") }
        if tokens > 32 { features.append("more than 32 tokens") }
        let batches = script.steps.compactMap { $0.batch?.tokens }
        if batches.contains(where: { $0.contains(where: \.isEmbedding) }) { features.append("embeddings") }
        if batches.contains(where: { tokens in Set(tokens.filter { !$0.isEmbedding }.map(\.wantsOutput)).count > 1 }) {
            features.append("outputs of some")
        }
        let orders = Set(batches.joined().map(\.order))
        features += orders.filter(\.isQuestion).map { "question \($0.rawValue)" }
        let largest = batches.map { min($0.count, options.microBatch) }.max() ?? 0
        if largest > 64 { features.append("more than 64 tokens at once") }
        features += adaptedMatrices.map { "adapter of \($0)" }
        if isSteered { features.append("control vector") }
        if (adapters ?? []).count(where: { $0.kind == .lora }) > 1 { features.append("several adapters") }
        if let transformation { features.append("transformation \(transformation.kind.rawValue)") }
        if let contradiction { features.append("contradiction \(contradiction.kind.rawValue)") }
        features += Set((damages ?? []).map(\.kind)).map { Damage.feature(of: $0) }
        features += tokenization?.features ?? []
        return features.sorted()
    }
}

extension Script {
    /// Whether a decoder's token is of no sequence that the encoder was given last.
    fileprivate var hasSequenceWithoutSource: Bool {
        var sources: SequenceSet?
        for step in steps {
            switch step {
            case .encode(let batch): sources = batch.tokens.sequences
            case .process(let batch):
                guard let sources else { continue }
                if batch.tokens.contains(where: { $0.sequences.bits & sources.bits == 0 }) { return true }
            default: continue
            }
        }
        return false
    }
}
