import Testing

@testable import Tokenizers

@Suite("A pattern")
struct PatternTests {
    @Test("of every pre-tokenizer is one", arguments: PreTokenizer.all.flatMap(\.steps).map(\.source))
    func constants(source: String) throws {
        #expect(try Pattern(parsing: source).program.count > 1)
    }

    @Test("that makes no sense is refused, with the place", arguments: [
        ("(a", 2, "a group does not end"), ("a)", 1, "closes a group that is not open"), ("[a", 2, "ends early"),
        ("[a--", 4, "a set does not start"), ("[a--[b]", 6, "a set does not end"), ("\\", 1, "ends early"),
        ("[a-", 3, "ends early"), ("[b-a]", 4, "a range that descends"), ("a{", 2, "a repetition without a number"),
        ("a{1", 3, "a repetition does not end"), ("a{2,1}", 6, "a repetition of 2 to 1"),
        ("a{99999999999999999999}", 5, "repeats more than 1000 times"), (#"\u12"#, 4, "an escape that is no scalar"),
        (#"\u{}"#, 3, "an escape that is no scalar"), (#"\u{1234567}"#, 9, "an escape that is no scalar"),
        (#"\u{12"#, 5, "an escape that is no scalar"),
        (String(repeating: "(", count: 1000), 33, "nests groups more than 32 deep"),
        (String(repeating: "(?=", count: 1000), 99, "nests groups more than 32 deep"),
    ])
    func malformed(source: String, position: Int, reason: String) {
        let error = #expect(throws: PatternError.self) { try Pattern(parsing: source) }
        #expect(error == PatternError(position: position, reason: reason))
    }

    @Test("repeats nothing that may be empty: it would not come to an end", arguments: [
        "()*", "(a?)*", "(a*)+", "(a|)+", "(?=a)*", "$+", "(){1000}", "(a{0}){9}", "((b|a*)c?)+",
    ])
    func empty(source: String) {
        let error = #expect(throws: PatternError.self) { try Pattern(parsing: source) }
        #expect(error?.reason == "repeats what may be empty")
        #expect(throws: Never.self) { try Pattern(parsing: "(a?b|c+)*(a?)?") }
    }

    @Test("whose repetitions multiply is refused before it is made")
    func long() throws {
        let source = String(repeating: "(", count: 30) + "a" + String(repeating: "){1000}", count: 30)
        let error = #expect(throws: PatternError.self) { try Pattern(parsing: source) }
        #expect(error?.reason == "takes more than 4096 instructions")
        // A run of one set is one instruction.
        #expect(try Pattern(parsing: "a{1000}").program.count == 2)
    }
}

extension PreTokenizer.Step {
    fileprivate var source: String {
        switch self {
        case .pattern(let source), .groups(let source, _): source
        }
    }
}
