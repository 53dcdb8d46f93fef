import Foundation
import ModelGraph

/// xIELU, and the factors of residuals, scores and logits.
extension FaultCatalogue {
    static let decoders: [Fault] = [
        Fault("xielu-square-dropped", "the positive half of xIELU grows with x in place of x²") { site in
            guard case .xielu(let function) = site.op else { return nil }
            return .result { y, x in
                for i in y.values.indices where x[0][i] > 0 {
                    y[i] = (function.positive + function.beta) * x[0][i]
                }
            }
        },
        Fault("xielu-beta-dropped", "xIELU lacks its linear term") { site in
            guard case .xielu(var function) = site.op, function.beta != 0 else { return nil }
            function.beta = 0
            return .op(.xielu(function), of: site)
        },
        Fault("xielu-halves-swapped", "the parameters of xIELU's halves are taken for each other") { site in
            guard case .xielu(let function) = site.op, function.positive != function.negative else { return nil }
            var swapped = function
            (swapped.positive, swapped.negative) = (function.negative, function.positive)
            return .op(.xielu(swapped), of: site)
        },
        Fault("residual-scale-dropped", "what a part adds to the residual stream is taken with a factor of 1") { site in
            guard case .affine(let scale, 0) = site.op, scale != 1, let source = site.producer(0),
                case .matmul = source.op, let name = source.weight(1)?.name,
                name.hasSuffix("attn_output.weight") || name.hasSuffix("ffn_down.weight")
            else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault("logit-scale-dropped", "the factor of the logits is taken to be 1") { site in
            guard case .affine(let scale, 0) = site.op, scale != 1, let source = site.producer(0),
                case .matmul = source.op, let name = source.weight(1)?.name,
                ["output.weight", "token_embd.weight"].contains(name)
            else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault(
            "attention-scale-by-head-size", "scores are divided by √(the size of a head), whatever the factor",
            tokens: 2
        ) { site in
            guard case .attention(var attention) = site.op else { return nil }
            let scale = 1 / Double(site.shape(0).last).squareRoot()
            guard attention.scale != scale else { return nil }
            attention.scale = scale
            return .op(.attention(attention), of: site)
        },
    ]
}
