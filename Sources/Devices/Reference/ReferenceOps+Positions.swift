import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x [T, H, D], positions [T], [factors [dimensions / 2]]) → [T, H, D]`: pair `i` of every head is turned by
    /// `position · frequency(i)`: `(a, b) → magnitude · (a cos − b sin, a sin + b cos)`. The frequencies are
    /// defined at `Rope`.
    static func rope(
        _ rope: Rope, _ x: ReferenceValue, _ positions: ReferenceValue, factors: ReferenceValue?
    ) throws -> [Double] {
        let (tokens, heads, size, pairs) = (x.shape[0], x.shape[1], x.shape[2], rope.dimensions / 2)
        let frequencies = (0..<pairs).map { rope.frequency(pair: $0, factor: factors?[$0] ?? 1) }
        var y = x.elements
        for t in 0..<tokens {
            for i in 0..<pairs {
                let angle = positions[t] * frequencies[i]
                let (c, s) = (rope.magnitude * cos(angle), rope.magnitude * sin(angle))
                let (first, second) =
                    switch rope.pairing {
                    case .normal: (2 * i, 2 * i + 1)
                    case .neox: (i, i + pairs)
                    }
                for h in 0..<heads {
                    let start = (t * heads + h) * size + rope.offset
                    let (a, b) = (x[start + first], x[start + second])
                    y[start + first] = a * c - b * s
                    y[start + second] = a * s + b * c
                }
            }
        }
        return y
    }

    /// `(positions [T], sequences [T], cellPositions [C], cellSequences [C]) → [T, C]`: 0 where token `t` sees
    /// cell `c`, −∞ elsewhere: they share a sequence, and `Mask.isVisible` holds of their positions.
    static func mask(
        _ mask: Mask, _ positions: ReferenceValue, _ sequences: ReferenceValue, _ cellPositions: ReferenceValue,
        _ cellSequences: ReferenceValue
    ) throws -> [Double] {
        let cells = try cellPositions.elements.indices.map { c in
            (position: try cellPositions.integer(c), sequences: try cellSequences.integer(c))
        }
        return try positions.elements.indices.flatMap { t -> [Double] in
            let (position, own) = (try positions.integer(t), try sequences.integer(t))
            return cells.map { cell in
                cell.sequences & own != 0 && mask.isVisible(cell: cell.position, from: position) ? 0 : -.infinity
            }
        }
    }

    /// `(positions [T], cellPositions [C]) → [H, T, C]`: `−alibiSlope(h) · |cellPositions[c] − positions[t]|`.
    static func alibi(
        _ heads: Int, _ maxBias: Double, _ positions: ReferenceValue, _ cellPositions: ReferenceValue
    ) throws -> [Double] {
        (0..<heads).flatMap { h in
            let slope = alibiSlope(head: h, heads: heads, maxBias: maxBias)
            return positions.elements.flatMap { position in
                cellPositions.elements.map { -slope * abs($0 - position) }
            }
        }
    }

    /// `(table [buckets, H], positions [T], cellPositions [C]) → [H, T, C]`:
    /// `table[relativePositionBucket(cellPositions[c] − positions[t]), h]`.
    static func relativePositionBias(
        _ bidirectional: Bool, _ maxDistance: Int, _ table: ReferenceValue, _ positions: ReferenceValue,
        _ cellPositions: ReferenceValue
    ) throws -> [Double] {
        let (buckets, heads) = (table.shape[0], table.shape[1])
        let bucket = try positions.elements.indices.flatMap { t in
            try cellPositions.elements.indices.map { c in
                relativePositionBucket(
                    try cellPositions.integer(c) - positions.integer(t), buckets: buckets,
                    bidirectional: bidirectional, maxDistance: maxDistance)
            }
        }
        return (0..<heads).flatMap { h in bucket.map { table[$0 * heads + h] } }
    }

    /// `(positions [T]) → [T, 1, 1]`: `1 + scale · ln(1 + ⌊(position + offset) / length⌋)`.
    static func attentionTemperature(
        _ positions: ReferenceValue, _ scale: Double, _ length: Double, _ offset: Double
    ) -> [Double] {
        positions.elements.map { 1 + scale * log(1 + (($0 + offset) / length).rounded(.down)) }
    }
}
