import CReference

/// Arithmetic of another precision, imitated by random rounding.
///
/// The spread of a few such runs is the error that correct arithmetic of that precision makes on the very same
/// case: its noise floor. A run is determined by the seed and by what the device runs, in order.
///
/// What is modelled, with `ξ` uniform in −1 ..< 1 and drawn anew for each number, `u` the unit roundoff of the
/// storage and `v` that of the accumulation:
///
/// - *Results*: every real result `y` of an op becomes `y · (1 + u ξ)`. Exact on any device, and left alone, are
///   indices, masks, zeros and infinities, and results that are only moved or chosen: rows of a table, slices,
///   joined and repeated elements, caches, clamped values, selected weights, shifted tokens.
/// - *Sums* of `n` products: `v · √(Σ p²) · √(n / 8) · ξ` is added. The sum of `n / W` terms in each of `W` lanes
///   rounds partial sums that grow like a random walk, which makes `√(n / 2W)` roundings of the root sum of
///   squares; `W` is 4, the narrowest vector in use. (One sum without lanes makes twice that, sixteen half.) A
///   rounded result lacks this error where terms cancel, and rounded operands have only its part `√(Σ p²)`.
/// - *Sums of like sign* (the divisors of norms and softmax, the routing score of a group) become
///   `s · (1 + v ξ)`: one error that all elements of a row share, which independent errors of results lack.
/// - *Arguments of exponentials*: scores, less the greatest, are multiplied by `1 + v ξ`, since an absolute error
///   of a large score is a relative one of its weight. The weights are rounded likewise.
/// - *Angles* of rope: `angle · (1 + (1 + i) v ξ)` for pair `i`, alike in all heads, since engines get the
///   frequency of a pair by multiplying that of the pair before.
/// - *Cancellation inside an op*: the tanh in `1 + tanh` of gelu and the sum in `ln(1 + eˣ)` of softplus.
///   Elsewhere, an intermediate product or sum of an elementwise op errs no more than its rounded operands.
/// - *Recurrent states* are stored after each token, so they are rounded as results are, and so are the decays
///   and steps that whole rows of them share. (Convolution and token shift keep copies.)
/// - *Half-precision caches*: a number is stored as one of its two neighbours, each with the probability that
///   keeps the expectation. Rounded to nearest, a number next to the middle between two, which a device's
///   error moves to the other side, would look like an error a thousand times the floor.
///
/// Overflow and gradual underflow of the narrower formats are not modelled.
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

/// Rounds what the ops of one run compute, where it is to be rounded. See `Rounding`.
final class Rounder {
    let isExact: Bool
    private let resultUnit: Double
    private let innerUnit: Double
    /// Random numbers are hashes of this: of the seed, the run and how many were drawn before.
    private var counter: UInt64

    /// - Parameter run: different for each run of one device.
    init(_ rounding: Rounding?, run: UInt64) {
        resultUnit = rounding?.precision.storage.unit ?? 0
        innerUnit = rounding?.precision.accumulation.unit ?? 0
        isExact = resultUnit == 0 && innerUnit == 0
        counter = Self.mixed(Self.mixed(rounding?.seed ?? 0) &+ run)
    }

    /// Rounds what is stored: results and states.
    func result(_ elements: Doubles, count: Int) { round(elements, count, resultUnit) }

    /// Rounds what is computed on the way to a result.
    func inner(_ elements: Doubles, count: Int) { round(elements, count, innerUnit) }

    /// - Parameter errors: how many roundings there are.
    func inner(_ x: Double, errors: Double = 1) -> Double {
        isExact ? x : x * (1 + errors * innerUnit * (2 * fraction() - 1))
    }

    /// Computes sums of products, and adds the error of adding up.
    /// - Parameters:
    ///   - y: where `add` writes or adds the sums.
    ///   - add: is given the place for the sums of the terms' squares, zeros; nil where nothing is rounded.
    func sums(_ y: Doubles, count: Int, terms: Int, _ add: (Doubles?) -> Void) {
        guard !isExact else { return add(nil) }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, count)) { buffer in
            let squares = buffer.baseAddress.unsafelyUnwrapped
            squares.initialize(repeating: 0, count: count)
            add(squares)
            reference_add_error(y, squares, count, sumUnit(terms), draw(count))
        }
    }

    /// The error of adding up these numbers; 0 if nothing is rounded.
    func sumError(_ terms: UnsafePointer<Double>, count: Int) -> Double {
        guard !isExact else { return 0 }
        var (error, squares) = (0.0, 0.0)
        reference_products(terms, terms, &squares, nil, 1, 1, count)
        reference_add_error(&error, &squares, 1, sumUnit(count), draw(1))
        return error
    }

    private func sumUnit(_ terms: Int) -> Double { innerUnit * (Double(terms) / 8).squareRoot() }

    /// `x` in half precision: one of its two neighbours, of expectation `x`; the nearest if nothing is rounded.
    func half(_ x: Double) -> Double {
        guard !isExact else { return nearestHalf(x) }
        let fraction = fraction()
        guard x.isFinite, x != 0 else { return x }
        let spacing = max(abs(x).binade * 0x1p-10, 0x1p-24)
        let magnitude = (abs(x) / spacing + fraction).rounded(.down) * spacing
        return Double(signOf: x, magnitudeOf: magnitude > 65504 ? .infinity : magnitude)
    }

    private func round(_ elements: Doubles, _ count: Int, _ unit: Double) {
        if !isExact { reference_round(elements, count, unit, draw(count)) }
    }

    /// The counter of `count` random numbers.
    private func draw(_ count: Int) -> UInt64 {
        defer { counter &+= UInt64(count) &* REFERENCE_STEP }
        return counter
    }

    /// Uniform in 0 ..< 1.
    private func fraction() -> Double { Double(Self.mixed(draw(1) &+ REFERENCE_STEP) >> 11) * 0x1p-53 }

    /// SplitMix64. Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    private static func mixed(_ counter: UInt64) -> UInt64 {
        var z = counter
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
