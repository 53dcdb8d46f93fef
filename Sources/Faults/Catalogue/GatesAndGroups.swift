import ModelGraph

/// Gates of attention, bounds of activations, and experts that a group shares.
extension FaultCatalogue {
    static let gatesAndGroups: [Fault] = [
        Fault("attention-gate-ignored", "attention's result is let through whole") { site in
            guard case .binary(.multiply) = site.op, site.isAttentionGate(1) else { return nil }
            return .op(.affine(scale: 1, bias: 0), [site.operands[0]])
        },
        Fault(
            "attention-gate-of-first-head", "every head is gated as the first is, every element as the first") { site in
            guard site.givesAttentionGate, site.shape.last > 1 else { return nil }
            return .result { gates, _ in gates.mapRows { row in row = row.map { _ in row[0] } } }
        },
        Fault(
            "attention-gate-without-function",
            "attention is multiplied by what its gate should be a function of") { site in
            guard site.givesAttentionGate else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault(
            "activation-bounded-below-too",
            "what a gate's function gives is bounded from both sides by its limit") { site in
            guard let limit = site.upperBound else { return nil }
            return .op(.clamp(lower: -min(limit, 0.25), upper: limit), of: site)
        },
        Fault("activation-unbounded", "what a gate's function gives is not bounded by its limit") { site in
            guard site.upperBound != nil else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault("expert-group-of-best-expert", "all experts of a token are of the group of its best one") { site in
            guard case .expertGroups = site.op, site.shape[1] > 1 else { return nil }
            return .result { groups, _ in groups.mapRows { row in row = row.map { _ in row[0] } } }
        },
        Fault("expert-groups-reversed", "the first group of experts is the last") { site in
            guard case .expertGroups(let size) = site.op, let top = site.producer(0),
                case .topExperts = top.op else { return nil }
            let last = Double(top.shape(0)[1] / size - 1)
            return .result { groups, _ in groups.map { last - $0 } }
        },
    ]
}

extension Site {
    /// Whether an operand is the gate of attention, head by head or element by element.
    fileprivate func isAttentionGate(_ operand: Int) -> Bool {
        guard let producer = producer(operand) else { return false }
        if case .reshape = producer.op { return producer.isAttentionGate(0) }
        return producer.givesAttentionGate
    }

    /// What bounds what a gate's function gives, where it is bounded from above only.
    fileprivate var upperBound: Double? {
        guard case .clamp(let lower, let upper) = op, lower <= -Double(Float.greatestFiniteMagnitude),
            case .unary? = producer(0)?.op
        else { return nil }
        return upper
    }

    /// Whether the result is a function of what `attn_gate` gives.
    fileprivate var givesAttentionGate: Bool {
        guard case .unary = op, let product = producer(0), case .matmul = product.op else { return false }
        return product.weight(1)?.name.hasSuffix("attn_gate.weight") ?? false
    }
}
