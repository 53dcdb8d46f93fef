import Foundation
import ModelGraph

/// Rotary and learned positions, position biases, and the rotation of a cache whose sequence is shifted.
extension FaultCatalogue {
    static let positions: [Fault] = [
        rope(
            "rope-rotates-whole-head", "RoPE rotates every element of a head, whatever the number to rotate"
        ) { rope, site in
            guard !rope.factors, site.shape.last % 2 == 0 else { return }
            rope.attributes.offset = 0
            rope.attributes.dimensions = site.shape.last
        },
        rope("rope-pairing-swapped", "RoPE pairs neighbours where it should pair halves, and the reverse") { rope, _ in
            guard rope.attributes.dimensions > 2 else { return }
            rope.attributes.pairing = rope.attributes.pairing == .neox ? .normal : .neox
        },
        rope("rope-magnitude-dropped", "the magnitude of YaRN, and any other, is taken to be 1") { rope, _ in
            rope.attributes.magnitude = 1
        },
        rope("rope-factors-ignored", "RoPE does not divide its frequencies by the model's factors") { rope, _ in
            rope.factors = false
        },
        rope("rope-extrapolation-ignored", "RoPE under YaRN interpolates all frequencies alike") { rope, _ in
            rope.attributes.extrapolation = 0
        },
        rope("rope-linear-scale-ignored", "RoPE under linear scaling does not stretch positions") { rope, _ in
            if rope.attributes.extrapolation == 0 { rope.attributes.frequencyScale = 1 }
        },
        rope("rope-beta-defaults", "the ramp of YaRN ends at 32 times its context, whatever the model's") { rope, _ in
            if rope.attributes.extrapolation != 0 { rope.attributes.originalContext *= 32 }
        },
        rope(
            "rope-offset-ignored", "RoPE rotates the first elements of a head, wherever those to rotate begin"
        ) { rope, _ in
            rope.attributes.offset = 0
        },
        Fault(
            "rope-position-in-batch", "RoPE counts positions from the beginning of each micro-batch", tokens: 2
        ) { site in
            guard case .rope = site.op, site.isInput(1, .positions) else { return nil }
            return .operand(1) { positions in
                let first = positions[0]
                positions.map { $0 - first }
            }
        },
        Fault(
            "rope-positions-kept-on-reuse", "a graph that runs again rotates by the positions of its first run",
            tokens: 2
        ) { site in
            guard case .rope = site.op, site.isInput(1, .positions) else { return nil }
            return .around { call in
                call.operands[1] = call.first[1]
                try call.run()
            }
        },
        Fault("rope-last-odd-head-unrotated", "RoPE leaves out the last of an odd number of heads", tokens: 2) { site in
            guard case .rope = site.op, site.isInput(1, .positions), site.shape[1] > 1, site.shape[1] % 2 == 1 else {
                return nil
            }
            return .result { y, x in
                for row in stride(from: y.shape[1] - 1, to: y.shape.rows, by: y.shape[1]) {
                    y[row: row] = x[0][row: row]
                }
            }
        },

        // MARK: Learned positions and biases

        Fault(
            "learned-position-in-batch", "learned positions count from the beginning of each micro-batch", tokens: 2
        ) { site in
            guard case .rows = site.op, site.isInput(1, .positions) else { return nil }
            return .operand(1) { positions in
                for t in positions.values.indices { positions[t] = Double(t) }
            }
        },
        Fault(
            "alibi-slopes-of-power-of-two", "ALiBi's slopes for heads that are no power of two are not interleaved",
            tokens: 2
        ) { site in
            guard case .alibi(let heads, let maxBias) = site.op, heads.nonzeroBitCount > 1 else { return nil }
            return .result { y, _ in
                for h in 0..<heads {
                    let ratio =
                        exp2(-maxBias * Double(h + 1) / Double(heads))
                        / alibiSlope(head: h, heads: heads, maxBias: maxBias)
                    y[block: h] = y[block: h].map { $0 * ratio }
                }
            }
        },
        Fault(
            "alibi-begins-at-head-zero", "ALiBi's first slope is 1: all are twice too large or more", tokens: 2
        ) { site in
            guard case .alibi(let heads, let maxBias) = site.op else { return nil }
            return .result { y, _ in
                for h in 1..<heads {
                    let ratio =
                        alibiSlope(head: h - 1, heads: heads, maxBias: maxBias)
                        / alibiSlope(head: h, heads: heads, maxBias: maxBias)
                    y[block: h] = y[block: h].map { $0 * ratio }
                }
                y[block: 0] = y[block: 0].map { $0 / alibiSlope(head: 0, heads: heads, maxBias: maxBias) }
            }
        },
        Fault(
            "relative-bucket-off-by-one", "cells are looked up in the bucket of the next distance", tokens: 3
        ) { site in
            guard case .relativePositionBias(bidirectional: false, _) = site.op else { return nil }
            return .operand(1) { $0.map { $0 + 1 } }
        },
        Fault(
            "relative-bucket-of-decoder", "an encoder's position biases are looked up as a decoder's", tokens: 3
        ) { site in
            guard case .relativePositionBias(bidirectional: true, let maxDistance) = site.op else { return nil }
            return .op(.relativePositionBias(bidirectional: false, maxDistance: maxDistance), of: site)
        },
        Fault("attention-temperature-ignored", "queries do not grow with their position", tokens: 2) { site in
            guard case .attentionTemperature(_, let length, let offset) = site.op else { return nil }
            return .op(.attentionTemperature(scale: 0, length: length, offset: offset), of: site)
        },
        Fault(
            "attention-temperature-not-floored", "queries grow with every position, not once in so many", tokens: 2
        ) { site in
            guard case .attentionTemperature(let scale, let length, let offset) = site.op, length > 1 else {
                return nil
            }
            return .result { y, x in
                for i in y.values.indices { y[i] = 1 + scale * log(1 + (x[0][i] + offset) / length) }
            }
        },

        // MARK: Shifts

        rope(
            "shift-scales-again", "a shift multiplies cached keys by YaRN's magnitude once more", by: .shifts
        ) { rope, site in
            let rotation = site.graph.states.first { $0.layer == site.node.layer }?.rotation
            rope.attributes.magnitude = rotation?.rope.magnitude ?? 1
        },
        rope(
            "shift-without-frequency-scale", "a shift rotates cached keys as if positions were not stretched",
            by: .shifts
        ) { rope, _ in
            rope.attributes.frequencyScale = 1
        },
        rope(
            "shift-ignores-factors", "a shift rotates cached keys without the model's frequency factors", by: .shifts
        ) { rope, _ in
            rope.factors = false
        },
        rope(
            "shift-ignores-offset",
            "a shift rotates the first elements of cached keys, not those that hold the position", by: .shifts
        ) { rope, _ in
            rope.attributes.offset = 0
        },
        Fault(
            "shift-ignored", "cached keys keep their rotation when their positions are shifted", tokens: 2
        ) { site in
            guard case .rope = site.op, site.isInput(1, .shifts) else { return nil }
            return .operand(1) { $0.map { _ in 0 } }
        },
        Fault("shift-rotates-twice", "cached keys are rotated by twice the shift", tokens: 2) { site in
            guard case .rope = site.op, site.isInput(1, .shifts) else { return nil }
            return .operand(1) { $0.map { 2 * $0 } }
        },
        Fault("shift-of-first-head", "a shift rotates the first key head of each cell only", tokens: 2) { site in
            guard case .rope = site.op, site.isInput(1, .shifts), site.shape[1] > 1 else { return nil }
            return .result { y, x in
                for row in 0..<y.shape.rows where row % y.shape[1] > 0 { y[row: row] = x[0][row: row] }
            }
        },
    ]

    private struct RopeOp {
        var attributes: Rope
        /// Whether frequency factors are an operand.
        var factors: Bool
    }

    /// A fault in the rotation of queries and keys, or of cached keys. A token alone sees itself, at no distance.
    /// - Parameter input: by what is rotated.
    private static func rope(
        _ name: String, _ about: String, by input: Input = .positions,
        _ change: @escaping @Sendable (inout RopeOp, Site) -> Void
    ) -> Fault {
        Fault(name, about, tokens: 2) { site in
            guard case .rope(let attributes, let factors) = site.op, site.isInput(1, input) else { return nil }
            var rope = RopeOp(attributes: attributes, factors: factors)
            change(&rope, site)
            let op = Op.rope(rope.attributes, factors: rope.factors)
            return op == site.op ? nil : .op(op, Array(site.operands.prefix(rope.factors ? 3 : 2)))
        }
    }
}
