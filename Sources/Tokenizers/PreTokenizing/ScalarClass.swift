/// What the tokenizers distinguish of Unicode's general categories; white space, whatever its category, is a class
/// of its own. A scalar has one class, or none where it is unassigned.
struct ScalarClass: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let letter = ScalarClass(rawValue: 1)
    static let number = ScalarClass(rawValue: 2)
    static let mark = ScalarClass(rawValue: 4)
    static let punctuation = ScalarClass(rawValue: 8)
    static let symbol = ScalarClass(rawValue: 16)
    /// Control and format characters, private use.
    static let control = ScalarClass(rawValue: 32)
    static let whitespace = ScalarClass(rawValue: 64)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The release whose categories llama.cpp 0.3.36 has in its tables. What later ones added is unassigned, so that
    /// a text has the same tokens whatever release Swift's own tables are of.
    static let unicodeVersion: Unicode.Version = (major: 15, minor: 1)

    init(_ scalar: Unicode.Scalar) { self = scalar.isASCII ? Self.ascii[Int(scalar.value)] : Self(uncached: scalar) }

    private static let ascii = (0..<128).map { ScalarClass(uncached: Unicode.Scalar(UInt8($0))) }

    private init(uncached scalar: Unicode.Scalar) {
        let properties = scalar.properties
        if properties.isWhitespace {
            self = .whitespace
            return
        }
        guard scalar.isKnown else {
            self = []
            return
        }
        self =
            switch properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: .letter
            case .nonspacingMark, .spacingMark, .enclosingMark: .mark
            case .decimalNumber, .letterNumber, .otherNumber: .number
            case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
                .finalPunctuation, .otherPunctuation:
                .punctuation
            case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: .symbol
            case .control, .format, .privateUse, .surrogate: .control
            case .spaceSeparator, .lineSeparator, .paragraphSeparator, .unassigned: []
            @unknown default: []
            }
    }
}

extension Unicode.Scalar {
    /// Whether the release that the tokenizers go by has assigned it.
    fileprivate var isKnown: Bool {
        // Private use has an age too.
        guard let age = properties.age else { return false }
        return age <= ScalarClass.unicodeVersion
    }

    /// Its simple lower case.
    var lowercased: Unicode.Scalar {
        if isASCII { return ("A"..."Z").contains(self) ? Unicode.Scalar(UInt8(value) + 32) : self }
        return isKnown ? properties.lowercaseMapping.unicodeScalars.first ?? self : self
    }
}
