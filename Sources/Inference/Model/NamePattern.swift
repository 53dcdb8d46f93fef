import Foundation

/// A regular expression that the whole name of a tensor must match.
struct NamePattern {
    // Foundation's compiles in a tenth of the time of the standard library's.
    private let expression: NSRegularExpression

    /// - Throws: `ModelError` that quotes a malformed pattern.
    init(_ pattern: String) throws { expression = try Self.compiled.expression(pattern) }

    func matches(_ name: String) -> Bool {
        expression.firstMatch(in: name, range: NSRange(name.startIndex..., in: name)) != nil
    }

    private static let compiled = Compiled()

    /// The same few patterns are asked for with every tensor of every case.
    private final class Compiled: @unchecked Sendable {
        private let lock = NSLock()
        private var expressions: [String: NSRegularExpression] = [:]

        func expression(_ pattern: String) throws -> NSRegularExpression {
            try lock.withLock {
                if let known = expressions[pattern] { return known }
                let made = try Self.compile(pattern)
                // A caller's ever new patterns must not fill the memory.
                if expressions.count >= 256 { expressions.removeAll() }
                expressions[pattern] = made
                return made
            }
        }

        private static func compile(_ pattern: String) throws -> NSRegularExpression {
            do {
                // By itself first: inside the group a stray parenthesis could make sense.
                _ = try NSRegularExpression(pattern: pattern)
                return try NSRegularExpression(pattern: "\\A(?:\(pattern))\\z")
            } catch {
                throw ModelError(subject: "pattern \"\(pattern)\"", reason: "is no regular expression")
            }
        }
    }
}
