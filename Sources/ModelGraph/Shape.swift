/// The extents of a value, outermost first: the last dimension is the contiguous one.
///
/// GGUF files list dimensions the other way round (fastest first); `init(gguf:)` and `gguf` convert.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    public var dimensions: [Int]

    public init(_ dimensions: [Int]) { self.dimensions = dimensions }
    public init(arrayLiteral dimensions: Int...) { self.dimensions = dimensions }
    public init(gguf dimensions: [Int]) { self.dimensions = dimensions.reversed() }

    public var gguf: [Int] { dimensions.reversed() }
    public var rank: Int { dimensions.count }
    /// Number of elements; 1 for a scalar.
    public var count: Int { dimensions.reduce(1, *) }
    /// Length of the contiguous dimension; 1 for a scalar.
    public var last: Int { dimensions.last ?? 1 }
    /// Number of contiguous rows: `count / last`.
    public var rows: Int { dimensions.dropLast().reduce(1, *) }

    public subscript(_ axis: Int) -> Int { dimensions[axis] }

    public func replacing(_ axis: Int, with extent: Int) -> Shape {
        var copy = self
        copy.dimensions[axis] = extent
        return copy
    }

    /// True if a value of this shape can be repeated to fill `target`: aligned at the last
    /// dimension, each extent is equal to the target's or 1.
    public func broadcasts(to target: Shape) -> Bool {
        guard rank <= target.rank else { return false }
        return zip(dimensions.reversed(), target.dimensions.reversed()).allSatisfy { $0 == $1 || $0 == 1 }
    }

    public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
