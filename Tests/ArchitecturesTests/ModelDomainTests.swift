import Architectures
import Foundation
import GGUF
import PropertyTesting
import Testing

@Suite("Domains of models")
struct ModelDomainTests {
    private func domain(_ json: String) throws -> ModelDomain {
        try JSONDecoder().decode(ModelDomain.self, from: Data(json.utf8))
    }

    private let some = """
        {"keys": [{"pattern": "qwen3\\\\.rope\\\\.scaling\\\\.type", "values": [null, "yarn"]},
                  {"pattern": "qwen3\\\\.embedding_length", "values": [64, 96]},
                  {"pattern": "qwen3\\\\.rope\\\\.dimension_count", "values": [null]},
                  {"pattern": "qwen3\\\\.attention\\\\.head_count", "values": [2, 4]},
                  {"pattern": "qwen3\\\\.attention\\\\..*", "values": [1]}],
         "tensors": [{"pattern": "qwen3\\\\.blk\\\\.attn_qkv\\\\.(weight|bias)", "presence": ["never"]},
                     {"pattern": "qwen3\\\\.output\\\\.weight", "presence": ["always", "mixed"]}]}
        """

    @Test("narrow what is drawn, the first pattern that fits deciding")
    func drawing() throws {
        let domain = try domain(some)
        for seed in 0..<200 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let metadata = try DrawnModel.draw(Qwen3.self, &choices, within: domain).metadata
            #expect([nil, .string("yarn")].contains(metadata["qwen3.rope.scaling.type"]))
            #expect([64, 96].contains(metadata.integer("qwen3.embedding_length")))
            #expect(metadata["qwen3.rope.dimension_count"] == nil)
            #expect([2, 4].contains(metadata.integer("qwen3.attention.head_count")))
        }
        var seen: Set<Set<String>> = []
        for seed in 0..<50 as Range<UInt64> {
            var choices = Choices(seed: seed)
            seen.insert(try DrawnModel.draw(Qwen3.self, &choices, within: domain).optionalTensors)
        }
        #expect(seen.allSatisfy { names in !names.contains { $0.contains("attn_qkv") } })
        #expect(seen.contains { $0.contains("output.weight") })
    }

    @Test("leave what is given and what is replayed alone")
    func recovering() throws {
        let domain = try domain(some)
        for seed in 0..<50 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let any = try DrawnModel.draw(Qwen3.self, &choices)
            var recovered = Choices(replaying: [])
            _ = try DrawnModel.draw(
                Qwen3.self, &recovered, like: (any.metadata, any.optionalTensors), within: domain)
            var replayed = Choices(replaying: recovered.recording)
            let again = try DrawnModel.draw(Qwen3.self, &replayed, within: domain)
            #expect(again.metadata == any.metadata && again.optionalTensors == any.optionalTensors, "seed \(seed)")
        }
    }

    @Test("that are no regular expressions are refused by name")
    func malformed() throws {
        let error = #expect(throws: DecodingError.self) { try domain(#"{"keys": [{"pattern": "(", "values": [1]}]}"#) }
        #expect(error.map { "\($0)".contains("(: is no regular expression") } == true)
        #expect(try domain("{}") == ModelDomain())
    }

    @Test("whose patterns take for ever on a name are told by the pattern", arguments: [
        #"{"keys": [{"pattern": "(q|w|e|n|3|\\w|\\w\\w|[.])*!", "values": [1]}]}"#,
        #"{"tensors": [{"pattern": "(q|w|e|n|3|\\w|\\w\\w|[.])*!", "presence": ["never"]}]}"#,
    ])
    func exponential(json: String) throws {
        let domain = try domain(json)
        for seed in 0..<3 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let error = #expect(throws: MetadataError.self) {
                _ = try DrawnModel.draw(Qwen3.self, &choices, within: domain)
            }
            #expect(error?.reason.hasPrefix("takes too long to match qwen3.") == true)
        }
    }

    @Test("that leave nothing to draw of where a tensor is are none")
    func nothingToDraw() {
        #expect(throws: DecodingError.self) { try domain(#"{"tensors": [{"pattern": ".*", "presence": []}]}"#) }
    }
}
