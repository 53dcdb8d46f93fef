/// A set of sequences, each a number in `0 ..< 32`: the bit set that graphs take.
public struct SequenceSet: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    /// The number of sequences that a set can tell apart.
    public static let capacity = 32

    public var bits: UInt32

    public init(bits: UInt32 = 0) { self.bits = bits }
    public init(_ sequence: Int) { bits = Self.bit(sequence) }
    public init(arrayLiteral sequences: Int...) { bits = sequences.reduce(0) { $0 | Self.bit($1) } }

    /// No bit for a number outside `0 ..< 32`.
    private static func bit(_ sequence: Int) -> UInt32 { sequence < 0 ? 0 : 1 << UInt32(clamping: sequence) }

    public var isEmpty: Bool { bits == 0 }
    public var count: Int { bits.nonzeroBitCount }
    public func contains(_ sequence: Int) -> Bool { bits & Self.bit(sequence) != 0 }
    public mutating func insert(_ sequence: Int) { bits |= Self.bit(sequence) }
    public mutating func remove(_ sequence: Int) { bits &= ~Self.bit(sequence) }

    /// Whether a sequence is in both.
    func meets(_ other: SequenceSet) -> Bool { bits & other.bits != 0 }

    /// The sequences in ascending order.
    public var elements: [Int] { (0..<Self.capacity).filter(contains) }
    public var first: Int? { isEmpty ? nil : bits.trailingZeroBitCount }
    public var last: Int? { isEmpty ? nil : 31 - bits.leadingZeroBitCount }

    public var description: String { "{" + elements.map(String.init).joined(separator: ", ") + "}" }
    var index: Int32 { Int32(bitPattern: bits) }
}

/// As a list of numbers.
extension SequenceSet: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let sequences = try container.decode([Int].self)
        guard sequences.allSatisfy((0..<Self.capacity).contains) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "sequences \(sequences): must be 0 to \(Self.capacity - 1)")
        }
        bits = sequences.reduce(0) { $0 | Self.bit($1) }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(elements)
    }
}
