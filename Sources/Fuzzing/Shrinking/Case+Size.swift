import Engines
import Inference

extension Case {
    /// What is simpler of two cases that fail in the same way: fewer layers, then fewer tokens, then fewer steps, then
    /// less metadata and tensors.
    public func isSimpler(than other: Case) -> Bool { size.lexicographicallyPrecedes(other.size) }

    private var size: [Int] { [layers, tokens, script.steps.count, metadata.count + optionalTensors.count] }

    /// The same, and of two of one size: what is plainer in the end.
    func isPlainer(than other: Case) -> Bool { (size + details).lexicographicallyPrecedes(other.size + other.details) }

    private var details: [Int] {
        let (options, plain) = (script.options, Script.Options())
        let departures = [
            options.cacheType != plain.cacheType, options.flashAttention ?? false, options.threads ?? 1 > 1,
            options.outputAccess != nil, options.unifiedCache == false, script.placement.split != nil,
            recipe.type != .f32,
        ].count { $0 }
        let choices = [options.flashAttention == nil, options.threads == nil, options.unifiedCache == nil].count { !$0 }
        func distance(_ size: Int, _ plain: Int) -> Int { size == plain ? 0 : size }
        return [
            options.sequences, script.placement.layers.count + script.placement.tensors.count + recipe.rules.count,
            departures, choices, distance(options.context, plain.context),
            distance(options.microBatch, plain.microBatch), script.steps.reduce(0) { $0 + $1.magnitude },
            Int(clamping: recipe.seed), Int(clamping: transformation?.seed ?? 0),
        ]
    }
}

extension Step {
    /// How far its numbers are from nothing.
    fileprivate var magnitude: Int {
        switch self {
        case .encode(let batch), .process(let batch):
            batch.tokens.reduce(0) { $0 + $1.id + $1.position + ($1.wantsOutput ? 0 : 1) + $1.order.number }
        case .remove(_, let from, let to): from + (to ?? 0) + (to == nil ? 0 : 1)
        case .shift(_, let from, let delta): from + abs(delta)
        case .save(let sequence), .restore(let sequence): sequence == nil ? 0 : 1
        case .copy, .keep, .clear: 0
        }
    }
}
