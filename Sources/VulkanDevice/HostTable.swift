import Devices
import Foundation
import ModelGraph

/// What the host computes for a shader, in double precision, because a device's logarithm, division or
/// sine of a large angle would decide otherwise than the op's definition. It lies in the arena.
enum HostTable: Hashable {
    /// `[T, dimensions / 2]` of (cosine, sine), times the magnitude. Factors are a weight, by its index.
    case rotation(Rope, positions: ValueID, factors: Int?)
    /// `[T]`: by what queries are multiplied.
    case temperature(scale: Double, length: Double, offset: Double, positions: ValueID)
    /// `[heads]`
    case alibiSlopes(heads: Int, maxBias: Double)
    /// `[T]` index
    case windowPositions(length: Int, WindowPart, positions: ValueID)
    /// `[T]` index
    case replacements(IndexTable, indices: ValueID)
    /// `[n]`
    case numbers([Double])
    /// `[buckets]` index: the least distance of each bucket of one direction.
    case bucketDistances(buckets: Int, maxDistance: Int)

    /// Number of 4-byte elements.
    func count(in graph: Graph) -> Int {
        switch self {
        case .rotation(let rope, let positions, _): graph.values[positions].shape.last * rope.dimensions
        case .temperature(_, _, _, let positions): graph.values[positions].shape.count
        case .alibiSlopes(let heads, _): heads
        case .numbers(let numbers): numbers.count
        case .windowPositions(_, _, let value), .replacements(_, let value): graph.values[value].shape.count
        case .bucketDistances(let buckets, _): buckets
        }
    }

    /// The elements, index elements as their bits.
    /// - Parameters:
    ///   - positions: of an index value that the host knows.
    ///   - factors: the elements of a weight.
    func elements(
        in graph: Graph, positions: (ValueID) throws -> [Int32], factors: (Int) throws -> [Float]
    ) rethrows -> [UInt32] {
        switch self {
        case .rotation(let rope, let value, let weight):
            let divisors = try weight.map(factors)
            let frequencies = (0..<rope.dimensions / 2).map { pair in
                rope.frequency(pair: pair, factor: divisors.map { Double($0[pair]) } ?? 1)
            }
            var table: [UInt32] = []
            let (shape, positions) = (graph.values[value].shape, try positions(value))
            let first = rope.firstPositions(in: shape)
            for token in 0..<shape.last {
                for (frequency, first) in zip(frequencies, first) {
                    let angle = Double(positions[first + token]) * frequency
                    table.append(Float(cos(angle) * rope.magnitude).bitPattern)
                    table.append(Float(sin(angle) * rope.magnitude).bitPattern)
                }
            }
            return table
        case .temperature(let scale, let length, let offset, let value):
            return try positions(value).map { position in
                Float(1 + scale * log(1 + ((Double(position) + offset) / length).rounded(.down))).bitPattern
            }
        case .alibiSlopes(let heads, let maxBias):
            return (0..<heads).map { Float(alibiSlope(head: $0, heads: heads, maxBias: maxBias)).bitPattern }
        case .windowPositions(let length, let part, let value):
            return try positions(value).map { UInt32(bitPattern: Int32(part.of(Int($0), length: length))) }
        case .replacements(let table, let value):
            return try positions(value).map { UInt32(bitPattern: Int32(table[Int($0)])) }
        case .numbers(let numbers):
            return numbers.map { Float($0).bitPattern }
        case .bucketDistances(let buckets, let maxDistance):
            return Self.leastDistances(buckets: buckets, maxDistance: maxDistance).map { UInt32(bitPattern: $0) }
        }
    }

    /// Buckets do not fall with distance, and all distances from `maxDistance` on share the last.
    private static func leastDistances(buckets: Int, maxDistance: Int) -> [Int32] {
        var least = [Int32](repeating: .max, count: buckets)
        for distance in (0...max(buckets, maxDistance)).reversed() {
            let bucket = relativePositionBucket(
                -distance, buckets: buckets, bidirectional: false, maxDistance: maxDistance)
            for reached in 0...bucket { least[reached] = Int32(clamping: distance) }
        }
        return least
    }
}
