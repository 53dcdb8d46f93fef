import Foundation

// The two position biases that are formulas: every device takes them from here, so that they differ in
// arithmetic only.

/// The slope of ALiBi's penalty for one head: with `n` the greatest power of two not above `heads`,
/// `2^(−maxBias · (head + 1) / n)` for the first `n` heads, then the odd powers of the sequence for `2n`
/// heads: `2^(−maxBias / 2 · (2 (head − n) + 1) / n)`.
///
/// Source: Press et al. 2021, section 3, and its reference code for counts that are no power of two.
public func alibiSlope(head: Int, heads: Int, maxBias: Double) -> Double {
    var n = 1
    while 2 * n <= heads { n *= 2 }
    return head < n
        ? exp2(-maxBias * Double(head + 1) / Double(n))
        : exp2(-maxBias / 2 * Double(2 * (head - n) + 1) / Double(n))
}

/// The bucket of a relative position in T5's learned bias, in `0 ..< buckets`.
///
/// Half of the buckets hold one distance each, the others grow logarithmically up to `maxDistance` and the
/// last holds all beyond. Bidirectional: the upper half of the buckets is for cells after the query. Otherwise
/// cells after the query share bucket 0.
///
/// Source: Raffel et al. 2020, section 2.1. The logarithm is rounded to float32 before it is truncated, as
/// engines do: a distance on the very edge of a bucket belongs to the upper one, whatever the last bit says.
/// - Parameters:
///   - distance: the cell's position − the query's.
///   - buckets: rows of the table; at least 2, or 4 if bidirectional.
public func relativePositionBucket(
    _ distance: Int, buckets: Int, bidirectional: Bool, maxDistance: Int
) -> Int {
    let side = bidirectional ? buckets / 2 : buckets
    let base = bidirectional && distance > 0 ? side : 0
    let distance = bidirectional ? abs(distance) : max(0, -distance)
    let exact = side / 2
    guard distance >= exact else { return base + distance }
    guard exact > 0, maxDistance > exact else { return base + max(0, side - 1) }

    let progress = log(Double(distance) / Double(exact)) / log(Double(maxDistance) / Double(exact))
    let bucket = Float(Double(exact) + progress * Double(side - exact)).rounded(.down)
    return base + min(side - 1, Int(bucket))
}
