import Fuzzing

/// Cases as lines of text.
enum CaseText {
    private static let width = 100

    /// What is special about a case, in as many lines as it takes.
    static func peculiarities(_ subject: Case) -> [String] {
        var lines: [String] = []
        for peculiarity in subject.peculiarities {
            if let last = lines.last, last.count + 2 + peculiarity.count <= width {
                lines[lines.count - 1] += ", \(peculiarity)"
            } else {
                if !lines.isEmpty { lines[lines.count - 1] += "," }
                lines.append(peculiarity)
            }
        }
        return lines
    }
}
