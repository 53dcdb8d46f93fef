/// Why a tokenizer's metadata cannot be used, or a text not be encoded with it: `key: reason`, on one line.
public struct TokenizerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The metadata key that is at fault.
    public var key: String
    public var reason: String

    public init(_ key: String, _ reason: String) {
        self.key = key
        self.reason = reason
    }

    public var description: String { "\(key): \(reason)" }
}
