import ModelGraph

/// Derivatives: results are as they should be.
extension FaultCatalogue {
    static let gradients: [Fault] = [
        .ofGradients(
            "gradient-mask-forgotten", "going back through attention, a token gives to cells that it does not see"
        ) { site in
            guard case .attentionWeights = site.op else { return nil }
            return .operand(1) { mask in mask.map { $0 == -.infinity ? 0 : $0 } }
        },
        .ofGradients(
            "gradient-scale-squared", "going back through attention, scores are scaled twice", tokens: 2
        ) { site in
            guard case .affine(let scale, 0) = site.op, site.producer(0)?.isOfScores ?? false else { return nil }
            return .op(.affine(scale: scale * scale, bias: 0), of: site)
        },
        .ofGradients(
            "gradient-of-softmax-without-mean", "going back through attention, the mean is not taken off"
        ) { site in
            guard site.isOfScores, let difference = site.producer(0) else { return nil }
            return .op(site.op, [difference.operands[0], site.operands[1]])
        },
        .ofGradients("gradient-of-last-expert-lost", "the weights of the last expert have no gradient") { site in
            guard case .scatterProducts(let count) = site.op else { return nil }
            return .result { y, _ in y.zeroBlocks(from: count - 1) }
        },
        .ofGradients(
            "gradient-of-first-expert-only", "the weights of the first token's first expert alone have a gradient", tokens: 2
        ) { site in
            guard case .scatterProducts = site.op, site.shape(2)[0] > 1 else { return nil }
            return .operand(0) { a in
                // Whoever comes later gives nothing.
                for row in 1..<a.shape[0] { a[row: row] = a[row: row].map { _ in 0 } }
            }
        },
        .ofGradients(
            "gradient-of-row-overwritten", "of a row that is looked up twice, the last gradient counts alone",
            tokens: 2
        ) { site in
            guard case .scatterRows = site.op, site.shape(1)[0] > 1 else { return nil }
            return .result { y, x in
                for (block, row) in x[1].values.enumerated() where x[1].shape.rank == 1 {
                    y[block: Int(row)] = x[0][block: block]
                }
            }
        },
        .ofGradients(
            "gradient-rotated-forward", "going back through a rotation, pairs are turned on, not back", tokens: 2
        ) { site in
            guard case .rope(var rope, let factors) = site.op, rope.isReversed else { return nil }
            rope.isReversed = false
            return .op(.rope(rope, factors: factors), of: site)
        },
        .ofGradients("gradient-of-norm-by-sum", "going back through an RMS norm, sums are taken for means") { site in
            guard case .normAdjoint(.rms, let epsilon) = site.op else { return nil }
            return .op(.normAdjoint(.l2, epsilon: epsilon), of: site)
        },
        .ofGradients("gradient-within-a-token", "nothing goes back through a recurrent state", tokens: 2) { site in
            guard case .recurrenceAdjoint = site.op else { return nil }
            return .operand(7) { slots in for token in slots.values.indices { slots[token] = Double(token) } }
        },
        .ofGradients(
            "gradient-to-the-wrong-neighbour", "going back to the token before, it is the one after", tokens: 2
        ) { site in
            guard case .neighbours(let distance) = site.op else { return nil }
            return .op(.neighbours(distance: -distance), of: site)
        },
        .ofGradients(
            "gradient-of-sum-of-losses", "the gradient is that of the sum of the losses, not of their mean", tokens: 2
        ) { site in
            guard case .crossEntropyAdjoint = site.op else { return nil }
            let rows = Double(site.shape[0])
            return .result { y, _ in y.map { $0 * rows } }
        },
        .ofGradients("gradient-through-closed-relu", "going back through a ReLU, what it has cut passes too") { site in
            guard case .unary(.step) = site.op else { return nil }
            return .result { y, _ in y.map { _ in 1 } }
        },
        .ofGradients("gradient-of-first-bucket-only", "all relative positions give to the first bucket") { site in
            guard case .relativePositionBiasAdjoint = site.op else { return nil }
            return .operand(2) { cells in cells.map { _ in 0 } }
        },
    ]
}

extension Site {
    /// Whether it is the last step back to an attention's scores.
    fileprivate var isOfScores: Bool {
        guard op == .binary(.multiply), let weights = producer(1), case .attentionWeights = weights.op,
            producer(0)?.op == .binary(.subtract)
        else { return false }
        return true
    }
}
