import CReference
import GGUF

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
/// - *Cancellation inside an op*: the tanh in `1 + tanh` and the erf in `1 + erf` of gelu, and the sum in `ln(1 + eˣ)`
///   of softplus.
///   Elsewhere, an intermediate product or sum of an elementwise op errs no more than its rounded operands.
/// - *Recurrent states* are stored after each token, so they are rounded as results are, and so are the decays
///   and steps that whole rows of them share. (Convolution and token shift keep copies.)
/// - *Half-precision caches*: a number is stored as one of its two neighbours, each with the probability that
///   keeps the expectation. Rounded to nearest, a number next to the middle between two, which a device's
///   error moves to the other side, would look like an error a thousand times the floor.
///
/// - *Caches of block types*: an error of half a step of each block of 32 elements, a step being the block's
///   greatest magnitude over as many levels as the type has to a side.
/// - *Activations like weights*: the activations of a product are rounded as its weights were: a relative error of
///   half precision or BF16, or of half a step of a block of 8-bit integers.
/// - *Overflow of half precision*, where it is the format of an element, or of a block's step or sum: infinities.
/// - *Narrow products, attention and gelu*: sums, operands, argument and result err as the format named for them.
///
/// Neither overflow elsewhere nor gradual underflow of the narrower formats is modelled.
public struct Rounding: Hashable, Sendable, Codable {
    public var seed: UInt64
    public var precision: Precision
    /// Whether attention is computed as flash attention is.
    public var usesFlashAttention: Bool?

