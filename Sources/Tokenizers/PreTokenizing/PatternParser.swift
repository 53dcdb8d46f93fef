indirect enum PatternNode {
    case set(ScalarSet)
    case end
    case sequence([PatternNode])
    case alternatives([PatternNode])
    case repeated(PatternNode, Int, Int)
    case lookahead(PatternNode, isNegated: Bool)
}

/// Reads the language that `Pattern` describes, by recursive descent.
struct PatternParser {
    private let source: [Unicode.Scalar]
    private var position = 0

    init(_ source: String) { self.source = Array(source.unicodeScalars) }

    mutating func parse() -> PatternNode {
        let node = alternatives()
        precondition(position == source.count, "a pattern ends early")
        return node
    }

    private var next: Unicode.Scalar? { position < source.count ? source[position] : nil }

    private mutating func take() -> Unicode.Scalar {
        position += 1
        return source[position - 1]
    }

    private mutating func take(_ text: String) -> Bool {
        guard source[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private mutating func alternatives() -> PatternNode {
        var nodes = [sequence()]
        while take("|") { nodes.append(sequence()) }
        return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
    }

    private mutating func sequence() -> PatternNode {
        var nodes: [PatternNode] = []
        while let scalar = next, scalar != "|", scalar != ")" { nodes.append(quantified(atom())) }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func quantified(_ node: PatternNode) -> PatternNode {
        if take("?") { return .repeated(node, 0, 1) }
        if take("*") { return .repeated(node, 0, .max) }
        if take("+") { return .repeated(node, 1, .max) }
        guard take("{") else { return node }
        let minimum = number()
        let maximum = take(",") ? number() : minimum
        precondition(take("}"), "a repetition does not end")
        return .repeated(node, minimum, maximum)
    }

    private mutating func number() -> Int {
        var value = 0
        while let digit = next, ("0"..."9").contains(digit) { value = value * 10 + Int(take().value - 48) }
        return value
    }

    private mutating func atom() -> PatternNode {
        for (opening, isNegated) in [("(?=", false), ("(?!", true)] where take(opening) {
            return .lookahead(closed(), isNegated: isNegated)
        }
        if take("(?:") || take("(") { return closed() }
        if take("$") { return .end }
        if next == "[" { return .set(bracket()) }
        var part = ScalarSet.Part()
        element(&part)
        return .set(ScalarSet(part))
    }

    private mutating func closed() -> PatternNode {
        let node = alternatives()
        precondition(take(")"), "a group does not end")
        return node
    }

    private mutating func bracket() -> ScalarSet {
        let included = members()
        guard take("--") else {
            precondition(take("]"), "a set does not end")
            return ScalarSet(included)
        }
        let excluded = members()
        precondition(take("]]"), "a set does not end")
        return ScalarSet(included, excluding: excluded)
    }

    /// From `[` to before `]` or `--`.
    private mutating func members() -> ScalarSet.Part {
        precondition(take("["), "a set does not start")
        var part = ScalarSet.Part(isNegated: take("^"))
        while next != "]", !source[position...].starts(with: "--".unicodeScalars) { element(&part) }
        return part
    }

    /// A scalar, a range of them, or an escape that stands for a class.
    private mutating func element(_ part: inout ScalarSet.Part) {
        if take(#"\s"#) { part.classes.insert(.whitespace) }
        else if take(#"\d"#) { part.ranges.append(0x30...0x39) }
        else if take(#"\S"#) {
            part.classes.insert(.whitespace)
            part.isNegated.toggle()
        } else if take(#"\p{Han}"#) { part.ranges += ScalarSet.han }
        else if let found = Self.classes.first(where: { take("\\p{\($0.key)}") }) { part.classes.insert(found.value) }
        else {
            let first = scalar()
            let isRange = next == "-" && !source[position...].starts(with: "--".unicodeScalars)
            part.ranges.append(first...(isRange && take("-") ? scalar() : first))
        }
    }

    private static let classes: KeyValuePairs<String, ScalarClass> = [
        "L": .letter, "N": .number, "M": .mark, "P": .punctuation, "S": .symbol,
    ]

    private mutating func scalar() -> UInt32 {
        guard take("\\") else { return take().value }
        switch take() {
        case "r": return 0x0D
        case "n": return 0x0A
        case "t": return 0x09
        case "u":
            let isBraced = take("{")
            let digits = isBraced ? source[position...].prefix { $0 != "}" } : source[position..<position + 4]
            position += digits.count + (isBraced ? 1 : 0)
            return digits.reduce(0) { $0 << 4 | UInt32(Character($1).hexDigitValue ?? 0) }
        case let other: return other.value
        }
    }
}
