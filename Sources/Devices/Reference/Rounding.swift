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
/// - *Operands of products and of attention*: rounded to what `Precision.Arithmetic` says of such a product, which what
///   they can hold is not: a relative error, or half a step of a block of 8-bit integers. Weights that are wider than
///   their operands err likewise.
/// - *Narrow sums*: as sums, of the format named for them.
/// - *Overflow of half precision*, where it is the format of an element, or of a block's step or sum: infinities.
/// - *Functions* that are less exact than the storage: their results err as the format named for them; gelu from a
///   table of half precision has its argument rounded too.
/// - *Subnormal numbers*: a result below float32's least normal number becomes one of its two neighbours among the
///   multiples of the least one, each with the probability that keeps the expectation; where they are flushed, it may
///   become zero, and so may that of a sigmoid anywhere, since `1 / (1 + e⁻ˣ)` overflows before.
///
/// Neither overflow elsewhere nor gradual underflow of the narrower formats is modelled.
public struct Rounding: Hashable, Sendable, Codable {
    public var seed: UInt64
    public var precision: Precision
    /// Whether attention is computed as flash attention is; nil: it may be.
    public var usesFlashAttention: Bool?
    /// The most rows that are computed at once; nil: as many as an op is given.
    public var rows: Precision.RowCount?

    public init(
        seed: UInt64, precision: Precision, usesFlashAttention: Bool? = nil, rows: Precision.RowCount? = .many
    ) {
        self.seed = seed
        self.precision = precision
        self.usesFlashAttention = usesFlashAttention
        self.rows = rows
    }
}

/// Rounds what the ops of one run compute, where it is to be rounded. See `Rounding`.
final class Rounder {
    let isExact: Bool
    private let resultUnit: Double
    private let innerUnit: Double
    private let precision: Precision
    private let usesFlashAttention: Bool?
    private let rows: Precision.RowCount?
    /// Random numbers are hashes of this: of the seed, the run and how many were drawn before.
    private var counter: UInt64

    /// - Parameter run: different for each run of one device.
    init(_ rounding: Rounding?, run: UInt64) {
        precision = rounding?.precision ?? Precision(storage: .float64, accumulation: .float64)
        resultUnit = precision.storage.unit
        innerUnit = precision.accumulation.unit
        rows = rounding?.rows
        usesFlashAttention = rounding?.usesFlashAttention
        isExact = resultUnit == 0 && innerUnit == 0
        counter = Self.mixed(Self.mixed(rounding?.seed ?? 0) &+ run)
    }

    /// Rounds the results of an op.
    /// - Parameters:
    ///   - function: what the op computes, where a device may be less exact than it stores.
    ///   - mayUnderflow: whether a subnormal result may become zero on any device.
    func result(
        _ elements: Doubles, count: Int, of function: Precision.Function? = nil, mayUnderflow: Bool = false
    ) {
        // What comes from a table is rounded there.
        let unit = function.flatMap { $0 == .gelu && isTabulated ? nil : precision.functions[$0]?.unit } ?? 0
        round(elements, count, max(resultUnit, unit))
        if precision.flushesSubnormals || mayUnderflow, !isExact {
            for i in 0..<count where abs(elements[i]) < Self.leastNormal && fraction() < 0.5 { elements[i] = 0 }
        }
    }

    /// Rounds what a recurrent state keeps.
    func state(_ elements: Doubles, count: Int) { round(elements, count, precision.states?.unit ?? resultUnit) }