    public init(seed: UInt64, precision: Precision, usesFlashAttention: Bool? = nil) {
        self.seed = seed
        self.precision = precision
        self.usesFlashAttention = usesFlashAttention
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
    private let precision: Precision?
    private let usesFlashAttention: Bool
    /// Random numbers are hashes of this: of the seed, the run and how many were drawn before.
    private var counter: UInt64

    /// - Parameter run: different for each run of one device.
    init(_ rounding: Rounding?, run: UInt64) {
        resultUnit = rounding?.precision.storage.unit ?? 0
        innerUnit = rounding?.precision.accumulation.unit ?? 0
        precision = rounding?.precision
        usesFlashAttention = rounding?.usesFlashAttention ?? false
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
    ///   - unit: what multiplies the root sum of squares; nil: as of the accumulation.
    ///   - add: is given the place for the sums of the terms' squares, zeros; nil where nothing is rounded.
    func sums(_ y: Doubles, count: Int, terms: Int, unit: Double? = nil, _ add: (Doubles?) -> Void) {
        guard !isExact else { return add(nil) }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, count)) { buffer in
            let squares = buffer.baseAddress.unsafelyUnwrapped
            squares.initialize(repeating: 0, count: count)
            add(squares)
            reference_add_error(y, squares, count, unit ?? sumUnit(terms), draw(count))
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

    // MARK: Narrow operands

    /// Gives `body` what a product multiplies its weights with.
    func activations<Result>(
        _ x: ReferenceValue, for type: TensorType?, _ body: (UnsafePointer<Double>) throws -> Result
    ) rethrows -> Result {
        guard !isExact, precision?.activations == .likeWeights, let type, type != .f32, type != .f64 else {
            return try body(x.elements)
        }
        return try copy(x.elements, x.count) { copy in
            switch type {
            case .f16: half(copy, x.count)
            case .bf16: round(copy, x.count, Self.bfloatUnit)
            // Weights with minima are multiplied with the sums of blocks too.
            case .q4_1, .q5_1: blocks(copy, x.count, of: 32, levels: 127, hasSums: true)
            default: blocks(copy, x.count, of: type.blockSize >= 256 ? 256 : 32, levels: 127)
            }
            return try body(copy)
        }
    }

    /// Of sums of products with weights of this type.
    func productUnit(_ type: TensorType?, terms: Int) -> Double? {
        guard !isExact, let format = precision?.products, let type, type != .f32, type != .f64 else { return nil }
        return format.unit * (Double(terms) / 8).squareRoot()
    }

    /// Gives `body` a row of what attention multiplies keys or values with.
    func attended<Result>(
        _ x: UnsafePointer<Double>, count: Int, cache: StateType?, _ body: (UnsafePointer<Double>) throws -> Result
    ) rethrows -> Result {
        guard !isExact, isNarrow(cache) else { return try body(x) }
        return try copy(x, count) { copy in
            switch cache {
            case .bfloat: round(copy, count, Self.bfloatUnit)
            case .q8_0, .q5_1, .q5_0, .q4_1, .q4_0: blocks(copy, count, of: 32, levels: 127)
            case .half, .full, nil: half(copy, count)
            }
            return try body(copy)
        }
    }

    /// Of the sums of values. Flash attention adds one value after the other to sums that may all have one sign: `n`
    /// roundings of partial sums of up to `n` terms, which are `√(Σ p²) · √n` then.
    func valueUnit(terms: Int, cache: StateType?) -> Double? {
        guard !isExact, usesFlashAttention, isNarrow(cache), let format = precision?.flashAttention else { return nil }
        return format.unit * Double(terms) / 2
    }

    /// Whether attention narrows what it is given: with keys and values that are kept so, and in flash attention
    /// always.
    private func isNarrow(_ cache: StateType?) -> Bool {
        guard precision?.attention == .float16 else { return false }
        if precision?.fullAttention == .float16 { return true }
        return usesFlashAttention || cache.map { $0 != .full } ?? false
    }

    /// Gelu of an argument, and the result, as a table has them.
    func tabulated(_ x: Double, _ function: (Double) -> Double) -> Double {
        guard !isExact, precision?.gelu == .float16 else { return function(x) }
        return roundedHalf(function(roundedHalf(x)))
    }

    /// A row of a cache that is kept in a type that the reference does not imitate exactly.
    func stored(_ row: Doubles, count: Int, as type: StateType) {
        guard !isExact else { return }
        switch type {
        case .full, .half: break
        case .bfloat: round(row, count, Self.bfloatUnit)
        case .q8_0: blocks(row, count, of: 32, levels: 127)
        case .q5_1, .q5_0: blocks(row, count, of: 32, levels: 15)
        case .q4_1, .q4_0: blocks(row, count, of: 32, levels: 7)
        }
    }

    /// The least magnitude that half precision rounds to infinity.
    private static let halfOverflow = 65520.0

    /// The unit roundoff of BF16: eight bits of significand.
    private static let bfloatUnit = 0x1p-8

    private func copy<Result>(
        _ x: UnsafePointer<Double>, _ count: Int, _ body: (Doubles) throws -> Result
    ) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, count)) { buffer in
            let copy = buffer.baseAddress.unsafelyUnwrapped
            copy.initialize(from: x, count: count)
            return try body(copy)
        }
    }

    private func half(_ x: Doubles, _ count: Int) {
        for i in 0..<count { x[i] = roundedHalf(x[i]) }
    }

    /// An error as that of rounding to the nearest half, its smallest numbers and its overflow included.
    private func roundedHalf(_ x: Double) -> Double {
        guard abs(x) < Self.halfOverflow else { return x * .infinity }
        return x == 0 ? x : x + max(abs(x) * Precision.Format.float16.unit, 0x1p-25) * (2 * fraction() - 1)
    }

    /// Half a step of each block of `size` elements, which has `levels` steps to a side. Blocks of 32 keep the step, and
    /// their sum where that is needed, in half precision: one beyond that makes their elements infinite.
    private func blocks(_ x: Doubles, _ count: Int, of size: Int, levels: Double, hasSums: Bool = false) {
        for start in stride(from: 0, to: count, by: size) {
            let range = start..<min(start + size, count)
            var step = (range.lazy.map { abs(x[$0]) }.max() ?? 0) / levels
            let sum = hasSums ? range.lazy.map { x[$0] }.reduce(0, +) : 0
            if size == 32, max(step, abs(sum)) >= Self.halfOverflow { step = .infinity }
            for i in range where x[i] != 0 { x[i] += step / 2 * (2 * fraction() - 1) }
        }
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
