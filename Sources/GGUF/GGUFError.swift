/// A file that cannot be read or written: which, where in it, and why; one line.
public struct GGUFError: Error, Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// Byte offset in the file, where one place is to blame.
    public var offset: Int?
    public var reason: String

    public init(file: String, offset: Int? = nil, reason: String) {
        self.file = file
        self.offset = offset
        self.reason = reason
    }

    public var description: String { "\(file): \(offset.map { "offset \($0): " } ?? "")\(reason)" }
}
