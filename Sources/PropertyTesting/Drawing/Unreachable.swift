/// A target that no choices draw.
public struct Unreachable: Error, Hashable, Sendable, CustomStringConvertible {
    /// The target as a person reads it.
    public var target: String

    public init(_ target: Any) { self.target = "\(target)" }

    public var description: String { "no choices draw \(target)" }
}
