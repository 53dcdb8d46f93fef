/// The extents of a value, outermost first: the last dimension is the contiguous one.
///
/// GGUF files list dimensions the other way round (fastest first); `init(gguf:)` and `gguf` convert.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    /// As ggml: no file has more dimensions, and no op makes more.
    public static let greatestRank = 4

    public private(set) var rank: Int
    /// The last dimension in `d`; 1 where there is none. In place, since shapes are made and copied for every value of
    /// every graph.
    private var extents: Extents

    private struct Extents: Hashable {
        var a = 1, b = 1, c = 1, d = 1
    }

    public init(_ dimensions: some Sequence<Int>) { self.init(Array(dimensions)) }
    public init(arrayLiteral dimensions: Int...) { self.init(dimensions) }

    /// Of an array, since most shapes are made of one, and what is generic is slow in a debug build.
    public init(_ dimensions: [Int]) {
        precondition(dimensions.count <= Self.greatestRank, "a shape of \(dimensions.count) dimensions")
        rank = dimensions.count
        extents = Extents()
        for axis in 0..<rank { self[axis] = dimensions[axis] }
    }
    public init(gguf dimensions: [Int]) { self.init(dimensions.reversed()) }

    public var dimensions: [Int] { (0..<rank).map { self[$0] } }
    public var gguf: [Int] { dimensions.reversed() }
    /// Number of elements; 1 for a scalar.
    public var count: Int { rows * extents.d }
    /// Length of the contiguous dimension; 1 for a scalar.
    public var last: Int { extents.d }
    /// Number of contiguous rows: `count / last`.
    public var rows: Int { extents.a * extents.b * extents.c }

    public subscript(_ axis: Int) -> Int {
        get {
            precondition(axis >= 0 && axis < rank, "no dimension \(axis) in \(self)")
            switch rank - axis {
            case 1: return extents.d
            case 2: return extents.c
            case 3: return extents.b
            default: return extents.a
            }
        }
        set {
            precondition(axis >= 0 && axis < rank, "no dimension \(axis) in \(self)")
            switch rank - axis {
            case 1: extents.d = newValue
            case 2: extents.c = newValue
            case 3: extents.b = newValue
            default: extents.a = newValue
            }
        }
    }

    /// Product of the extents outside of an axis: how often the axis is walked.
    public func count(before axis: Int) -> Int { (0..<axis).reduce(1) { $0 * self[$1] } }
    /// Product of the extents inside of an axis: the distance of its neighbours.
    public func count(after axis: Int) -> Int { (axis + 1 ..< rank).reduce(1) { $0 * self[$1] } }

    /// As many values of this shape, side by side.
    public func repeated(_ count: Int) -> Shape {
        precondition(rank < Self.greatestRank, "a shape of more than \(Self.greatestRank) dimensions")
        var copy = self
        copy.rank += 1
        copy[0] = count
        return copy
    }
    /// Of one of the values that the outermost dimension counts.
    public func dropFirst() -> Shape {
        var copy = self
        if rank > 0 {
            copy[0] = 1
            copy.rank -= 1
        }
        return copy
    }

    /// The same rows of another length.
    public func replacingLast(with extent: Int) -> Shape {
        var copy = self
        copy.rank = max(1, rank)
        copy.extents.d = extent
        return copy
    }

    public func replacing(_ axis: Int, with extent: Int) -> Shape {
        var copy = self
        copy[axis] = extent
        return copy
    }

    /// True if a value of this shape can be repeated to fill `target`: aligned at the last
    /// dimension, each extent is equal to the target's or 1.
    public func broadcasts(to target: Shape) -> Bool {
        guard rank <= target.rank else { return false }
        return (0..<rank).allSatisfy { self[$0] == target[$0 + target.rank - rank] || self[$0] == 1 }
    }

    public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
