import ModelGraph

/// How experts are weighed, bounded, and joined by others that every token uses.
extension FaultCatalogue {
    static let mixtures: [Fault] = [
        Fault("shared-experts-not-gated", "the sigmoid that weighs shared experts is taken to be 1") { site in
            site.gatesRows ? .op(.affine(scale: 1, bias: 0), [site.operands[0]]) : nil
        },
        Fault(
            "shared-experts-gate-of-first-token", "all tokens of a micro-batch gate shared experts as the first does",
            tokens: 2
        ) { site in
            guard site.gatesRows, site.shape[0] > 1 else { return nil }
            return .operand(1) { gates in for t in 1..<gates.shape[0] { gates[row: t] = gates[row: 0] } }
        },
        Fault("router-not-capped", "the logits of a router are not capped") { site in
            guard case .softcap = site.op, site.isRouterLogit(0) else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault("clamp-ignored", "values are not clamped") { site in
            guard case .clamp(let lower, _) = site.op, lower < 0 else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault("clamp-from-above-only", "of two bounds, the lower one is ignored") { site in
            guard case .clamp(let lower, let upper) = site.op, lower == -upper else { return nil }
            return .op(.clamp(lower: -.greatestFiniteMagnitude, upper: upper), of: site)
        },
        Fault("gate-clamped-after-activation", "a gate is activated before it is bounded") { site in
            guard case .gated(.swiglu) = site.op, let clamp = site.producer(0), case .clamp(_, let limit) = clamp.op
            else { return nil }
            return .result { y, operands in
                for i in y.values.indices where operands[0][i] == limit { y[i] = limit * operands[1][i] }
            }
        },
        Fault("experts-far-behind-count", "a sparse mixer's softmax is over experts that are far behind, too") { site in
            guard case .clamp(lower: 0, upper: 1) = site.op else { return nil }
            return .op(.affine(scale: 0, bias: 1), of: site)
        },
        Fault("parts-not-averaged", "the mean of routed and shared experts is their sum") { site in
            guard case .affine(scale: 0.5, bias: 0) = site.op, let sum = site.producer(0), case .binary(.add) = sum.op
            else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
    ]
}

extension Site {
    /// Whether each row is multiplied by one sigmoid.
    fileprivate var gatesRows: Bool {
        guard case .binary(.multiply) = op, let gate = producer(1),
            case .unary(.sigmoid) = gate.op else { return false }
        return gate.shape.last == 1 && shape.last > 1
    }
}
