/// How the elements of a tensor are drawn: see `WeightGenerator` for the arithmetic.
public enum WeightDistribution: Hashable, Sendable, Codable {
    case constant(value: Double)
    /// About Gaussian, but bounded: no element is further than 3.47 deviations from the mean.
    case normal(mean: Double, deviation: Double)
    /// Uniform in `lower ..< upper`.
    case uniform(lower: Double, upper: Double)

    /// Every parameter times `factor`.
    func scaled(by factor: Double) -> WeightDistribution {
        switch self {
        case .constant(let value): .constant(value: value * factor)
        case .normal(let mean, let deviation): .normal(mean: mean * factor, deviation: deviation * factor)
        case .uniform(let lower, let upper): .uniform(lower: lower * factor, upper: upper * factor)
        }
    }

    /// `1/√n` cut to seven significant bits, so that what it multiplies stays short.
    static func inverseRoot(_ n: Int) -> Double {
        let root = 1 / Double(max(1, n)).squareRoot()
        return (root.significand * 64).rounded(.down) * Double(sign: .plus, exponent: root.exponent - 6, significand: 1)
    }

    var isFinite: Bool {
        switch self {
        case .constant(let value): Float(value).isFinite
        case .normal(let mean, let deviation): Float(mean).isFinite && Float(deviation * 4).isFinite && deviation >= 0
        case .uniform(let lower, let upper): Float(lower).isFinite && Float(upper).isFinite && lower <= upper
        }
    }
}
