import Architectures
import GGUF
import PropertyTesting
import Testing

@Suite("Recovering models")
struct RecoveringTests {
    private func replay(_ recording: Choices.Recording, _ architecture: String) throws -> DrawnModel {
        var choices = Choices(replaying: recording)
        return try DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices)
    }

    @Test(
        "the choices of a drawn model draw it again, and are no less simple than its own",
        arguments: DrawingTests.names)
    func drawnModels(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        for seed in 0..<40 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let model = try DrawnModel.draw(type, &choices)
            let recording = try DrawnModel.recover(model.metadata, optionalTensors: model.optionalTensors)
            #expect(recording <= choices.recording, "seed \(seed)")
            let replayed = try replay(recording, name)
            #expect(replayed.metadata == model.metadata, "seed \(seed)")
            #expect(replayed.optionalTensors == model.optionalTensors, "seed \(seed)")
        }
    }

    @Test("the header of a released model is valid, and has choices that draw it", arguments: ReleasedModel.all)
    func releasedModels(_ model: ReleasedModel) throws {
        let header = model.metadata
        #expect(throws: Never.self) { try ArchitectureCatalog.read(header) }
        let recording = try DrawnModel.recover(header, optionalTensors: model.optionalTensors)
        let drawn = try replay(recording, model.architecture)
        let prefix = "\(model.architecture)."
        for (key, value) in drawn.metadata where key.hasPrefix(prefix) {
            if let original = header[key] {
                #expect(value.reads(as: original), "\(key)")
            } else {
                #expect(key == prefix + "vocab_size" && value.integer == model.tokens)
            }
        }
        let lost = Set(header.keys.filter { $0.hasPrefix(prefix) }).subtracting(drawn.metadata.keys)
        #expect(lost == Set(model.unused.map { prefix + $0 }))
        #expect(drawn.optionalTensors == model.optionalTensors)
        #expect(try DrawnModel.recover(drawn.metadata, optionalTensors: drawn.optionalTensors) == recording)
    }

    @Test(
        "what a converter writes of a published model is read, recovered, and has a toy",
        arguments: ReleasedModel.listed)
    func listedModels(_ model: ReleasedModel) throws {
        let recording = try DrawnModel.recover(model.metadata, optionalTensors: [])
        let drawn = try replay(recording, model.architecture)
        #expect(drawn.architecture.dimensions == (try ArchitectureCatalog.read(model.metadata)).dimensions)
        #expect(try DrawnModel.recover(drawn.metadata, optionalTensors: drawn.optionalTensors) == recording)
        let toy = try DrawnModel.toy(of: model.metadata, optionalTensors: [])
        // Chameleon's tokens of images have fixed numbers.
        #expect(toy.architecture.dimensions.embedding <= 256)
        #expect(toy.architecture.dimensions.vocabulary <= 129 || model.architecture == "chameleon")
        #expect(toy.architecture.dimensions.blocks <= drawn.architecture.dimensions.blocks)
    }

    @Test("few architectures have no published model here")
    func listedArchitectures() {
        let all = Set((ReleasedModel.all + ReleasedModel.listed).map(\.architecture))
        #expect(Set(DrawingTests.names).subtracting(all) == [
            "bailingmoe3", "deepseek4", "dflash", "dots3note", "gemma4-assistant", "glm5-next", "graniteswitch",
            "kimi-k3",
            "maple", "minimax-m3", "mistral4", "plamo3", "qwen3tts", "qwen4exp", "spark2_5", "step35", "talkie",
        ])
    }

    // MARK: Values that are never drawn

    /// What is recovered of the simplest model of an architecture, with some keys changed or, where nil, absent.
    private func recovered(_ architecture: String, _ changes: [String: MetadataValue?]) throws -> Metadata {
        var metadata = try simplest(architecture)
        for (key, value) in changes { metadata["\(architecture).\(key)"] = value }
        return try replay(DrawnModel.recover(metadata, optionalTensors: []), architecture).metadata
    }

    @Test("numbers of any type are recovered, and written as those that are drawn")
    func types() throws {
        let metadata = try recovered("llama", [
            "block_count": .uint64(7), "embedding_length": .int16(32),
            "attention.layer_norm_rms_epsilon": .float64(0.1),
        ])
        #expect(metadata["llama.block_count"] == 7)
        #expect(metadata["llama.embedding_length"] == 32)
        #expect(metadata["llama.attention.layer_norm_rms_epsilon"] == 0.1)
    }

    @Test("layers laid out as no draw lays them are recovered, one value for all included")
    func layouts() throws {
        let few = try recovered("lfm2", ["block_count": 2, "attention.head_count_kv": .array(.int32([0, 0]))])
        #expect(few["lfm2.attention.head_count_kv"] == .array(.uint32([0, 0])))
        let one = try recovered("lfm2", ["block_count": 9, "attention.head_count_kv": 1])
        #expect(one["lfm2.attention.head_count_kv"] == 1)
        let flags = try recovered("qwen3next", [
            "block_count": 9, "attention.recurrent_layers": .array(.bool((0..<9).map { $0 % 3 < 2 })),
        ])
        #expect(flags["qwen3next.attention.recurrent_layers"] == .array(.bool((0..<9).map { $0 % 3 < 2 })))
    }

    @Test("a pattern of no layers is recovered, and flags that are integers are")
    func patterns() throws {
        let none = try recovered("gemma2", [
            "block_count": 3, "attention.sliding_window_pattern": .array(.bool([false, false, false])),
        ])
        #expect(none["gemma2.attention.sliding_window_pattern"] == .array(.bool([false, false, false])))
        let integers = try recovered("gemma2", [
            "block_count": 3, "attention.sliding_window_pattern": .array(.uint32([0, 1, 1])),
        ])
        #expect(integers["gemma2.attention.sliding_window_pattern"] == .array(.bool([false, true, true])))
    }

    @Test("an absent key is recovered where its absence is never drawn")
    func absence() throws {
        #expect(try recovered("lfm2", ["attention.head_count_kv": nil])["lfm2.attention.head_count_kv"] == nil)
    }

    @Test("of labels their number is recovered")
    func labels() throws {
        let labels = MetadataValue.array(.string((0..<77).map { "\($0)" }))
        let metadata = try recovered("bert", ["classifier.output_labels": labels])
        #expect(metadata["bert.classifier.output_labels"]?.array?.count == 77)
    }

    @Test("metadata that is no valid model's has no choices, and the error names the key and the value")
    func refused() throws {
        func error(_ changes: [String: MetadataValue?]) -> String? {
            #expect(throws: MetadataError.self) { try recovered("qwen3moe", changes) }?.description
        }
        #expect(error(["block_count": nil])?.hasPrefix("qwen3moe.block_count: is missing") == true)
        #expect(error(["block_count": "many"])?.hasPrefix("qwen3moe.block_count: must be an integer") == true)
        #expect(error(["rope.scaling.type": "cubic"])?.hasPrefix("qwen3moe.rope.scaling.type: is \"cubic\"") == true)
        #expect(error(["expert_used_count": 99])?.contains("qwen3moe.expert_used_count = 99") == true)
    }

    // MARK: Shrinking

    /// What a failure of a released model needs, and all that is left of the model.
    struct Failure: CustomTestStringConvertible, Sendable {
        var needs: String
        var model: ReleasedModel
        var fails: @Sendable (Metadata, Set<String>) -> Bool
        /// Where the shrunk model differs from the simplest of its architecture.
        var left: [String: MetadataValue]
        var tensors: Set<String> = []

        var testDescription: String { "\(model.name): \(needs)" }
    }

    static let failures = [
        Failure(
            needs: "groups of experts and a bias of their selection", model: .deepSeekV3,
            fails: { metadata, tensors in
                (metadata.integer("deepseek2.expert_group_count") ?? 0) > 1
                    && tensors.contains { $0.hasSuffix("exp_probs_b.bias") }
            },
            left: ["expert_group_count": 2, "expert_group_used_count": 1], tensors: ["blk.0.exp_probs_b.bias"]),
        Failure(
            needs: "absorbed attention wider than anything drawn", model: .deepSeekV3,
            fails: { metadata, _ in
                (metadata.integer("deepseek2.embedding_length") ?? 0) > 300
                    && metadata["deepseek2.attention.key_length_mla"] != nil
            },
            left: [
                "embedding_length": 301, "attention.key_length_mla": 24, "attention.value_length_mla": 16,
                "attention.head_count_kv": 1, "attention.key_length": 40, "attention.value_length": 32,
            ]),
        Failure(
            needs: "more layers than are drawn, and much stretching", model: .deepSeekV3,
            fails: { metadata, _ in
                (metadata.integer("deepseek2.block_count") ?? 0) > 5
                    && (metadata.double("deepseek2.rope.scaling.factor") ?? 0) > 30
            },
            left: ["block_count": 6, "rope.scaling.factor": 31.0]),
        Failure(
            needs: "a layer with experts after one without", model: .jamba,
            fails: { $1.contains("blk.1.ffn_gate_inp.weight") && !$1.contains("blk.0.ffn_gate_inp.weight") },
            left: ["expert_count": 4, "expert_used_count": 1],
            // All but the first are tensors that few models lack.
            tensors: ["blk.1.ffn_gate_inp.weight", "blk.1.ssm_conv1d.bias"]),
        Failure(
            needs: "two layers of latent attention, and a dense one", model: .kimiLinear,
            fails: { metadata, _ in
                let heads = metadata.array("kimi-linear.attention.head_count_kv")?.elements ?? []
                return heads.count { $0.integer == 1 } > 1
                    && metadata.integer("kimi-linear.leading_dense_block_count") == 1
            },
            left: [
                "block_count": 3, "attention.head_count_kv": .array(.uint32([1, 1, 0])), "leading_dense_block_count": 1,
                "feed_forward_length": 32,
            ], tensors: ["output.weight"]),
    ]

    private func shrink(
        _ model: ReleasedModel, fails: @escaping (Metadata, Set<String>) -> Bool
    ) throws -> Shrunk<DrawnModel> {
        let type = try ArchitectureCatalog.named(model.architecture)
        let start = try DrawnModel.recover(model.metadata, optionalTensors: model.optionalTensors)
        return try #require(Shrinker().shrink(start, draw: { try DrawnModel.draw(type, &$0) }, accepts: {
            fails($0.metadata, $0.optionalTensors)
        }))
    }

    @Test("of a released model that fails, what the failure needs is left, in the fewest layers", arguments: failures)
    func shrinking(_ failure: Failure) throws {
        let shrunk = try shrink(failure.model, fails: failure.fails)
        let expected = try simplest(failure.model.architecture, failure.left)
        #expect(shrunk.value.metadata.byKey == expected.byKey)
        #expect(shrunk.value.optionalTensors == failure.tensors)
        #expect(shrunk.evaluations < 100)
    }

    @Test("a released model has a toy of its kind: few weights, all keys", arguments: ReleasedModel.all)
    func toys(_ model: ReleasedModel) throws {
        let toy = try DrawnModel.toy(of: model.metadata, optionalTensors: model.optionalTensors)
        let start = try DrawnModel.recover(model.metadata, optionalTensors: model.optionalTensors)
        var choices = Choices(replaying: start)
        let whole = try DrawnModel.draw(ArchitectureCatalog.named(model.architecture), &choices)
        #expect(Set(toy.metadata.keys).isSuperset(of: whole.metadata.keys))
        #expect(toy.architecture.dimensions.embedding <= 256 && toy.architecture.dimensions.vocabulary <= 129)
        #expect(toy.architecture.dimensions.layers <= 5)
    }

    @Test("where everything fails, the simplest model of the architecture is left", arguments: ReleasedModel.all)
    func simplestOfAll(_ model: ReleasedModel) throws {
        let shrunk = try shrink(model) { _, _ in true }
        #expect(shrunk.value.metadata == (try simplest(model.architecture)))
        #expect(shrunk.evaluations == 2)
    }
}

extension Metadata {
    /// Without the order of the keys.
    fileprivate var byKey: [String: MetadataValue] { Dictionary(uniqueKeysWithValues: map { ($0.key, $0.value) }) }
}

extension MetadataValue {
    /// Whether the hyperparameter is the same, whatever the types of the numbers.
    fileprivate func reads(as other: MetadataValue) -> Bool {
        if let (a, b) = elements.flatMap({ a in other.elements.map { (a, $0) } }) {
            return a.count == b.count && zip(a, b).allSatisfy { $0.reads(as: $1) }
        }
        return self == other || integer != nil && integer == other.integer
            || double != nil && double.map { Float($0) } == other.double.map { Float($0) }
    }
}
