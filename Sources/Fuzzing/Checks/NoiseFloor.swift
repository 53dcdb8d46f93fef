import Devices
import Engines
import Foundation

/// The error that correct arithmetic of a device's precision makes on one very script.
///
/// A fixed tolerance is wrong both ways: it hides bugs in well-conditioned models and cries wolf on ill-conditioned
/// ones. So the reference runs the script again a few times with every result rounded at random (`Rounding`); how far
/// its rows then are from the exact ones is the floor. A device fails where its error is more than `limit` times that.
///
/// The samples take what the exact run takes at every discontinuous decision: one that falls otherwise is no rounding
/// error, but another of the `Ways` in which a script may go.
public final class NoiseFloor {
    /// How far a row of correct arithmetic may be from the exact one, as a multiple of its floor.
    ///
    /// The floor is the largest of some random errors, so a device's own is seldom more than a few times that; but a
    /// device sums in another order than any sample does. Measured over 20,000 cases, correct devices stay at half
    /// of this.
    public static let limit = 16.0
    /// Runs of the reference with random rounding before a device is suspected. Where a row's error comes from a single
    /// rounding, a few samples of it may all be small by chance.
    public static let samples = 16
    /// Runs after which an error is no doubt like others that have been proved.
    public static let fewSamples = 4
    /// And before it is accused: where few roundings of many turn a result over (a sign that a norm makes large), none
    /// of sixteen may.
    public static let mostSamples = 96

    private let script: Script
    let exact: Transcript
    let precision: Precision
    /// The error of the device's precision in that of the samples.
    private let scale: Double
    private let rows: Precision.RowCount
    private var rounded: [Transcript] = []
    /// Of rows that were asked about: the largest error of the samples that there were.
    private var spreads: [RowID: (samples: Int, spread: Double)] = [:]

    private struct RowID: Hashable {
        var step: Int
        var key: Int
    }

    public init(_ script: Script, exact: Transcript, precision: Precision) {
        self.script = script
        self.exact = exact
        // The reference computes in float64 itself: it can imitate the errors of float32, which are 2²⁹ times as large,
        // and its own are added to those of the device.
        scale = precision.storage == .float64 ? 2 * 0x1p-29 : 1
        self.precision = precision.narrowed
        // A sequence by itself is one batch.
        rows = Precision.RowCount(script.steps.reduce(0) { $0 + ($1.batch?.tokens.count ?? 0) })
    }

    /// Whether errors, as multiples of the floor, call for another sample. More of them can only raise it, so what is
    /// far below the limit already needs none, nor what is below one rounding of each element.
    /// - Parameters:
    ///   - multiples: the errors.
    ///   - most: as many samples are enough.
    public func needsSample(for multiples: [Double], most: Int = NoiseFloor.samples) -> Bool {
        let tolerated = rounded.isEmpty ? 1 : Self.limit / 2
        return rounded.count < most && multiples.contains { $0 > tolerated }
    }

    /// Runs the script on the reference, rounded at random once more.
    /// - Throws: what the reference throws.
    public func addSample(reference: (Script) throws -> Transcript) throws {
        var script = script
        script.options.decisions = exact.decisions.map(\.taken)
        script.options.rounding = Rounding(
            seed: UInt64(rounded.count + 1), precision: precision, usesFlashAttention: script.options.usesFlashAttention,
            rows: rows)
        rounded.append(try reference(script))
    }

    /// Of one row: the Euclidean length of the largest error of a sample, or at least that of one rounding of each
    /// element.
    public func floor(step: Int, key: Int) -> Double {
        guard let row = exact.results[step].rows?.row(of: key) else { return 0 }
        var known = spreads[RowID(step: step, key: key)] ?? (0, precision.storage.unit * length(row))
        for transcript in rounded.dropFirst(known.samples) {
            let other = transcript.results.indices.contains(step) ? transcript.results[step].rows?.row(of: key) : nil
            known.spread = max(known.spread, other.map { distance(row, $0) } ?? .infinity)
        }
        known.samples = rounded.count
        spreads[RowID(step: step, key: key)] = known
        return scale * known.spread
    }

    /// A discontinuous decision that correct arithmetic may make otherwise.
    struct NarrowDecision {
        var index: Int
        /// What else it may take, the likeliest first.
        var alternatives: [[Int]]
    }

    /// The decisions, from number `first` on, whose margins are within the noise of these very margins.
    ///
    /// Of exact ties, which have no margin, all that is equal may be taken; and of those that rounding makes, such as
    /// zeros that are no zeros in the exact run, what the rounded run takes, which may be several others.
    func narrowDecisions(from first: Int = 0) -> [NarrowDecision] {
        exact.decisions.indices.dropFirst(first).compactMap { index in
            let decision = exact.decisions[index]
            let samples = rounded.compactMap { $0.decisions.indices.contains(index) ? $0.decisions[index] : nil }
            let noise = scale * (samples.map { abs($0.margin - decision.margin) }.filter(\.isFinite).max() ?? 0)
            guard decision.margin <= Self.limit * noise else { return nil }
            let swaps = decision.least.flatMap { out in
                decision.greatest.map { (margin: out.score - $0.score, out: out.index, in: $0.index) }
            }
            let swapped =
                swaps.filter { $0.margin <= Self.limit * noise }.sorted { $0.margin < $1.margin }.map { swap in
                (decision.taken.filter { $0 != swap.out } + [swap.in]).sorted()
            }
            let rounded = Set(samples.map(\.unprescribed)).subtracting(swapped + [decision.taken])
            return NarrowDecision(
                index: index, alternatives: rounded.sorted { $0.lexicographicallyPrecedes($1) } + swapped)
        }
    }

    /// Whether a choice among experts was so narrow that correct arithmetic may choose otherwise.
    public var hasNarrowDecisions: Bool { !narrowDecisions().isEmpty }

    /// How many samples there are.
    var sampleCount: Int { rounded.count }
}

extension Precision {
    /// With float32 in place of float64.
    fileprivate var narrowed: Precision {
        var result = self
        if storage == .float64 { result.storage = .float32 }
        if accumulation == .float64 { result.accumulation = .float32 }
        return result
    }
}

/// The Euclidean distance of two rows; infinite where they are not as long, or one holds a NaN or an infinity that the
/// other has not. A logit that can never win, −∞ or the least number there is, is far from any other and from none of
/// these.
public func distance(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
    guard a.count == b.count else { return .infinity }
    var sum = 0.0
    // On buffers, which a debug build walks as well.
    a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
            var index = 0
            while index < a.count {
                let x = a[index], y = b[index]
                index += 1
                if x == y || x.isNaN && y.isNaN || x.isExcluded && y.isExcluded { continue }
                sum += (x - y) * (x - y)
            }
        }
    }
    return sum.isNaN ? .infinity : sum.squareRoot()
}

/// The Euclidean length of a row, without what can never win.
func length(_ row: ArraySlice<Double>) -> Double {
    row.reduce(0) { $1.isExcluded ? $0 : $0 + $1 * $1 }.squareRoot()
}

extension Double {
    /// Whether a logit is −∞, or what stands for it: the least number of float32.
    fileprivate var isExcluded: Bool { self < -1e38 }
}