    /// Rounds arguments and results of the exponentials of softmax.
    func exponentials(_ elements: Doubles, count: Int) {
        round(elements, count, max(innerUnit, precision.functions[.softmax]?.unit ?? 0))
    }

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
    ///   - isNarrow: whether it is done in half precision: what that does not hold, on the way or in the end, is
    ///     infinite.
    ///   - add: is given the place for the sums of the terms' squares, zeros; nil where nothing is rounded.
    func sums(
        _ y: Doubles, count: Int, terms: Int, unit: Double? = nil, isNarrow: Bool = false, _ add: (Doubles?) -> Void
    ) {
        guard !isExact else { return add(nil) }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, count)) { buffer in
            let squares = buffer.baseAddress.unsafelyUnwrapped
            squares.initialize(repeating: 0, count: count)
            add(squares)
            if isNarrow {
                // Partial sums that walk at random are seldom twice as far out.
                for i in 0..<count where max(abs(y[i]), 2 * squares[i].squareRoot()) >= Self.halfOverflow {
                    y[i] = .infinity
                }
                // Below the normal numbers, roundings are as large as there.
                for i in 0..<count { squares[i] = max(squares[i], 0x1p-14 * 0x1p-14) }
            }
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

    /// How a product of so many rows is computed with weights of a type: nil as it is stored and summed elsewhere.
    func arithmetic(_ type: TensorType?, rows count: Int, isOfExperts: Bool = false) -> Precision.Arithmetic? {
        guard !isExact, !precision.products.isEmpty, let type else { return nil }
        return precision.arithmetic(type, rows ?? Precision.RowCount(count), isOfExperts: isOfExperts)
    }

    /// How attention of so many tokens is computed with keys and values from a cache of a type; nil: nothing has kept
    /// them.
    func arithmetic(_ cache: StateType?, rows count: Int) -> Precision.Arithmetic? {
        guard !isExact, !precision.attention.isEmpty else { return nil }
        let rows = rows ?? Precision.RowCount(count)
        let kinds = usesFlashAttention.map { [$0] } ?? [false, true]
        let arithmetics = kinds.compactMap { precision.arithmetic(cache ?? .full, isFlash: $0, rows) }
        return arithmetics.dropFirst().reduce(arithmetics.first) { $0?.coarsest(with: $1) }
    }

    /// Gives `body` what a product multiplies with.
    /// - Parameter hasSums: whether the sums of blocks are multiplied too: with weights that have minima.
    func operands<Result>(
        _ x: UnsafePointer<Double>, count: Int, _ arithmetic: Precision.Arithmetic?, hasSums: Bool = false,
        _ body: (UnsafePointer<Double>) throws -> Result
    ) rethrows -> Result {
        guard let operands = arithmetic?.operands, operands != .asStored else { return try body(x) }
        return try copy(x, count) { copy in
            switch operands {
            case .asStored: break
            case .tensorFloat32: significands(copy, count, bits: 10, unit: 0x1p-11)
            case .cutTensorFloat32: significands(copy, count, bits: 10, unit: 0x1p-10)
            case .bfloat16: significands(copy, count, bits: 7, unit: Precision.Format.bfloat16.unit)
            case .float16, .flushedFloat16:
                for i in 0..<count where !copy[i].isHeldInHalf { copy[i] = roundedHalf(copy[i]) }
                if operands == .flushedFloat16 {
                    for i in 0..<count where abs(copy[i]) < 0x1p-14 && fraction() < 0.5 { copy[i] = 0 }
                }
            case .blocksOf32: blocks(copy, count, of: 32, levels: 127, hasSums: hasSums)
            case .blocksOf256: blocks(copy, count, of: 256, levels: 127)
            }
            return try body(copy)
        }
    }

    /// Of sums of products: what multiplies the root sum of squares; nil: as of the accumulation.
    /// - Parameter type: of the weights, which are rounded too where the operands cannot hold them.
    func productUnit(_ arithmetic: Precision.Arithmetic?, type: TensorType? = nil, terms: Int) -> Double? {
        guard let arithmetic else { return nil }
        let sums = switch arithmetic.sums {
        case .full: sumUnit(terms)
        // Without lanes: these add one term after the other.
        case .chunkedFloat16: Precision.Format.float16.unit * (Double(min(terms, 32)) / 2).squareRoot()
        case .float16: Precision.Format.float16.unit * (Double(terms) / 2).squareRoot()
        }
        let weights: Double = switch (arithmetic.operands, type) {
        case (_, nil), (.asStored, _), (.blocksOf32, _), (.blocksOf256, _), (_, .bf16): 0
        case (.bfloat16, _): Precision.Format.bfloat16.unit
        case (_, .f16): 0
        case (.tensorFloat32, _): 0x1p-11
        case (.cutTensorFloat32, _): 0x1p-10
        case (.float16, _), (.flushedFloat16, _): Precision.Format.float16.unit
        }
        return (sums * sums + weights * weights).squareRoot()
    }

    /// Gelu of an argument, and the result, as a table has them.
    func tabulated(_ x: Double, _ function: (Double) -> Double) -> Double {
        isTabulated ? roundedHalf(function(roundedHalf(x))) : function(x)
    }

    private var isTabulated: Bool { !isExact && precision.functions[.gelu] == .float16 }

    /// A row of a cache that is kept in a type that the reference does not imitate exactly.
    func stored(_ row: Doubles, count: Int, as type: StateType) {
        guard !isExact else { return }
        switch type {
        case .full, .half: break
        case .bfloat: round(row, count, Precision.Format.bfloat16.unit)
        case .q8_0: blocks(row, count, of: 32, levels: 127)
        case .q5_1, .q5_0: blocks(row, count, of: 32, levels: 15)
        case .q4_1, .q4_0: blocks(row, count, of: 32, levels: 7)
        // Its levels lie further apart towards the ends, and reach less far on one side than on the other.
        case .iq4_NL: blocks(row, count, of: 32, levels: 4)
        }
    }

    /// The least magnitude that half precision rounds to infinity.
    private static let halfOverflow = 65520.0

    /// The least normal number of float32.
    private static let leastNormal = Double(Float.leastNormalMagnitude)

    private func copy<Result>(
        _ x: UnsafePointer<Double>, _ count: Int, _ body: (Doubles) throws -> Result
    ) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: Double.self, capacity: max(1, count)) { buffer in
            let copy = buffer.baseAddress.unsafelyUnwrapped
            copy.initialize(from: x, count: count)
            return try body(copy)
        }
    }

    private func inner(_ x: Double, unit: Double) -> Double { x * (1 + unit * (2 * fraction() - 1)) }

    /// Rounds what numbers of so many bits after the first do not hold.
    private func significands(_ x: Doubles, _ count: Int, bits: Int, unit: Double) {
        for i in 0..<count where !x[i].isHeld(significandBits: bits) { x[i] *= 1 + unit * (2 * fraction() - 1) }
    }

    /// An error as that of rounding to the nearest half, its smallest numbers and its overflow included.
    private func roundedHalf(_ x: Double) -> Double {
        guard abs(x) < Self.halfOverflow else { return x * .infinity }
        return x == 0 ? x : x + max(abs(x) * Precision.Format.float16.unit, 0x1p-25) * (2 * fraction() - 1)
    }

    /// Half a step of each block of `size` elements, which has `levels` steps to a side. Blocks of 32 keep the step,
    /// and their sum where that is needed, in half precision: one beyond that makes their elements infinite.
    private func blocks(_ x: Doubles, _ count: Int, of size: Int, levels: Double, hasSums: Bool = false) {
        for start in stride(from: 0, to: count, by: size) {
            let range = start..<min(start + size, count)
            var step = (range.lazy.map { abs(x[$0]) }.max() ?? 0) / levels
            let sum = hasSums ? range.lazy.map { x[$0] }.reduce(0, +) : 0
            if size == 32, max(step, abs(sum)) >= Self.halfOverflow { step = .infinity }
            // A step in half precision has an error of its own.
            let scale = size == 32 ? inner(1, unit: Precision.Format.float16.unit) : 1
            for i in range where x[i] != 0 {
                // What is a whole multiple of the step has no other.
                let multiple = x[i] / step
                if abs(multiple - multiple.rounded()) > 0x1p-12 { x[i] += step / 2 * (2 * fraction() - 1) }
                x[i] = step == .infinity ? .infinity : x[i] * scale
            }
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

extension Double {
    /// Whether a number of so many bits after the first is this one, but for an error of float32.
    fileprivate func isHeld(significandBits count: Int) -> Bool {
        // What lies beyond these bits is next to none, or next to a whole one of the last of them.
        let beyond = UInt64(Self.significandBitCount - count), mask = (1 << beyond) - 1 as UInt64
        let rest = bitPattern & mask, tolerance = 1 << UInt64(Self.significandBitCount - 21) as UInt64
        return rest <= tolerance || rest >= mask - tolerance
    }

    fileprivate var isHeldInHalf: Bool {
        guard abs(self) < 0x1p-14 else { return abs(self) <= 65504 && isHeld(significandBits: 10) }
        // Whole multiples of the least subnormal number.
        let multiple = self * 0x1p24
        return abs(multiple - multiple.rounded()) <= abs(multiple) * 0x1p-21
    }
}
