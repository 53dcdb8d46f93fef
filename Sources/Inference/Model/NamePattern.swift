import Architectures
import Foundation
import GGUF

/// A regular expression that the whole name of a tensor must match.
struct NamePattern {
    private let pattern: String
    private let expression: NameExpression

    /// - Throws: `ModelError` that quotes a malformed pattern.
    init(_ pattern: String) throws {
        self.pattern = pattern
        expression = try Self.compiled.expression(pattern)
    }

    /// - Throws: `ModelError` where it takes too long to tell.
    func matches(_ name: String) throws -> Bool {
        guard let isMatch = expression.matches(name) else {
            throw ModelError(subject: "pattern \(quoted(pattern))", reason: "takes too long to match \(quoted(name))")
        }
        return isMatch
    }

    private static let compiled = Compiled()

    /// The same few patterns are asked for with every tensor of every case.
    private final class Compiled: @unchecked Sendable {
        private let lock = NSLock()
        private var expressions: [String: NameExpression] = [:]

        func expression(_ pattern: String) throws -> NameExpression {
            try lock.withLock {
                if let known = expressions[pattern] { return known }
                guard let made = NameExpression(pattern) else {
                    throw ModelError(subject: "pattern \(quoted(pattern))", reason: "is no regular expression")
                }
                // A caller's ever new patterns must not fill the memory.
                if expressions.count >= 256 { expressions.removeAll() }
                expressions[pattern] = made
                return made
            }
        }
    }
}
