/// A model or recipe that cannot be used: what of it, and why.
public struct ModelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A tensor's name, or what else is wrong.
    public var subject: String
    public var reason: String

    public init(subject: String, reason: String) {
        self.subject = subject
        self.reason = reason
    }

    public var description: String { "\(subject): \(reason)" }
}
