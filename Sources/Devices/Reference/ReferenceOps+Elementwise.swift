import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x) → f(x)`; the functions are defined at `Unary`.
    static func unary(_ function: Unary, _ x: ReferenceValue, _ y: Doubles, _ rounder: Rounder) {
        let count = x.count
        switch function {
        case .silu: for i in 0..<count { y[i] = silu(x[i]) }
        case .gelu: for i in 0..<count { y[i] = gelu(x[i], rounder) }
        case .geluErf: for i in 0..<count { y[i] = geluErf(x[i], rounder) }
        case .relu: for i in 0..<count { y[i] = max(x[i], 0) }
        case .squaredReLU: for i in 0..<count { y[i] = max(x[i], 0) * max(x[i], 0) }
        case .sigmoid: for i in 0..<count { y[i] = sigmoid(x[i]) }
        case .tanh: for i in 0..<count { y[i] = tanh(x[i]) }
        case .exp: for i in 0..<count { y[i] = exp(x[i]) }
        case .softplus: for i in 0..<count { y[i] = softplus(x[i], rounder) }
        // Of a polynomial and an exponential.
        case .erf: for i in 0..<count { y[i] = rounder.inner(erf(x[i]), errors: 2) }
        case .step: for i in 0..<count { y[i] = x[i] > 0 ? 1 : 0 }
        case .rootOfSoftplus: for i in 0..<count { y[i] = rounder.inner(max(0, softplus(x[i], rounder))).squareRoot() }
        }
    }

    static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    static func silu(_ x: Double) -> Double { x * sigmoid(x) }
    static func gelu(_ x: Double, _ rounder: Rounder) -> Double {
        rounder.tabulated(x) { x in
            x / 2 * (1 + rounder.inner(tanh((2 / .pi).squareRoot() * (x + 0.044715 * x * x * x))))
        }
    }
    static func geluErf(_ x: Double, _ rounder: Rounder) -> Double {
        rounder.tabulated(x) { x in x / 2 * (1 + rounder.inner(erf(x / 2.squareRoot()))) }
    }
    /// `ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|)`, which does not overflow.
    static func softplus(_ x: Double, _ rounder: Rounder) -> Double {
        let power = exp(-abs(x))
        // That of the sum `1 + power`, which log1p does not form: at most, power is lost.
        let error = min(power, max(-power, rounder.inner(1) - 1))
        return max(x, 0) + log1p(power) + error
    }

    /// `(a, b) → a ∘ b`, with `b` repeated to fill `a`'s shape.
    static func binary(_ function: Binary, _ a: ReferenceValue, _ b: ReferenceValue, _ y: Doubles) {
        let count = a.count
        var b = b
        if b.shape != a.shape {
            broadcast(b, a.shape, y)
            b = ReferenceValue(a.shape, y)
        }
        switch function {
        case .add: for i in 0..<count { y[i] = a[i] + b[i] }
        case .subtract: for i in 0..<count { y[i] = a[i] - b[i] }
        case .multiply: for i in 0..<count { y[i] = a[i] * b[i] }
        case .divide: for i in 0..<count { y[i] = a[i] / b[i] }
        }
    }

    /// `(x) → x · scale + bias`.
    static func affine(_ x: ReferenceValue, _ scale: Double, _ bias: Double, _ y: Doubles) {
        for i in 0..<x.count { y[i] = x[i] * scale + bias }
    }

    /// `(x) → min(max(x, lower), upper)`.
    static func clamp(_ x: ReferenceValue, _ lower: Double, _ upper: Double, _ y: Doubles) {
        for i in 0..<x.count { y[i] = min(max(x[i], lower), upper) }
    }

    /// `(x) → cap · tanh(x / cap)`.
    static func softcap(_ x: ReferenceValue, _ cap: Double, _ y: Doubles) {
        for i in 0..<x.count { y[i] = softcap(x[i], cap) }
    }

    static func softcap(_ x: Double, _ cap: Double) -> Double { cap * tanh(x / cap) }

    /// `(x) → xielu(x)`; the function is defined at `XIELU`.
    static func xielu(_ x: ReferenceValue, _ function: XIELU, _ y: Doubles) {
        for i in 0..<x.count {
            let curve = x[i] > 0
                ? function.positive * x[i] * x[i] : function.negative * (expm1(min(x[i], function.epsilon)) - x[i])
            y[i] = curve + function.beta * x[i]
        }
    }

    /// `(gate, up) → f(gate, up)`; the functions are defined at `GatedActivation`.
    static func gated(
        _ activation: GatedActivation, _ gate: ReferenceValue, _ up: ReferenceValue, _ y: Doubles, _ rounder: Rounder
    ) {
        let count = gate.count
        switch activation {
        case .swiglu: for i in 0..<count { y[i] = silu(gate[i]) * up[i] }
        case .geglu: for i in 0..<count { y[i] = gelu(gate[i], rounder) * up[i] }
        case .clampedSwiGLU(let alpha, let limit):
            for i in 0..<count {
                let g = min(gate[i], limit)
                let u = min(max(up[i], -limit), limit)
                y[i] = g * sigmoid(alpha * g) * (u + 1)
            }
        }
    }
}
