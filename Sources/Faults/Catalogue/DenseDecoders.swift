import Foundation
import ModelGraph

/// What decoders before Llama have and few have since: clamped projections, exact GELU, norms with weights of each
/// head, slopes of ALiBi that a key says, one norm for two networks.
extension FaultCatalogue {
    static let denseDecoders: [Fault] = [
        Fault("clamp-above-only", "what should be clamped on both sides has no lower bound") { site in
            guard case .clamp(_, let upper) = site.op else { return nil }
            return .op(.clamp(lower: -1e30, upper: upper), of: site)
        },
        Fault("exact-gelu-by-tanh", "the exact GELU is approximated by tanh") { site in
            guard case .unary(.geluErf) = site.op else { return nil }
            return .op(.unary(.gelu), of: site)
        },
        Fault("head-weights-of-first-only", "norms with weights of each head multiply the first head only") { site in
            guard case .binary(.multiply) = site.op, site.weight(1) != nil, site.shape(1).rank == 2,
                site.shape.rank == 3
            else {
                return nil
            }
            return .result { y, x in
                let (heads, size) = (y.shape[1], y.shape[2])
                for i in y.values.indices where i / size % heads > 0 { y[i] = x[0][i] }
            }
        },
        Fault(
            "alibi-maximum-fixed", "ALiBi's steepest slope is that of an exponent of 8, whatever the model says",
            tokens: 2) { site in
            guard case .alibi(let heads, let maxBias) = site.op, maxBias != 8 else { return nil }
            return .op(.alibi(heads: heads, maxBias: 8), of: site)
        },
        Fault(
            "attention-scale-by-root", "scores that the size of a head divides are divided by its root",
            tokens: 2) { site in
            guard case .attention(var attention) = site.op else { return nil }
            let size = Double(site.shape(0).last)
            guard abs(attention.scale * size - 1) < 1e-9 else { return nil }
            attention.scale = 1 / size.squareRoot()
            return .op(.attention(attention), of: site)
        },
    ]
}
