indirect enum PatternNode {
    case set(ScalarSet)
    case end
    case sequence([PatternNode])
    case alternatives([PatternNode])
    case repeated(PatternNode, Int, Int)
    case lookahead(PatternNode, isNegated: Bool)

    /// Whether it matches where there is nothing.
    fileprivate var mayBeEmpty: Bool {
        switch self {
        case .set: false
        case .end, .lookahead: true
        case .sequence(let nodes): nodes.allSatisfy(\.mayBeEmpty)
        case .alternatives(let nodes): nodes.contains(where: \.mayBeEmpty)
        case .repeated(let body, let minimum, _): minimum == 0 || body.mayBeEmpty
        }
    }
}

/// Why a text is no pattern.
struct PatternError: Error, Hashable, CustomStringConvertible {
    /// The scalar at which it stops making sense.
    var position: Int
    var reason: String
    var description: String { "scalar \(position): \(reason)" }
}

/// Reads the language that `Pattern` describes, by recursive descent.
struct PatternParser {
    /// Groups within each other, which take stack.
    private static let maximumDepth = 32
    /// Of a repetition that is counted, which takes as many instructions.
    private static let maximumCount = 1000

    private let source: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    init(_ source: String) { self.source = Array(source.unicodeScalars) }

    /// The whole text.
    mutating func parse() throws(PatternError) -> PatternNode {
        let node = try alternatives()
        guard position == source.count else { throw failure("closes a group that is not open") }
        return node
    }

    private func failure(_ reason: String) -> PatternError { PatternError(position: position, reason: reason) }

    private var next: Unicode.Scalar? { position < source.count ? source[position] : nil }

    private mutating func take() throws(PatternError) -> Unicode.Scalar {
        guard let scalar = next else { throw failure("ends early") }
        position += 1
        return scalar
    }

    private func stands(_ text: String) -> Bool { source[position...].starts(with: text.unicodeScalars) }

    private mutating func take(_ text: String) -> Bool {
        guard stands(text) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private mutating func require(_ text: String, _ reason: String) throws(PatternError) {
        guard take(text) else { throw failure(reason) }
    }

    private mutating func alternatives() throws(PatternError) -> PatternNode {
        var nodes = [try sequence()]
        while take("|") { nodes.append(try sequence()) }
        return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
    }

    private mutating func sequence() throws(PatternError) -> PatternNode {
        var nodes: [PatternNode] = []
        while let scalar = next, scalar != "|", scalar != ")" { nodes.append(try quantified(try atom())) }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func quantified(_ node: PatternNode) throws(PatternError) -> PatternNode {
        if take("?") { return .repeated(node, 0, 1) }
        var (minimum, maximum) = (0, Int.max)
        if take("+") {
            minimum = 1
        } else if take("{") {
            minimum = try number()
            maximum = take(",") ? try number() : minimum
            try require("}", "a repetition does not end")
            guard minimum <= maximum else { throw failure("a repetition of \(minimum) to \(maximum)") }
        } else if !take("*") {
            return node
        }
        // It would be repeated without end.
        guard !node.mayBeEmpty else { throw failure("repeats what may be empty") }
        return .repeated(node, minimum, maximum)
    }

    private mutating func number() throws(PatternError) -> Int {
        let start = position
        var value = 0
        while let digit = next, ("0"..."9").contains(digit) {
            value = value * 10 + Int(digit.value - 48)
            guard value <= Self.maximumCount else { throw failure("repeats more than \(Self.maximumCount) times") }
            position += 1
        }
        guard position > start else { throw failure("a repetition without a number") }
        return value
    }

    private mutating func atom() throws(PatternError) -> PatternNode {
        for (opening, isNegated) in [("(?=", false), ("(?!", true)] where take(opening) {
            return .lookahead(try closed(), isNegated: isNegated)
        }
        if take("(?:") || take("(") { return try closed() }
        if take("$") { return .end }
        if next == "[" { return .set(try bracket()) }
        var part = ScalarSet.Part()
        try element(&part)
        return .set(ScalarSet(part))
    }

    private mutating func closed() throws(PatternError) -> PatternNode {
        guard depth < Self.maximumDepth else { throw failure("nests groups more than \(Self.maximumDepth) deep") }
        depth += 1
        let node = try alternatives()
        depth -= 1
        try require(")", "a group does not end")
        return node
    }

    private mutating func bracket() throws(PatternError) -> ScalarSet {
        let included = try members()
        guard take("--") else {
            try require("]", "a set does not end")
            return ScalarSet(included)
        }
        let excluded = try members()
        try require("]]", "a set does not end")
        return ScalarSet(included, excluding: excluded)
    }

    /// From `[` to before `]` or `--`.
    private mutating func members() throws(PatternError) -> ScalarSet.Part {
        try require("[", "a set does not start")
        var part = ScalarSet.Part(isNegated: take("^"))
        while next != "]", !stands("--") { try element(&part) }
        return part
    }

    /// A scalar, a range of them, or an escape that stands for a class.
    private mutating func element(_ part: inout ScalarSet.Part) throws(PatternError) {
        if take(#"\s"#) { part.classes.insert(.whitespace) }
        else if take(#"\d"#) { part.ranges.append(0x30...0x39) }
        else if take(#"\S"#) {
            part.classes.insert(.whitespace)
            part.isNegated.toggle()
        } else if take(#"\p{Han}"#) { part.ranges += ScalarSet.han }
        else if let found = Self.classes.first(where: { take("\\p{\($0.key)}") }) { part.classes.insert(found.value) }
        else {
            let first = try scalar()
            let isRange = next == "-" && !stands("--")
            let last = isRange && take("-") ? try scalar() : first
            guard first <= last else { throw failure("a range that descends") }
            part.ranges.append(first...last)
        }
    }

    private static let classes: KeyValuePairs<String, ScalarClass> = [
        "L": .letter, "N": .number, "M": .mark, "P": .punctuation, "S": .symbol,
    ]

    private mutating func scalar() throws(PatternError) -> UInt32 {
        guard take("\\") else { return try take().value }
        let escaped = try take()
        switch escaped {
        case "r": return 0x0D
        case "n": return 0x0A
        case "t": return 0x09
        case "u": return take("{") ? try hexadecimal(1...6, closing: "}") : try hexadecimal(4...4)
        default: return escaped.value
        }
    }

    /// - Parameters:
    ///   - lengths: how many digits there may be; as many as there are belong to the number.
    ///   - closing: what must follow them.
    private mutating func hexadecimal(
        _ lengths: ClosedRange<Int>, closing: String = ""
    ) throws(PatternError) -> UInt32 {
        var value: UInt32 = 0
        var count = 0
        while count < lengths.upperBound, let digit = next.flatMap({ Character($0).hexDigitValue }) {
            value = value << 4 | UInt32(digit)
            count += 1
            position += 1
        }
        guard lengths.contains(count), take(closing) else { throw failure("an escape that is no scalar") }
        return value
    }
}
