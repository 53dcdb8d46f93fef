/// What a person reads of a failure.
extension Finding {
    /// The smallest case in words, what was seen, and how to see it again, each on a line of its own.
    /// - Parameter replay: what runs a corpus file again: `gguf-fuzz replay`.
    public func lines(replay: String) -> [String] {
        var lines: [String] = []
        if let entry { lines = [entry.case.summary] + entry.case.peculiarityLines }
        lines += [failure.seen, history]
        if let problem {
            lines.append("not kept: \(problem)")
        } else if let path {
            lines.append("\(replay) \(path.shellArgument)")
        }
        return lines
    }

    /// `case 7 of seed 1, seen in 3 cases, shrunk in 240 runs`
    private var history: String {
        var parts = ["case \(index)" + (entry.map { " of seed \($0.found.seed)" } ?? "")]
        if count > 1 { parts.append("seen in \(count) cases") }
        if let tries = entry?.found.evaluations { parts.append("shrunk in \(amount(tries, "run"))") }
        if isFlaky { parts.append("passes at times") }
        if isLost { parts.append("did not fail again") }
        return parts.joined(separator: ", ")
    }
}
