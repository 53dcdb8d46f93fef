import CWeights

/// The random numbers behind a toy model's weights.
///
/// Element `i` of a tensor depends on the recipe's seed, the tensor's name and `i`, and on nothing else.
/// All arithmetic is on unsigned 64-bit integers modulo 2⁶⁴ or is IEEE float64 arithmetic, one rounded
/// operation at a time, so that every platform and language gets the same bits:
///
/// ```
/// mix(z)       z ^= z >> 30;  z *= 0xBF58476D1CE4E5B9
///              z ^= z >> 27;  z *= 0x94D049BB133111EB;  z ^= z >> 31
/// key          mix(seed ^ mix(fnv1a(UTF-8 bytes of the name)))      64-bit FNV-1a
/// bits(i)      mix(key + (i + 1) · 0x9E3779B97F4A7C15)              SplitMix64, seeded with the key
///
/// normal(i)    d = (the four 16-bit fields of bits(i), added) − 131070
///              float32(mean + d · step(deviation))
/// uniform(i)   u = bits(i) >> 40
///              float32(lower + u · ((upper − lower) · 2⁻²⁴))
///
/// step(σ)      c = σ · 1.7320508075688772 = f · 2ᵉ with 1 ≤ f < 2;  ⌊f · 64⌋ · 2^(e − 22);  0 where σ = 0
/// extra(i)     mix(bits(i) ^ 0xD1B54A32D192ED03)
/// ```
///
/// An element is zero where `extra(i) >> 48 < ⌊zeros · 65536⌋`; otherwise it is multiplied by 64 where
/// `(extra(i) >> 32) & 65535 < ⌊outliers · 65536⌋`.
///
/// The sum of four uniform numbers (Irwin–Hall) has the deviation `65536/√3`, to within 10⁻¹⁰, and never
/// leaves 3.47 deviations. A step has seven significant bits and `d` has eighteen, so their product is
/// exact in float32 too. Sources: Steele, Lea and Flood 2014 (SplitMix64); Fowler, Noll and Vo (FNV).
struct WeightGenerator {
    private let key: UInt64

    init(seed: UInt64, name: String) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        key = Self.mix(seed ^ Self.mix(hash))
    }

    /// Writes elements `first ..< first + output.count`.
    func fill(
        _ output: UnsafeMutableBufferPointer<Float>, from first: Int, _ distribution: WeightDistribution
    ) {
        guard let start = output.baseAddress else { return }
        switch distribution {
        case .constant(let value):
            output.update(repeating: Float(value))
        case .normal(let mean, let deviation):
            weights_normal(start, output.count, counter(first), mean, Self.step(deviation))
        case .uniform(let lower, let upper):
            weights_uniform(start, output.count, counter(first), lower, (upper - lower) * 0x1p-24)
        }
    }

    /// Sets about a share `zeros` of the elements to zero and multiplies about a share `outliers` of the
    /// others by 64.
    func disturb(
        _ elements: UnsafeMutableBufferPointer<Float>, from first: Int, zeros: Double, outliers: Double
    ) {
        guard zeros > 0 || outliers > 0, let start = elements.baseAddress else { return }
        weights_disturb(start, elements.count, counter(first), UInt32(zeros * 65536), UInt32(outliers * 65536))
    }

    /// What the elements from `first` on count up from.
    private func counter(_ first: Int) -> UInt64 { key &+ UInt64(truncatingIfNeeded: first) &* WEIGHTS_STEP }

    private static func mix(_ bits: UInt64) -> UInt64 {
        var z = bits
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private static func step(_ deviation: Double) -> Double {
        let scaled = deviation * 1.7320508075688772
        guard scaled > 0, scaled.isFinite else { return 0 }
        return (scaled.significand * 64).rounded(.down)
            * Double(sign: .plus, exponent: scaled.exponent - 22, significand: 1)
    }
}
