/// What a person reads of a failure.
extension Finding {
    /// What went wrong, in one line.
    public var title: String { entry?.title ?? failure.signature.description }

    /// Where it was seen, the smallest case in words, what of it matters, what was seen, and how to see it again, each
    /// on a line of its own.
    /// - Parameter replay: what runs a corpus file again: `gguf-fuzz replay`.
    public func lines(replay: String) -> [String] {
        var lines = caseLines
        let frames = entry?.signature.frames.prefix(6) ?? []
        if !frames.isEmpty { lines.append("in \(frames.joined(separator: " < "))") }
        lines += needLines + [failure.seen, history]
        if occurrences.cases > 1 { lines += [occurrences.words] }
        if let problem {
            lines.append("not kept: \(problem)")
        } else if let path {
            lines.append("\(replay) \(path.shellArgument)")
            if isUnfinished, !isLost { lines.append("not cut down to the end: shrink goes on with it") }
        }
        return lines
    }

    /// The smallest case in words.
    var caseLines: [String] {
        guard let subject = entry?.case else { return [] }
        return ["\(subject.architecture), \(subject.check.rawValue): \(subject.summary)"] + subject.peculiarityLines
    }

    /// What of it matters.
    var needLines: [String] {
        var lines: [String] = []
        if let cause, !cause.needs.isEmpty { lines.append("passes without any of: \(cause.words)") }
        if let cause, !cause.tensors.isEmpty {
            lines.append("passes with weights that do nothing in any of: \(cause.tensorWords)")
            lines.append("ops there: \(cause.ops.joined(separator: ", "))")
        }
        return lines
    }

    /// `case 7 of seed 1, shrunk in 240 runs`
    var history: String {
        var parts = ["case \(index)" + (entry.map { " of seed \($0.found.seed)" } ?? "")]
        if let tries = entry?.found.evaluations { parts.append("shrunk in \(amount(tries, "run"))") }
        if isFlaky { parts.append("passes at times") }
        if isLost { parts.append("did not fail again") }
        return parts.joined(separator: ", ")
    }
}

extension Finding.Occurrences {
    /// `seen in 12 cases: agrees, state; gemma, llama; llama:CPU`
    var words: String {
        func list(_ names: some Sequence<String>) -> String {
            let names = names.sorted()
            return names.count <= 8 ? names.joined(separator: ", ")
                : names.prefix(6).joined(separator: ", ") + " and \(names.count - 6) more"
        }
        return "seen in \(amount(cases, "case")): \(list(checks.map(\.rawValue))); \(list(architectures)); "
            + list(devices)
    }
}
