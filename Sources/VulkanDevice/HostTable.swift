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
    /// `[buckets]` index: the least distance of each bucket of one direction.
    case bucketDistances(buckets: Int, maxDistance: Int)

    /// Number of 4-byte elements.
    func count(in graph: Graph) -> Int {
        switch self {
        case .rotation(let rope, let positions, _): graph.values[positions].shape.count * rope.dimensions
        case .temperature(_, _, _, let positions): graph.values[positions].shape.count
        case .alibiSlopes(let heads, _): heads
        case .bucketDistances(let buckets, _): buckets
        }
    }

    /// The elements, index elements as their bits.
    /// - Parameters:
    ///   - positions: of an index value that the host knows.
    ///   - factors: the elements of a weight.
    func elements(
        positions: (ValueID) throws -> [Int32], factors: (Int) throws -> [Float]
    ) rethrows -> [UInt32] {
        switch self {
        case .rotation(let rope, let value, let weight):
            let divisors = try weight.map(factors)
            let frequencies = (0..<rope.dimensions / 2).map { pair in
                rope.frequency(pair: pair, factor: divisors.map { Double($0[pair]) } ?? 1)
            }
            var table: [UInt32] = []
            for position in try positions(value) {
                for frequency in frequencies {
                    let angle = Double(position) * frequency
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
            return Self.slopes(heads: heads, maxBias: maxBias).map { Float($0).bitPattern }
        case .bucketDistances(let buckets, let maxDistance):
            return Self.leastDistances(buckets: buckets, maxDistance: maxDistance).map { UInt32(bitPattern: $0) }
        }
    }

    /// A geometric sequence for the greatest power of two of heads, and every other element of the next
    /// finer one for the rest.
    private static func slopes(heads: Int, maxBias: Double) -> [Double] {
        var power = 1
        while power * 2 <= heads { power *= 2 }
        return (0..<heads).map { head in
            head < power
                ? exp2(-maxBias * Double(head + 1) / Double(power))
                : exp2(-maxBias / 2 * Double(2 * (head - power) + 1) / Double(power))
        }
    }

    /// Distances below half the buckets have one each; the others share the rest logarithmically.
    private static func leastDistances(buckets: Int, maxDistance: Int) -> [Int32] {
        let exact = buckets / 2
        var least = (0..<buckets).map { $0 <= exact ? Int32($0) : Int32.max }
        guard exact > 0, maxDistance > exact else { return least }
        let step = log(Double(maxDistance) / Double(exact)) / Double(buckets - exact)
        for distance in (exact...maxDistance).reversed() {
            let bucket = exact + Int(log(Double(distance) / Double(exact)) / step)
            for reached in exact...max(exact, min(bucket, buckets - 1)) {
                least[reached] = min(least[reached], Int32(clamping: distance))
            }
        }
        return least
    }
}
