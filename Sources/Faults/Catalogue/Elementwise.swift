import Foundation
import ModelGraph

/// Activations, scales, and the ops that only move elements.
extension FaultCatalogue {
    static let elementwise: [Fault] = [
        Fault("swiglu-operands-swapped", "the SiLU of a gated network is applied to the wrong operand") { site in
            guard case .gated(.swiglu) = site.op else { return nil }
            return .op(site.op, site.operands.reversed())
        },
        Fault("geglu-by-erf", "the gate is activated by the exact GELU in place of its tanh approximation") { site in
            guard case .gated(.geglu) = site.op else { return nil }
            return .result { y, x in
                for i in y.values.indices { y[i] = x[0][i] / 2 * (1 + erf(x[0][i] / 2.squareRoot())) * x[1][i] }
            }
        },
        Fault("gelu-quick", "GELU is approximated by x · sigmoid(1.702 x)") { site in
            guard case .unary(.gelu) = site.op else { return nil }
            return .result { y, x in for i in y.values.indices { y[i] = x[0][i] / (1 + exp(-1.702 * x[0][i])) } }
        },
        Fault(
            "clamped-swiglu-limit-ignored", "a clamped SwiGLU has no limits: activations beyond them show it"
        ) { site in
            guard case .gated(.clampedSwiGLU(let alpha, _)) = site.op else { return nil }
            return .op(.gated(.clampedSwiGLU(alpha: alpha, limit: 1e30)), of: site)
        },
        Fault("clamped-swiglu-alpha-dropped", "the sigmoid of a clamped SwiGLU has no factor") { site in
            guard case .gated(.clampedSwiGLU(_, let limit)) = site.op else { return nil }
            return .op(.gated(.clampedSwiGLU(alpha: 1, limit: limit)), of: site)
        },
        Fault("clamped-swiglu-one-forgotten", "the linear half of a clamped SwiGLU is not raised by one") { site in
            guard case .gated(.clampedSwiGLU(let alpha, let limit)) = site.op else { return nil }
            return .result { y, x in
                for i in y.values.indices {
                    let gate = min(x[0][i], limit)
                    y[i] -= gate / (1 + exp(-alpha * gate))
                }
            }
        },
        Fault(
            "gated-tail-not-gated", "elements beyond the last whole 32 of a row pass a gated activation ungated"
        ) { site in
            guard case .gated = site.op, site.shape.last % 32 != 0 else { return nil }
            return .result { y, x in
                for row in 0..<y.shape.rows {
                    for i in row * y.shape.last + y.shape.last / 32 * 32..<(row + 1) * y.shape.last { y[i] = x[1][i] }
                }
            }
        },
        Fault("squared-relu-not-squared", "the squared ReLU is a plain one") { site in
            guard case .unary(.squaredReLU) = site.op else { return nil }
            return .op(.unary(.relu), of: site)
        },
        Fault(
            "softplus-in-half", "softplus takes the logarithm of 1 + eˣ in half precision: small ones vanish", tokens: 2
        ) { site in
            guard case .unary(.softplus) = site.op else { return nil }
            return .result { y, x in for i in y.values.indices { y[i] = log((1 + exp(x[0][i])).half) } }
        },
        Fault("sigmoid-flushed", "a sigmoid below 0.02 is zero") { site in
            guard case .unary(.sigmoid) = site.op else { return nil }
            return .result { y, _ in y.map { $0 < 0.02 ? 0 : $0 } }
        },
        Fault("embedding-scale-dropped", "the factor of the token embedding is taken to be 1") { site in
            guard case .affine(_, let bias) = site.op, let source = site.producer(0), case .rows = source.op,
                source.isInput(1, .tokens)
            else { return nil }
            return .op(.affine(scale: 1, bias: bias), of: site)
        },
        Fault("negation-dropped", "a factor of −1 is taken to be 1", tokens: 2) { site in
            guard case .affine(scale: -1, let bias) = site.op else { return nil }
            return .op(.affine(scale: 1, bias: bias), of: site)
        },
        Fault("logit-softcap-ignored", "logits are not capped") { site in
            guard case .softcap = site.op else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault("logit-softcap-not-multiplied-back", "capped logits stay between −1 and 1") { site in
            guard case .softcap(let cap) = site.op, cap != 1 else { return nil }
            return .result { y, _ in y.map { $0 / cap } }
        },
        Fault("broadcast-by-flat-index", "an operand of rows of one element repeats as if it were one row") { site in
            guard case .binary(.multiply) = site.op, site.weight(0) == nil, site.weight(1) == nil,
                site.shape(1).last == 1,
                site.shape(1).count > 1, site.shape.last > 1
            else { return nil }
            return .result { y, x in for i in y.values.indices { y[i] = x[0][i] * x[1][i % x[1].values.count] } }
        },
        Fault("addition-in-half", "sums of two values of one shape are rounded to half precision") { site in
            guard case .binary(.add) = site.op, site.shape(0) == site.shape(1) else { return nil }
            return .result { y, _ in y.map(\.half) }
        },
        Fault("bias-of-first-columns", "a bias of more than 64 elements begins again after them") { site in
            guard case .binary(.add) = site.op, let bias = site.weight(1), bias.shape.rank == 1, bias.shape.last > 64
            else {
                return nil
            }
            return .around { call in
                let bias = try call.operand(1)
                try call.run()
                call.result.mapRows { row in
                    for column in 64..<row.count { row[column] += bias[column % 64] - bias[column] }
                }
            }
        },
        Fault("slice-start-aligned", "a slice of columns begins at the multiple of 16 before its start") { site in
            guard case .slice(let axis, let start, let count) = site.op, axis == site.shape.rank - 1, start % 16 != 0
            else {
                return nil
            }
            return .op(.slice(axis: axis, start: start / 16 * 16, count: count), of: site)
        },
        Fault(
            "concatenation-start-aligned",
            "the second of two joined parts begins at the multiple of 16 before its place"
        ) { site in
            guard case .concatenate(let axis) = site.op, site.operands.count == 2, axis == site.shape.rank - 1,
                site.shape(0).last % 16 != 0
            else { return nil }
            return .result { y, parts in
                let start = parts[0].shape.last / 16 * 16
                for row in 0..<y.shape.rows {
                    let second = parts[1][row: row]
                    y[row: row] =
                        parts[0][row: row].prefix(start) + second + y[row: row].suffix(parts[0].shape.last - start)
                }
            }
        },
        Fault("sum-of-pairs-only", "a sum over an odd number of elements leaves out the last") { site in
            guard case .sum(let axis) = site.op, site.shape(0)[axis] > 1, site.shape(0)[axis] % 2 == 1 else {
                return nil
            }
            return .operand(0) { x in
                let inner = x.shape.count(after: axis)
                for i in x.values.indices where i / inner % x.shape[axis] == x.shape[axis] - 1 { x[i] = 0 }
            }
        },
    ]
}
