/// What AddressSanitizer or UndefinedBehaviorSanitizer writes before it ends a process.
struct SanitizerReport: Hashable {
    /// What is wrong, without what differs from run to run: `AddressSanitizer: heap-buffer-overflow`,
    /// `ggml.c: runtime error: division by zero`.
    var kind: String
    /// The line that says it.
    var line: String
    /// Of the first stack after it, the functions that have names there.
    var frames: [StackFrame] = []

    /// - Parameter text: what a process has said, whose last report is looked for.
    /// - Returns: nil where there is none.
    init?(in text: String) {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard let number = lines.lastIndex(where: { Self.kind(of: String($0)) != nil }),
            let kind = Self.kind(of: String(lines[number]))
        else { return nil }
        self.kind = kind
        line = String(lines[number])
        let rest = lines[(number + 1)...].drop { Self.function(of: $0) == nil && !$0.isEmpty }
        frames = rest.prefix { $0.contains("#") }.compactMap(Self.function)
    }

    /// What is wrong, where a line says it.
    static func kind(of line: String) -> String? {
        if let match = line.firstMatch(of: /ERROR: (AddressSanitizer: [A-Za-z -]+?)(?: on | 0x|:| \(|$)/) {
            return String(match.1)
        }
        guard let match = line.firstMatch(of: /([^\/\s]+):[0-9]+:[0-9]+: (runtime error: .*)/) else { return nil }
        return "\(match.1): \(match.2)".replacing(/0x[0-9a-f]+/, with: "0")
    }

    /// `    #1 0x7f8a1c in name(int) /a/file.cpp:12`, or with `(library+0x12)` in the file's place.
    private static func function(of line: Substring) -> StackFrame? {
        guard let match = line.wholeMatch(of: /\s*#[0-9]+ 0x[0-9a-f]+ in (.+) [\/(<]\S*/) else { return nil }
        return FunctionName.of(demangled: String(match.1)).map { .function($0) }
    }
}
