import ModelGraph

/// Arithmetic of another precision, imitated: every op's result is randomly rounded.
///
/// The spread of a few such runs is the error that correct arithmetic of that precision makes on the very same
/// case: its noise floor. A run is determined by the seed and by what the device runs, in order.
public struct Rounding: Hashable, Sendable, Codable {
    public var seed: UInt64
    public var precision: Precision

    public init(seed: UInt64, precision: Precision) {
        self.seed = seed
        self.precision = precision
    }
}

extension Precision.Format {
    /// The unit roundoff: the largest relative error of rounding to nearest. float64 is what the reference
    /// computes in: nothing is rounded.
    public var unit: Double {
        switch self {
        case .float64: 0
        case .float32: 0x1p-24
        case .float16: 0x1p-11
        }
    }
}

/// A stream of random numbers: SplitMix64, a hash of a counter.
/// Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
struct RandomStream {
    private var state: UInt64

    init(seed: UInt64, stream: UInt64) { state = Self.mixed(Self.mixed(seed) &+ stream) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mixed(state)
    }

    private static func mixed(_ counter: UInt64) -> UInt64 {
        var z = counter
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Rounds, or does nothing, as a run of the reference asks for.
final class Rounder {
    private let unit: Double
    private var random: RandomStream
    let isExact: Bool

    init(_ rounding: Rounding?, run: UInt64) {
        unit = rounding?.precision.storage.unit ?? 0
        random = RandomStream(seed: rounding?.seed ?? 0, stream: run)
        isExact = unit == 0
    }

    /// Multiplies each element by `1 + unit · ξ`.
    func round(_ elements: inout [Double]) {
        guard !isExact else { return }
        for i in elements.indices { elements[i] *= 1 + unit * symmetric() }
    }

    /// Up or down to half precision, so that the expectation is `x`; to nearest if nothing is rounded.
    func half(_ x: Double) -> Double { isExact ? nearestHalf(x) : stochasticHalf(x, fraction: (symmetric() + 1) / 2) }

    /// Uniform in −1 ..< 1.
    private func symmetric() -> Double { Double(Int64(bitPattern: random.next()) >> 11) * 0x1p-52 }
}
