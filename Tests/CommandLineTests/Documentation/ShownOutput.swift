import Foundation

/// What a page shows of a command's output: `…` stands for anything, as a line for any lines and in a line for any
/// words or any part of one. Numbers with a point or an exponent are measurements, which differ as processors do: those
/// within ten times of each other are alike. Spaces between words do not count.
struct ShownOutput {
    var lines: [String]

    /// Whether this is what was printed.
    func shows(_ output: [String]) -> Bool {
        Self.match(lines[...], output[...], isAny: { $0 == "…" }) { shown, printed in
            Self.match(Self.words(shown), Self.words(printed), isAny: { $0 == "…" }, Self.isAlike)
        }
    }

    /// The same lines as they are printed now: what stands between two `…` is looked for where it fits best.
    func remade(from output: [String]) -> [String] {
        if shows(output) { return lines }
        var result: [String] = []
        var rest = output[...]
        let pieces = lines.split(separator: "…", omittingEmptySubsequences: false)
        for (number, piece) in pieces.enumerated() {
            if number > 0 { result.append("…") }
            if pieces.count == 1 { return output }
            guard !piece.isEmpty, rest.count >= piece.count else { continue }
            let last = rest.endIndex - piece.count
            let place: Int
            switch number {
            case 0: place = rest.startIndex
            case pieces.count - 1: place = last
            default: place = (rest.startIndex...last).max {
                Self.likeness(piece, rest[$0...]) < Self.likeness(piece, rest[$1...])
            } ?? last
            }
            result += rest[place..<place + piece.count]
            rest = rest[(place + piece.count)...]
        }
        return result
    }

    /// How many words two pieces of text have in common, line by line.
    private static func likeness(_ piece: ArraySlice<String>, _ output: ArraySlice<String>) -> Int {
        zip(piece, output).reduce(0) { $0 + Set(words($1.0)).intersection(words($1.1)).count }
    }

    private static func words(_ line: String) -> ArraySlice<String> {
        line.split(separator: " ").map(String.init)[...]
    }

    /// Two words: equal, both measurements of one size, or a pattern and what fits it.
    static func isAlike(_ shown: String, _ printed: String) -> Bool {
        if shown == printed { return true }
        if shown.contains("…") {
            return match(shown.map(String.init)[...], printed.map(String.init)[...], isAny: { $0 == "…" }, ==)
        }
        guard let (one, oneRest) = measurement(shown), let (other, otherRest) = measurement(printed),
            oneRest == otherRest, one != 0, other != 0
        else { return false }
        return abs(log10(abs(one / other))) <= 1
    }

    /// A number that was measured, and the punctuation after it.
    private static func measurement(_ word: String) -> (Double, Substring)? {
        let number = word.prefix { $0.isNumber || ".e+-".contains($0) }
        guard number.contains(".") || number.contains("e"), let value = Double(number) else { return nil }
        return (value, word.dropFirst(number.count))
    }

    /// Whether a pattern fits a text as a whole, where some elements stand for any number of others.
    private static func match<Element>(
        _ pattern: ArraySlice<Element>, _ text: ArraySlice<Element>, isAny: (Element) -> Bool,
        _ isAlike: (Element, Element) -> Bool
    ) -> Bool {
        var (pattern, text) = (pattern, text)
        // Where to go on if what comes after the last `…` does not fit: one element later.
        var retry: (pattern: ArraySlice<Element>, text: ArraySlice<Element>)?
        while true {
            if let first = pattern.first, isAny(first) {
                pattern = pattern.dropFirst()
                retry = (pattern, text)
            } else if let first = pattern.first, let other = text.first, isAlike(first, other) {
                (pattern, text) = (pattern.dropFirst(), text.dropFirst())
            } else if pattern.isEmpty, text.isEmpty {
                return true
            } else if let last = retry, !last.text.isEmpty {
                retry?.text = last.text.dropFirst()
                (pattern, text) = (last.pattern, last.text.dropFirst())
            } else {
                return false
            }
        }
    }
}
