import GGUF
import Testing

@testable import Tokenizers

@Suite("A tokenizer that is cut down to a text")
struct CutTokenizerTests {
    private static let text = "hello hello12 a b"

    private func texts(_ metadata: Metadata) throws -> [String] {
        guard case .array(.string(let texts)) = metadata["tokenizer.ggml.tokens"] else { return [] }
        return texts
    }

    @Test(
        "gives the text the same tokens",
        arguments: [
            bytePair("gpt-2"), bytePair("llama-bpe", ["add_bos_token": true]), sentencePiece(), wordPiece(), plamo2(),
            sentencePiece(["add_space_prefix": false, "add_eos_token": true]),
        ])
    func encoding(metadata: Metadata) throws {
        let cut = try CutTokenizer(metadata, to: Self.text).metadata
        let (all, some) = (try texts(metadata), try texts(cut))
        let expected = try Tokenizer(metadata).encode(Self.text, addSpecial: true, parseSpecial: true)
        let found = try Tokenizer(cut).encode(Self.text, addSpecial: true, parseSpecial: true)
        #expect(found.map { some[$0] } == expected.map { all[$0] })
        #expect(cut.array("tokenizer.ggml.token_type")?.count == some.count)
    }

    @Test("lacks what the text does not need, and has every byte")
    func size() throws {
        let metadata = bytePair("gpt-2")
        let cut = try CutTokenizer(metadata, to: "hello").metadata
        #expect(try texts(cut) == byteStandIns.map(\.0) + ["he", "ll", "hell", "hello", "<s>", "</s>"])
        #expect(cut["tokenizer.ggml.merges"] == .array(.string(["h e", "l l", "he ll", "hell o"])))
        #expect(try Tokenizer(cut).encode("owl") == [111, 119, 108])
    }

    @Test("says which tokens have a role, also where a default did")
    func roles() throws {
        let cut = try CutTokenizer(bytePair("gpt-2"), to: "hello").metadata
        #expect(cut.integer("tokenizer.ggml.bos_token_id") == 260 && cut.integer("tokenizer.ggml.eos_token_id") == 261)
        let pieces = try CutTokenizer(sentencePiece(), to: "ab").metadata
        #expect(pieces.integer("tokenizer.ggml.bos_token_id") == 1)
        #expect(pieces.integer("tokenizer.ggml.unknown_token_id") == 0)
    }
}
