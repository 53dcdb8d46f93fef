import Testing

@testable import Tokenizers

@Suite("A pre-tokenizer")
struct PreTokenizerTests {
    private func pieces(_ name: String, _ text: String) throws -> [String] {
        let scalars = ScalarText(Array(text.unicodeScalars))
        var matcher = PatternMatcher()
        var pieces = [0..<scalars.scalars.count]
        for splitter in try PreTokenizer.named(name).splitters { pieces = splitter.split(scalars, pieces, &matcher) }
        return pieces.map { String(String.UnicodeScalarView(scalars.scalars[$0])) }
    }

    @Test("cuts a text, and loses none of it", arguments: PreTokenizer.all.flatMap(\.names))
    func whole(name: String) throws {
        let text = "Don't   stop\r\n\t 12345٣ ÉTÉ-é\u{301}, 中文 가나'LL <a>  \u{3000}\u{378}!!\n\n"
        let pieces = try pieces(name, text)
        #expect(pieces.joined().unicodeScalars.elementsEqual(text.unicodeScalars))
        #expect(pieces.count > 1 && !pieces.contains(""))
        #expect(try self.pieces(name, "").allSatisfy(\.isEmpty))
    }

    @Test("is named once")
    func names() {
        let names = PreTokenizer.all.flatMap(\.names)
        #expect(Set(names).count == names.count)
    }

    @Test("keeps numbers together as its model does", arguments: [
        ("gpt-2", ["ab", "12345"]), ("starcoder", ["ab", "1", "2", "3", "4", "5"]), ("llama3", ["ab", "123", "45"]),
        ("falcon", ["ab", "123", "45"]), ("superbpe", ["ab", "12", "345"]), ("afmoe", ["ab", "12", "345"]),
    ])
    func numbers(name: String, expected: [String]) throws {
        #expect(try pieces(name, "ab12345") == expected)
    }

    @Test("leaves the last of some spaces to the word after them")
    func spaces() throws {
        #expect(try pieces("gpt-2", "a   b  ") == ["a", "  ", " b", "  "])
        #expect(try pieces("qwen2", "a  \n b") == ["a", "  \n", " b"])
    }

    @Test("goes back over a run where what follows asks for it")
    func backtracking() throws {
        #expect(try pieces("tekken", "ABCd") == ["ABCd"])
        #expect(try pieces("tekken", "aBC") == ["a", "BC"])
    }
}

@Suite("The class of a scalar")
struct ScalarClassTests {
    @Test("is that of Unicode 15.1, whatever Swift's own release", arguments: [
        ("a", ScalarClass.letter), ("中", .letter), ("Ⅷ", .number), ("\u{301}", .mark), ("—", .punctuation),
        ("€", .symbol), ("\u{200B}", .control), ("\u{E000}", .control), ("\u{85}", .whitespace),
        ("\u{3000}", .whitespace),
        ("\u{378}", []), ("\u{1C89}", []), ("\u{31350}", .letter), ("\u{2FFC}", .symbol),
    ] as [(Unicode.Scalar, ScalarClass)])
    func classes(scalar: Unicode.Scalar, expected: ScalarClass) {
        #expect(ScalarClass(scalar) == expected)
    }
}
