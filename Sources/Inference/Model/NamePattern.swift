/// A regular expression that the whole name of a tensor must match.
struct NamePattern {
    private let regex: Regex<AnyRegexOutput>

    /// - Throws: `ModelError` that quotes a malformed pattern.
    init(_ pattern: String) throws {
        do {
            regex = try Regex(pattern)
        } catch {
            throw ModelError(subject: "pattern \"\(pattern)\"", reason: "is no regular expression: \(error)")
        }
    }

    func matches(_ name: String) throws -> Bool { try regex.wholeMatch(in: name) != nil }
}
