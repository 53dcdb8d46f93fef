import Foundation
import ModelGraph

extension ReferenceOps {
    /// `(x [T, H, D], positions [T] or [S, T], [factors [dimensions / 2]]) → [T, H, D]`: pair `i` of every head is
    /// turned by `position · frequency(i)`: `(a, b) → magnitude · (a cos − b sin, a sin + b cos)`. The frequencies are
    /// defined at `Rope`, and of several positions of a token, which is pair `i`'s.
    static func rope(
        _ rope: Rope, _ x: ReferenceValue, _ positions: ReferenceValue, factors: ReferenceValue?, _ y: Doubles,
        _ rounder: Rounder
    ) {
        let (tokens, heads, size, pairs) = (x.shape[0], x.shape[1], x.shape[2], rope.dimensions / 2)
        let frequencies = (0..<pairs).map { rope.frequency(pair: $0, factor: factors?[$0] ?? 1) }
        let first = rope.firstPositions(in: positions.shape)
        y.update(from: x.elements, count: x.count)
        for t in 0..<tokens {
            for i in 0..<pairs {
                let angle = rounder.inner(positions[first[i] + t] * frequencies[i], errors: Double(1 + i))
                let (c, s) = (rope.magnitude * cos(angle), rope.magnitude * sin(angle))
                let (first, second) =
                    switch rope.pairing {
                    case .normal: (2 * i, 2 * i + 1)
                    case .neox: (i, i + pairs)
                    }
                for h in 0..<heads {
                    let head = y + (t * heads + h) * size + rope.offset
                    let (a, b) = (head[first], head[second])
                    head[first] = a * c - b * s
                    head[second] = a * s + b * c
                }
            }
        }
    }

    /// `(positions [T], sequences [T], cellPositions [C], cellSequences [C]) → [T, C]`: 0 where token `t` sees
    /// cell `c`, −∞ elsewhere: they share a sequence, and `Mask.isVisible` holds of their positions.
    static func mask(
        _ mask: Mask, _ positions: ReferenceValue, _ sequences: ReferenceValue, _ cellPositions: ReferenceValue,
        _ cellSequences: ReferenceValue, _ y: Doubles
    ) throws {
        let (cells, sets) = (try cellPositions.integers(), try cellSequences.integers())
        for t in 0..<positions.count {
            let (position, own) = (try positions.integer(t), try sequences.integer(t))
            for c in cells.indices {
                let isVisible = sets[c] & own != 0 && mask.isVisible(cell: cells[c], from: position)
                y[t * cells.count + c] = isVisible ? 0 : -.infinity
            }
        }
    }

    /// `(positions [T], cellPositions [C]) → [H, T, C]`: `−alibiSlope(h) · |cellPositions[c] − positions[t]|`.
    static func alibi(
        _ heads: Int, _ maxBias: Double, _ positions: ReferenceValue, _ cellPositions: ReferenceValue, _ y: Doubles
    ) {
        let (tokens, cells) = (positions.count, cellPositions.count)
        for h in 0..<heads {
            let slope = alibiSlope(head: h, heads: heads, maxBias: maxBias)
            for t in 0..<tokens {
                let row = y + (h * tokens + t) * cells
                for c in 0..<cells { row[c] = -slope * abs(cellPositions[c] - positions[t]) }
            }
        }
    }

    /// `(table [buckets, H], positions [T], cellPositions [C]) → [H, T, C]`:
    /// `table[relativePositionBucket(cellPositions[c] − positions[t]), h]`.
    static func relativePositionBias(
        _ bidirectional: Bool, _ maxDistance: Int, _ table: ReferenceValue, _ positions: ReferenceValue,
        _ cellPositions: ReferenceValue, _ y: Doubles
    ) throws {
        let (buckets, heads, cells) = (table.shape[0], table.shape[1], try cellPositions.integers())
        let count = positions.count * cells.count
        for t in 0..<positions.count {
            let position = try positions.integer(t)
            for c in cells.indices {
                let bucket = relativePositionBucket(
                    cells[c] - position, buckets: buckets, bidirectional: bidirectional, maxDistance: maxDistance)
                for h in 0..<heads { y[h * count + t * cells.count + c] = table[bucket * heads + h] }
            }
        }
    }

    /// `(positions [T]) → [T, 1, 1]`: `1 + scale · ln(1 + ⌊(position + offset) / length⌋)`.
    static func attentionTemperature(
        _ positions: ReferenceValue, _ scale: Double, _ length: Double, _ offset: Double, _ y: Doubles
    ) {
        for t in 0..<positions.count { y[t] = 1 + scale * log(1 + ((positions[t] + offset) / length).rounded(.down)) }
    }
}
