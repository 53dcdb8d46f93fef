/// What somebody may have meant who wrote a name that there is not.
public struct NearNames: Sendable {
    /// Those that are the fewest edits away, or begin with what was written; none where all are far.
    public let names: [String]

    public init(of name: String, among all: [String]) {
        let distances = all.map { (name: $0, edits: $0.hasPrefix(name) ? 1 : Self.edits(from: name, to: $0)) }
        let fewest = distances.map(\.edits).min() ?? 0
        names = fewest > max(1, name.count / 3) ? [] : distances.filter { $0.edits == fewest }.map(\.name)
    }

    /// `close to it: llama, llama4`; nil where nothing is.
    public var words: String? { names.isEmpty ? nil : "close to it: \(names.joined(separator: ", "))" }

    /// `there are cpu, vulkan0; close to it: cpu`.
    public static func offer(_ all: [String], for name: String) -> String {
        "there are \(all.joined(separator: ", "))" + (NearNames(of: name, among: all).words.map { "; \($0)" } ?? "")
    }

    /// Characters to insert, delete or replace. Source: Levenshtein 1966.
    private static func edits(from a: String, to b: String) -> Int {
        let b = Array(b)
        // Names from outside may be of any length, and long ones are close to none.
        guard a.utf8.count <= 64 else { return .max }
        var row = Array(0...b.count)
        for character in a {
            var diagonal = row[0]
            row[0] += 1
            for column in b.indices {
                let replaced = diagonal + (character == b[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[b.count]
    }
}
