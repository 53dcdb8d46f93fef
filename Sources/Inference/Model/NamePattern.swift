import Foundation
import GGUF

/// A regular expression that the whole name of a tensor must match.
struct NamePattern {
    private let pattern: String
    // Foundation's compiles in a tenth of the time of the standard library's.
    private let expression: NSRegularExpression
    /// Progress is reported every ten thousand steps, of which patterns that people write take a few.
    private static let longestProgress = 100

    /// - Throws: `ModelError` that quotes a malformed pattern.
    init(_ pattern: String) throws {
        self.pattern = pattern
        expression = try Self.compiled.expression(pattern)
    }

    /// - Throws: `ModelError` where it takes too long to tell.
    func matches(_ name: String) throws -> Bool {
        var isMatch = false
        var progress = 0
        expression.enumerateMatches(
            in: name, options: .reportProgress, range: NSRange(name.startIndex..., in: name)
        ) { match, _, stop in
            isMatch = match != nil
            progress += 1
            stop.pointee = ObjCBool(isMatch || progress == Self.longestProgress)
        }
        guard isMatch || progress < Self.longestProgress else {
            throw ModelError(subject: "pattern \(quoted(pattern))", reason: "takes too long to match \(quoted(name))")
        }
        return isMatch
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
                throw ModelError(subject: "pattern \(quoted(pattern))", reason: "is no regular expression")
            }
        }
    }
}
