/// Why a GGUF file could not be read or written, on one line: `x.gguf: offset 24: reason`.
public struct GGUFError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path of the file; nil where the fault lies in a value that belongs to no file yet.
    public var file: String?
    /// The byte in the file at which the value that is at fault starts.
    public var offset: Int?
    public var reason: String

    public init(file: String? = nil, offset: Int? = nil, reason: String) {
        self.file = file
        self.offset = offset
        self.reason = reason
    }

    public var description: String {
        [file, offset.map { "offset \($0)" }, reason].compactMap { $0 }.joined(separator: ": ")
    }

    /// The same error, placed: what is known already stays.
    func located(file: String, offset: Int? = nil) -> GGUFError {
        GGUFError(file: self.file ?? file, offset: self.offset ?? offset, reason: reason)
    }
}

/// Text from a file as it appears in an error or a summary: one line, at most 60 characters of it.
package func quoted(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(60).map { scalar -> Unicode.Scalar in
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: "\u{FFFD}"
        default: scalar
        }
    }
    let isCut = shown.count < text.unicodeScalars.count
    return "\"" + String(String.UnicodeScalarView(shown)) + (isCut ? "…\"" : "\"")
}
