/// What a person reads of a failure.
extension Finding {
    /// What failed, the smallest case in words, what was seen, and how to see it again.
    /// - Parameter replay: what runs a corpus file again: `gguf-fuzz replay`.
    public func text(replay: String) -> String {
        var lines: [String] = []
        if let entry {
            lines.append(entry.case.summary)
            let peculiarities = entry.case.peculiarities
            if !peculiarities.isEmpty { lines.append(peculiarities.joined(separator: ", ")) }
        }
        lines.append(failure.seen)
        lines.append(history)
        if let problem {
            lines.append("not kept: \(problem)")
        } else if let path {
            lines.append("\(replay) \(path)")
        }
        return ([failure.signature.description] + lines.map { "  " + $0 }).joined(separator: "\n")
    }

    /// `case 7 of seed 1, seen in 3 cases, shrunk in 240 runs`
    private var history: String {
        var parts = ["case \(index)" + (entry.map { " of seed \($0.found.seed)" } ?? "")]
        if count > 1 { parts.append("seen in \(count) cases") }
        if let tries = entry?.found.evaluations { parts.append("shrunk in \(tries) run\(tries == 1 ? "" : "s")") }
        if isFlaky { parts.append("passes at times") }
        if isLost { parts.append("did not fail again") }
        return parts.joined(separator: ", ")
    }
}
