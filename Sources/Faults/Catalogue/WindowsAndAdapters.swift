import ModelGraph

/// Attention to the best windows of positions, and adapters between which control tokens switch.
extension FaultCatalogue {
    static let windows: [Fault] = [
        Fault(
            "window-weights-alike", "the positions of a window have equal weights in the mean that stands for it",
            tokens: 2
        ) { site in
            guard case .unary(.exp) = site.op, let sum = site.producer(0), case .binary(.add) = sum.op,
                let places = sum.producer(1), case .rows = places.op, places.weight(0)?.role == .positionBias
            else { return nil }
            return .result { weights, _ in weights.map { _ in 1 } }
        },
        Fault(
            "rest-after-windows-dropped", "what follows the last whole window is not attended to", tokens: 2) { site in
            guard case .binary(.add) = site.op, case .pool? = site.producer(0)?.op, let rest = site.producer(1),
                case .binary(.multiply) = rest.op, let seen = rest.producer(0), case .unary(.exp) = seen.op,
                case .mask? = seen.producer(0)?.op
            else { return nil }
            return .op(.affine(scale: 1, bias: 0), [site.operands[0]])
        },
    ]

    static let adapters: [Fault] = [
        Fault("control-tokens-as-they-are", "control tokens have embeddings of their own") { site in
            guard case .replace(let table) = site.op, table.keepsOthers else { return nil }
            return .op(.replace(IndexTable([], to: [])), of: site)
        },
        Fault("adapters-never-switched", "control tokens switch no adapter on") { site in
            guard case .replace(let table) = site.op, !table.keepsOthers else { return nil }
            return .result { numbers, _ in numbers.map { _ in 0 } }
        },
        Fault(
            "adapter-of-token-alone", "an adapter ends with the control token that switched it on", tokens: 2) { site in
            guard case .topExperts = site.op, let negated = site.producer(0), case .affine = negated.op,
                case .binary(.multiply)? = negated.producer(0)?.op,
                let own = site.graph.nodes.firstIndex(where: {
                    if case .replace(let table) = $0.op { !table.keepsOthers } else { false }
                })
            else { return nil }
            let numbers = site.graph.nodes[own].result
            return .op(.expertGroups(size: 1), [numbers])
        },
    ]
}
