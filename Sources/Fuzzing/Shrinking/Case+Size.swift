import Engines
import Inference

extension Case {
    /// What is simpler of two cases that fail in the same way: fewer damages, then less of a tokenization, then fewer
    /// layers, then fewer tokens, then fewer steps, then less metadata and tensors.
    public func isSimpler(than other: Case) -> Bool { size.lexicographicallyPrecedes(other.size) }

    private var size: [Int] {
        [damages?.count ?? 0] + (tokenization?.size ?? [])
            + [layers, tokens, script.steps.count, metadata.count + optionalTensors.count + additions]
    }

    /// What adapters add, counted by the places where they add it.
    private var additions: Int {
        (adapters ?? []).reduce(0) { sum, adapter in
            switch adapter {
            case .lora(let lora): sum + lora.tensors.count
            case .controlVector(let vector): sum + 1 + vector.last - vector.first
            }
        }
    }

    /// The same, and of two of one size: what is plainer in the end.
    func isPlainer(than other: Case) -> Bool { (size + details).lexicographicallyPrecedes(other.size + other.details) }

    private var details: [Int] {
        let (options, plain) = (script.options, Script.Options())
        let departures = [
            options.cacheType != plain.cacheType, script.placement.split != nil, recipe.type != .f32,
        ].count { $0 } + options.settings.count
        func distance(_ size: Int, _ plain: Int) -> Int { size == plain ? 0 : size }
        return [
            options.sequences, script.placement.layers.count + script.placement.tensors.count + recipe.rules.count,
            departures, distance(options.context, plain.context),
            distance(options.microBatch, plain.microBatch), script.steps.reduce(0) { $0 + $1.magnitude },
            Int(clamping: recipe.seed), Int(clamping: transformation?.seed ?? 0),
            (adapters ?? []).reduce(0) { $0 + $1.departures },
        ]
    }
}

extension Adapter {
    /// How many of its numbers are not the plainest.
    fileprivate var departures: Int {
        switch self {
        case .lora(let lora):
            [lora.rank != 1, lora.alpha != 1, lora.scale != 1, lora.type != .f32, lora.seed != 0].count { $0 }
        case .controlVector(let vector): [vector.scale != 1, vector.seed != 0].count { $0 }
        }
    }
}

extension Step {
    /// How far its numbers are from nothing.
    fileprivate var magnitude: Int {
        switch self {
        case .encode(let batch), .process(let batch):
            batch.tokens.reduce(0) { $0 + $1.id + $1.position + ($1.wantsOutput ? 0 : 1) + $1.order.number }
        case .remove(_, let from, let to): from + (to ?? 0) + (to == nil ? 0 : 1)
        case .shift(_, let from, let to, let number), .divide(_, let from, let to, let number):
            from + (to ?? 0) + (to == nil ? 0 : 1) + abs(number)
        case .copy(_, _, let from, let to): from + (to ?? 0) + (to == nil ? 0 : 1)
        case .save(let sequence), .restore(let sequence): sequence == nil ? 0 : 1
        case .keep, .clear: 0
        }
    }
}
