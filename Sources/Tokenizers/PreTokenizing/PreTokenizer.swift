import GGUF

/// How a text is cut into the pieces within which a byte-pair model merges, by the value of `tokenizer.ggml.pre`.
struct PreTokenizer: Sendable {
    struct Traits: OptionSet, Sendable {
        let rawValue: Int
        /// A piece that is a token is that token, whatever the merges say.
        static let ignoresMerges = Traits(rawValue: 1)
        /// The beginning-of-text token is added where the file does not say.
        static let addsBeginning = Traits(rawValue: 2)
        /// It is always added.
        static let forcesBeginning = Traits(rawValue: 4)
        /// There is no such token where the file names none.
        static let lacksBeginning = Traits(rawValue: 8)
        /// Symbols are characters as they are, with `<0x0A>` for other bytes; without it each byte is a symbol.
        static let mergesCharacters = Traits(rawValue: 16)
        /// Spaces become U+2581 before anything else.
        static let escapesSpaces = Traits(rawValue: 32)
        /// A run of newlines that is a token is that token.
        static let keepsNewlines = Traits(rawValue: 64)
        /// Case is kept where the file does not say; for `tokenizer.ggml.model` = `whitespace`.
        static let keepsCase = Traits(rawValue: 128)
    }

    let names: [String]
    let traits: Traits
    let steps: [Step]

    enum Step: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        case pattern(String)
        case groups(String, Splitter.GroupEdge)
        init(stringLiteral value: String) { self = .pattern(value) }
    }

    init(_ names: String..., traits: Traits = [], splits steps: [Step]) {
        self.names = names
        self.traits = traits
        self.steps = steps
    }

    /// One splitter after another; each sees no further than the pieces of the one before.
    var splitters: [Splitter] {
        steps.map { step in
            switch step {
            case .pattern(let source): .pattern(Pattern(source))
            case .groups(let set, let edge): .groups(Pattern(set).sets[0], edge)
            }
        }
    }

    static let `default` = "default"

    /// - Throws: `TokenizerError` for a name that is not in the table.
    static func named(_ name: String) throws -> PreTokenizer {
        guard let found = all.first(where: { $0.names.contains(name) }) else {
            let known = all.flatMap(\.names).joined(separator: ", ")
            let shown = MetadataValue.string(name).summary
            throw TokenizerError(TokenizerKey.pre, "\(shown) is no known pre-tokenizer; known: \(known)")
        }
        return found
    }
}
