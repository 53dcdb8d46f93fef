import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x) → f(x)`; the functions are defined at `Unary`.
    static func unary(_ function: Unary, _ x: ReferenceValue) -> [Double] {
        switch function {
        case .silu: x.elements.map(silu)
        case .gelu: x.elements.map(gelu)
        case .relu: x.elements.map { max($0, 0) }
        case .squaredReLU: x.elements.map { max($0, 0) * max($0, 0) }
        case .sigmoid: x.elements.map(sigmoid)
        case .tanh: x.elements.map(tanh)
        case .exp: x.elements.map(exp)
        case .softplus: x.elements.map(softplus)
        }
    }

    static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    static func silu(_ x: Double) -> Double { x * sigmoid(x) }
    static func gelu(_ x: Double) -> Double { x / 2 * (1 + tanh((2 / .pi).squareRoot() * (x + 0.044715 * x * x * x))) }
    /// `ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|)`, which does not overflow.
    static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

    /// `(a, b) → a ∘ b`, with `b` repeated to fill `a`'s shape.
    static func binary(_ function: Binary, _ a: ReferenceValue, _ b: ReferenceValue) -> [Double] {
        let pairs = zip(a.elements, broadcast(b, a.shape))
        return switch function {
        case .add: pairs.map { $0 + $1 }
        case .subtract: pairs.map { $0 - $1 }
        case .multiply: pairs.map { $0 * $1 }
        case .divide: pairs.map { $0 / $1 }
        }
    }

    /// `(x) → x · scale + bias`.
    static func affine(_ x: ReferenceValue, _ scale: Double, _ bias: Double) -> [Double] {
        x.elements.map { $0 * scale + bias }
    }

    /// `(x) → min(max(x, lower), upper)`.
    static func clamp(_ x: ReferenceValue, _ lower: Double, _ upper: Double) -> [Double] {
        x.elements.map { min(max($0, lower), upper) }
    }

    /// `(x) → cap · tanh(x / cap)`.
    static func softcap(_ x: ReferenceValue, _ cap: Double) -> [Double] {
        x.elements.map { softcap($0, cap) }
    }

    static func softcap(_ x: Double, _ cap: Double) -> Double { cap * tanh(x / cap) }

    /// `(gate, up) → f(gate, up)`; the functions are defined at `GatedActivation`.
    static func gated(_ activation: GatedActivation, _ gate: ReferenceValue, _ up: ReferenceValue) -> [Double] {
        let pairs = zip(gate.elements, up.elements)
        switch activation {
        case .swiglu: return pairs.map { silu($0) * $1 }
        case .geglu: return pairs.map { gelu($0) * $1 }
        case .clampedSwiGLU(let alpha, let limit):
            return pairs.map { gate, up in
                let g = min(gate, limit)
                let u = min(max(up, -limit), limit)
                return g * sigmoid(alpha * g) * (u + 1)
            }
        }
    }
}
