import Architectures
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@Suite("Metadata that contradicts itself")
struct ContradictionTests {
    /// Changes to the simplest metadata of an architecture, and the key that the error must name.
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var architecture: String
        var changes: [String: MetadataValue]
        var named: String
        var testDescription: String { "\(architecture): \(name)" }

        init(_ name: String, _ architecture: String, _ changes: [String: MetadataValue], named: String) {
            self.name = name
            self.architecture = architecture
            self.changes = changes
            self.named = named
        }
    }

    static let cases: [Case] = [
        Case(
            "heads that do not divide", "qwen3moe", ["attention.head_count": 4, "attention.head_count_kv": 3],
            named: "attention.head_count_kv = 3"),
        Case(
            "heads of odd size cannot be rotated", "qwen3moe", ["attention.key_length": 5, "attention.value_length": 5],
            named: "attention.key_length = 5"),
        Case(
            "values of another size than keys", "gemma2", ["attention.key_length": 16, "attention.value_length": 8],
            named: "attention.value_length = 8"),
        Case(
            "more experts used than there are", "qwen3moe", ["expert_count": 4, "expert_used_count": 5],
            named: "expert_used_count = 5"),
        Case(
            "groups that do not divide the experts", "deepseek2",
            ["expert_count": 6, "expert_used_count": 1, "expert_group_count": 4, "expert_group_used_count": 1],
            named: "expert_group_count = 4"),
        Case(
            "groups of a single expert", "deepseek2",
            ["expert_count": 4, "expert_used_count": 1, "expert_group_count": 4, "expert_group_used_count": 1],
            named: "expert_group_count = 4"),
        Case(
            "more experts than the groups used hold", "deepseek2",
            ["expert_count": 8, "expert_used_count": 5, "expert_group_count": 4, "expert_group_used_count": 2],
            named: "expert_group_used_count = 2"),
        Case(
            "more groups used than there are", "deepseek2",
            ["expert_count": 8, "expert_used_count": 2, "expert_group_count": 4, "expert_group_used_count": 5],
            named: "expert_group_used_count = 5"),
        Case(
            "part of a head rotated where all must be", "gpt-oss",
            ["attention.key_length": 16, "attention.value_length": 16, "rope.dimension_count": 8],
            named: "rope.dimension_count = 8"),
        Case(
            "more rotated than the head has", "gemma2",
            ["attention.key_length": 16, "attention.value_length": 16, "rope.dimension_count": 32],
            named: "rope.dimension_count = 32"),
        Case(
            "a width that does not divide among the heads", "gpt2", ["embedding_length": 32, "attention.head_count": 3],
            named: "attention.head_count = 3"),
        Case(
            "a head size that the width does not give", "bloom",
            ["embedding_length": 32, "attention.head_count": 2, "attention.key_length": 8],
            named: "bloom.attention.key_length"),
        Case(
            "a window pattern of the wrong length", "gemma2",
            ["block_count": 2, "attention.sliding_window_pattern": .array(.bool([true, false, true]))],
            named: "gemma2.attention.sliding_window_pattern"),
        Case(
            "a window pattern that is no pattern", "gpt-oss", ["attention.sliding_window_pattern": .string("all")],
            named: "gpt-oss.attention.sliding_window_pattern"),
        Case(
            "no window to slide", "gpt-oss", ["attention.sliding_window": 0],
            named: "gpt-oss.attention.sliding_window"),
        Case(
            "chunks of a length that no engine knows", "llama4", ["attention.sliding_window": 100],
            named: "attention.sliding_window = 100"),
        Case("no experts where some layers need them", "llama4", ["expert_count": 0], named: "llama4.expert_count"),
        Case(
            "an absorbed cache of several heads", "deepseek2",
            absorbed(["attention.head_count": 4, "attention.head_count_kv": 4]), named: "attention.head_count_kv = 4"),
        Case(
            "an absorbed cache of another width", "deepseek2", absorbed(["attention.key_length": 24]),
            named: "attention.key_length = 24"),
        Case(
            "fewer keys than queries in expanded attention", "deepseek2",
            ["attention.head_count": 4, "attention.head_count_kv": 1], named: "attention.head_count_kv = 1"),
        Case(
            "values absorbed, but not keys", "deepseek2", ["attention.value_length_mla": 16],
            named: "deepseek2.attention.value_length_mla"),
        Case(
            "an odd number of positional elements", "deepseek2", ["rope.dimension_count": 3],
            named: "rope.dimension_count = 3"),
        Case(
            "keys that are all position", "deepseek2", ["rope.dimension_count": 8, "attention.key_length": 8],
            named: "attention.key_length = 8"),
        Case(
            "a gating function that is none", "deepseek2", ["expert_gating_func": 9],
            named: "deepseek2.expert_gating_func"),
        Case(
            "blocks that all predict further tokens", "deepseek2", ["nextn_predict_layers": 1],
            named: "deepseek2.nextn_predict_layers = 1"),
        Case(
            "a ramp that runs backwards", "llama",
            ["rope.scaling.type": .string("yarn"), "rope.scaling.yarn_beta_slow": .float32(64)],
            named: "llama.rope.scaling.yarn_beta_slow = 64"),
        Case(
            "attention in both directions of a causal graph", "gemma2", ["attention.causal": .bool(false)],
            named: "gemma2.attention.causal"),
        Case(
            "causal attention of an encoder", "bert", ["attention.causal": .bool(true)],
            named: "bert.attention.causal"),
        Case(
            "temperature without its length", "deepseek2", ["attention.temperature_scale": .float32(0.1)],
            named: "deepseek2.attention.temperature_length"),
        Case(
            "shared key heads", "t5", ["attention.head_count": 4, "attention.head_count_kv": 2],
            named: "attention.head_count_kv = 2"),
        Case(
            "too few buckets for two directions", "t5", ["attention.relative_buckets_count": 2],
            named: "t5.attention.relative_buckets_count"),
        Case("pooling of an unknown kind", "bert", ["pooling_type": 9], named: "bert.pooling_type"),
        Case(
            "labels that are no names", "bert", ["classifier.output_labels": .array(.uint32([1, 2]))],
            named: "bert.classifier.output_labels"),
        Case(
            "no token types", "bert", ["tokenizer.ggml.token_type_count": 0], named: "tokenizer.ggml.token_type_count"),
    ]

    /// The simplest absorbed attention, changed.
    private static func absorbed(_ changes: [String: MetadataValue]) -> [String: MetadataValue] {
        let simplest: [String: MetadataValue] = [
            "attention.kv_lora_rank": 32, "rope.dimension_count": 8, "attention.key_length_mla": 24,
            "attention.value_length_mla": 16, "attention.head_count_kv": 1, "attention.key_length": 40,
            "attention.value_length": 32,
        ]
        return simplest.merging(changes) { $1 }
    }

    @Test("are refused with the key and the value", arguments: cases)
    func refused(_ example: Case) throws {
        let metadata = try simplest(example.architecture, example.changes)
        let error = #expect(throws: MetadataError.self) { try ArchitectureCatalog.read(metadata) }
        #expect(error?.description.contains(example.named) == true, "\(error?.description ?? "")")
    }

    @Test("of an architecture that is none is refused on one line, whatever it calls itself")
    func unknown() {
        let name = "llama\rembed\u{2028}" + String(repeating: "x", count: 10_000)
        let error = #expect(throws: MetadataError.self) {
            try ArchitectureCatalog.read(["general.architecture": .string(name)])
        }
        #expect(error?.reason.hasPrefix("\"llama\u{FFFD}embed\u{FFFD}xx") == true && error?.reason.count ?? 0 < 200)
    }

    @Test("without the contradiction is read", arguments: ArchitectureCatalog.all.map { $0.name })
    func consistent(_ name: String) throws {
        #expect(throws: Never.self) { try ArchitectureCatalog.read(simplest(name)) }
        #expect(throws: Never.self) { try ArchitectureCatalog.read(simplest("deepseek2", Self.absorbed([:]))) }
    }
}

/// The metadata that an architecture draws from the simplest choices, with some keys changed.
func simplest(_ architecture: String, _ changes: [String: MetadataValue] = [:]) throws -> Metadata {
    var choices = Choices(replaying: [])
    var metadata = try DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices).metadata
    for (key, value) in changes { metadata[key.hasPrefix("tokenizer.") ? key : "\(architecture).\(key)"] = value }
    return metadata
}
