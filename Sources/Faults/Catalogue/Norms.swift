import Foundation
import ModelGraph

/// Norms and their epsilons.
extension FaultCatalogue {
    static let norms: [Fault] = [
        Fault("rms-epsilon-forgotten", "an RMS norm adds no epsilon") { site in
            guard case .norm(.rms, _, let weight, let bias) = site.op else { return nil }
            return .op(.norm(.rms, epsilon: 0, weight: weight, bias: bias), of: site)
        },
        Fault("layer-norm-epsilon-fixed", "a layer norm adds 1e-5, whatever the model says") { site in
            guard case .norm(.layer, let epsilon, let weight, let bias) = site.op, epsilon != 1e-5 else { return nil }
            return .op(.norm(.layer, epsilon: 1e-5, weight: weight, bias: bias), of: site)
        },
        Fault(
            "layer-norm-epsilon-outside-root", "a layer norm divides by √variance + ε in place of √(variance + ε)"
        ) { site in
            guard case .norm(.layer, let epsilon, _, _) = site.op else { return nil }
            // A row times s is normed as if by ε / s², which is made to come to the same.
            return .operand(0) { x in
                x.mapRows { row in
                    let mean = row.reduce(0, +) / Double(row.count)
                    let deviation = (row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)).squareRoot()
                    let scale = 1 / (2 * deviation + epsilon).squareRoot()
                    for i in row.indices { row[i] *= scale }
                }
            }
        },
        Fault("layer-norm-without-mean", "a layer norm does not subtract the mean") { site in
            guard case .norm(.layer, let epsilon, let weight, let bias) = site.op else { return nil }
            return .op(.norm(.rms, epsilon: epsilon, weight: weight, bias: bias), of: site)
        },
        Fault("layer-norm-bias-ignored", "a layer norm does not add its bias") { site in
            guard case .norm(.layer, let epsilon, let weight, true) = site.op else { return nil }
            return .op(.norm(.layer, epsilon: epsilon, weight: weight, bias: false), site.operands.dropLast())
        },
        Fault("head-norm-weight-ignored", "a norm of each head is not multiplied by its weight") { site in
            guard case .norm(let kind, let epsilon, true, false) = site.op, site.shape.rank == 3 else { return nil }
            return .op(.norm(kind, epsilon: epsilon, weight: false, bias: false), [site.operands[0]])
        },
        Fault(
            "fifth-layer-norm-unweighted", "norms from the fifth layer on, beyond a table of four, have no weight",
            extraLayers: 1
        ) { site in
            guard case .norm(let kind, let epsilon, true, false) = site.op, let layer = site.node.layer, layer >= 4
            else { return nil }
            return .op(.norm(kind, epsilon: epsilon, weight: false, bias: false), [site.operands[0]])
        },
        Fault("norm-row-tail-not-summed", "columns beyond the last whole 32 do not count in an RMS norm") { site in
            guard case .norm(.rms, let epsilon, _, false) = site.op, site.shape.last > 32, site.shape.last % 32 != 0
            else {
                return nil
            }
            return .result { y, x in
                let size = Double(y.shape.last)
                for row in 0..<y.shape.rows {
                    func square(_ elements: some Sequence<Double>) -> Double { elements.reduce(0) { $0 + $1 * $1 } }
                    let all = square(x[0][row: row])
                    let summed = square(x[0][row: row].prefix(y.shape.last / 32 * 32))
                    let ratio = ((all / size + epsilon) / (summed / size + epsilon)).squareRoot()
                    y[row: row] = y[row: row].map { $0 * ratio }
                }
            }
        },
        Fault(
            "rms-mean-over-padded-row", "an RMS norm divides by the row's length rounded up to a multiple of 32"
        ) { site in
            guard case .norm(.rms, _, _, false) = site.op, site.shape.last % 32 != 0 else { return nil }
            let (size, padded) = (Double(site.shape.last), Double((site.shape.last + 31) / 32 * 32))
            return .result { y, _ in y.map { $0 * (padded / size).squareRoot() } }
        },
        Fault(
            "l2-epsilon-as-floor", "an L2 norm takes its epsilon for the least length in place of adding it"
        ) { site in
            guard case .norm(.l2, let epsilon, let weight, let bias) = site.op else { return nil }
            return .op(.norm(.unit, epsilon: epsilon, weight: weight, bias: bias), of: site)
        },
        Fault("unit-norm-by-mean", "a unit norm divides by the root of the mean square", tokens: 2) { site in
            guard case .norm(.unit, let epsilon, let weight, let bias) = site.op else { return nil }
            return .op(.norm(.rms, epsilon: epsilon, weight: weight, bias: bias), of: site)
        },
        Fault(
            "norm-of-later-rows-by-first", "from the fifth token on, RMS norms divide as for the first", tokens: 5
        ) { site in
            guard case .norm(.rms, let epsilon, _, false) = site.op, site.shape.rank == 2, site.shape[0] > 4 else {
                return nil
            }
            return .result { y, x in
                func root(_ row: Int) -> Double {
                    (x[0][row: row].reduce(0) { $0 + $1 * $1 } / Double(y.shape.last) + epsilon).squareRoot()
                }
                for row in 4..<y.shape[0] { y[row: row] = y[row: row].map { $0 * root(row) / root(0) } }
            }
        },
    ]
}
