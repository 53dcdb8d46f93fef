import Architectures
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@Suite("Recurrent and hybrid architectures")
struct HybridTests {
    typealias Case = ContradictionTests.Case

    static let contradictions: [Case] = [
        Case("a kernel of one tap", "mamba", ["ssm.conv_kernel": 1], named: "mamba.ssm.conv_kernel"),
        Case("no state", "mamba", ["ssm.state_size": 0], named: "mamba.ssm.state_size"),
        Case(
            "channels that do not divide among the heads", "mamba2", ["ssm.inner_size": 64, "ssm.time_step_rank": 5],
            named: "ssm.time_step_rank = 5"),
        Case(
            "heads that do not divide among the groups", "mamba2",
            ["ssm.inner_size": 64, "ssm.time_step_rank": 8, "ssm.group_count": 3], named: "ssm.group_count = 3"),
        Case(
            "key/value heads for more layers than there are", "lfm2",
            ["block_count": 2, "attention.head_count_kv": .array(.uint32([0, 1, 1]))],
            named: "lfm2.attention.head_count_kv"),
        Case(
            "heads that do not divide in one layer", "lfm2",
            ["embedding_length": 32, "block_count": 2, "attention.head_count": 4, "attention.head_count_kv": .array(
                .uint32([0, 3]))],
            named: "attention.head_count = 4"),
        Case(
            "heads of another size than the width gives", "lfm2",
            ["embedding_length": 32, "attention.head_count": 2, "attention.key_length": 8],
            named: "lfm2.attention.key_length"),
        Case(
            "more experts used than there are", "lfm2moe", ["expert_count": 2, "expert_used_count": 3],
            named: "expert_used_count = 3"),
        Case(
            "a width that does not divide among the heads", "jamba",
            ["embedding_length": 33, "attention.head_count": 2], named: "attention.head_count = 2"),
        Case(
            "a group that is no part of the heads", "nemotron_h",
            ["ssm.inner_size": 64, "ssm.time_step_rank": 4, "ssm.group_count": 8], named: "ssm.group_count = 8"),
        Case(
            "feed-forward lengths for fewer layers than there are", "nemotron_h",
            ["block_count": 3, "attention.head_count_kv": 1, "feed_forward_length": .array(.uint32([0, 32]))],
            named: "nemotron_h.feed_forward_length"),
        Case("no experts used where there are some", "nemotron_h_moe", experts(
            ["expert_used_count": .array(.uint32([1, 1, 0]))]), named: "expert_used_count"),
        Case("hidden units fewer than experts", "nemotron_h_moe", experts(
            ["expert_used_count": 3, "feed_forward_length": .array(.uint32([0, 0, 2]))]), named: "feed_forward_length"),
        Case("value heads that do not divide among the key heads", "qwen3next", deltaNet(
            ["ssm.group_count": 3]), named: "ssm.group_count = 3"),
        Case("an inner size that is not that of the value heads", "qwen3next", deltaNet(
            ["ssm.inner_size": 48]), named: "ssm.inner_size = 48"),
        Case(
            "flags for more layers than there are", "qwen3next",
            ["block_count": 2, "attention.recurrent_layers": .array(.bool([true, false, true]))],
            named: "qwen3next.attention.recurrent_layers"),
        Case(
            "attention every no layers", "qwen3next", ["full_attention_interval": 0],
            named: "qwen3next.full_attention_interval"),
        Case("no experts", "qwen3next", ["expert_count": 0], named: "qwen3next.expert_count"),
        Case(
            "a width that does not divide among heads of their size", "rwkv7",
            ["embedding_length": 96, "wkv.head_size": 64], named: "wkv.head_size = 64"),
        Case("a third token shift", "rwkv7", ["token_shift_count": 3], named: "rwkv7.token_shift_count"),
        Case(
            "several heads of a latent cache", "kimi-linear",
            ["block_count": 2, "attention.head_count_kv": .array(.uint32([0, 4]))],
            named: "kimi-linear.attention.head_count_kv"),
        Case(
            "a cache of another width", "kimi-linear",
            ["attention.kv_lora_rank": 32, "rope.dimension_count": 8, "attention.key_length": 48],
            named: "attention.key_length = 48"),
        Case(
            "keys that are all shared", "kimi-linear", ["rope.dimension_count": 8, "attention.key_length_mla": 8],
            named: "attention.key_length_mla = 8"),
        Case(
            "blocks that predict further tokens", "lfm2", ["nextn_predict_layers": 1],
            named: "lfm2.nextn_predict_layers"),
        Case(
            "a centred convolution without a centre", "lfm2",
            ["attention.causal": .bool(false), "shortconv.l_cache": 4], named: "shortconv.l_cache = 4"),
        Case(
            "a window of tokens that see later ones", "lfm2",
            ["attention.causal": .bool(false), "shortconv.l_cache": 3, "attention.sliding_window": 8],
            named: "attention.sliding_window = 8"),
        Case(
            "blocks that all predict further tokens", "qwen3next", ["block_count": 2, "nextn_predict_layers": 2],
            named: "qwen3next.nextn_predict_layers = 2"),
        Case(
            "a prediction block that is recurrent", "qwen3next",
            ["block_count": 3, "nextn_predict_layers": 1, "attention.recurrent_layers": .array(
                .bool([true, false, true]))],
            named: "qwen3next.attention.recurrent_layers"),
    ]

    private static func experts(_ changes: [String: MetadataValue]) -> [String: MetadataValue] {
        let simplest: [String: MetadataValue] = [
            "block_count": 3, "attention.head_count_kv": .array(.uint32([0, 1, 0])),
            "feed_forward_length": .array(.uint32([0, 0, 32])), "expert_count": 4, "expert_used_count": 2,
            "expert_shared_feed_forward_length": 32,
        ]
        return simplest.merging(changes) { $1 }
    }
    private static func deltaNet(_ changes: [String: MetadataValue]) -> [String: MetadataValue] {
        let simplest: [String: MetadataValue] = [
            "ssm.state_size": 16, "ssm.time_step_rank": 4, "ssm.group_count": 2, "ssm.inner_size": 64,
        ]
        return simplest.merging(changes) { $1 }
    }

    @Test("metadata that contradicts itself is refused with the key and the value", arguments: contradictions)
    func refused(_ example: Case) throws {
        let metadata = try simplest(example.architecture, example.changes)
        let error = #expect(throws: MetadataError.self) { try ArchitectureCatalog.read(metadata) }
        #expect(error?.description.contains(example.named) == true, "\(error?.description ?? "")")
    }

    // MARK: Layers

    private func graph(
        _ metadata: Metadata, optional: @escaping (String) -> Bool = { _ in false }
    ) throws -> Graph {
        let g = GraphBuilder(batch: BatchShape(tokens: 3, outputs: 3, cells: 32, context: 64), hasTensor: optional)
        try ArchitectureCatalog.read(metadata).build(g)
        return try g.finish()
    }

    /// What each layer remembers tokens in: `A` the cache of attention, `R` the state of a recurrence, `-` nothing.
    private func kinds(_ graph: Graph, _ layers: Int) -> String {
        (0..<layers).map { layer in
            let states = graph.states.filter { $0.layer == layer }.map(\.kind)
            return states.contains(.cache) ? "A" : states.contains(.recurrent) ? "R" : "-"
        }.joined()
    }

    private func kinds(_ architecture: String, _ layers: Int, _ changes: [String: MetadataValue]) throws -> String {
        kinds(
            try graph(simplest(architecture, changes.merging(["block_count": .uint32(UInt32(layers))]) { $1 })), layers)
    }

    @Test("a layer without key/value heads is recurrent, in any layout", arguments: ["jamba", "lfm2", "kimi-linear"])
    func headsTellTheKind(_ name: String) throws {
        func kinds(_ heads: MetadataValue, _ layers: Int) throws -> String {
            try self.kinds(name, layers, ["attention.head_count_kv": heads])
        }
        #expect(try kinds(.array(.uint32([0, 1, 0, 0])), 4) == "RARR")
        #expect(try kinds(.array(.uint32([1, 1, 0])), 3) == "AAR")
        #expect(try kinds(0, 3) == "RRR")
        #expect(try kinds(1, 2) == "AA")
    }

    @Test("in Nemotron-H a feed-forward length comes before key/value heads")
    func feedForwardTellsTheKind() throws {
        let kinds = try kinds("nemotron_h", 4, [
            "attention.head_count_kv": .array(.uint32([1, 0, 1, 0])),
            "feed_forward_length": .array(.uint32([0, 0, 32, 32])),
        ])
        #expect(kinds == "AR--")
    }

    @Test("in Qwen3-Next every so many layers one is attention, unless flags say it layer by layer")
    func intervalTellsTheKind() throws {
        #expect(try kinds("qwen3next", 6, ["full_attention_interval": 3]) == "RRARRA")
        #expect(try kinds("qwen3next", 3, ["full_attention_interval": 1]) == "AAA")
        #expect(try kinds("qwen3next", 3, [
            "full_attention_interval": 1, "attention.recurrent_layers": .array(.bool([false, true, true])),
        ]) == "ARR")
        var metadata = try simplest("qwen3next", ["block_count": 5])
        metadata["qwen3next.full_attention_interval"] = nil
        #expect(kinds(try graph(metadata), 5) == "RRRAR")
    }

    @Test(
        "models are drawn with layers of both kinds",
        arguments: ["jamba", "lfm2", "lfm2moe", "kimi-linear", "nemotron_h", "nemotron_h_moe", "qwen3next"])
    func bothKindsAreDrawn(_ name: String) throws {
        var layouts: Set<String> = []
        for seed in 0..<200 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let model = try DrawnModel.draw(ArchitectureCatalog.named(name), &choices)
            // Convolutions of LFM2's encoders keep nothing.
            if model.architecture.traits.isBidirectional { continue }
            let kinds = kinds(
                try graph(model.metadata) { model.optionalTensors.contains($0) }, model.architecture.dimensions.layers)
            #expect(kinds.contains("A") && kinds.contains("R"), "seed \(seed): \(kinds)")
            layouts.insert(kinds)
        }
        #expect(layouts.count >= 12, "\(layouts.sorted())")
    }

    // MARK: What is in a layer

    private func count(_ graph: Graph, _ matches: (Op) -> Bool) -> Int { graph.nodes.filter { matches($0.op) }.count }
    private func isNorm(_ op: Op) -> Bool { if case .norm = op { true } else { false } }
    private func isRotation(_ op: Op) -> Bool { if case .rope = op { true } else { false } }

    @Test("FalconMamba norms time steps, B and C, without weights of their own")
    func innerNorms() throws {
        func norms(_ value: Bool) throws -> (all: Int, weighted: Int) {
            let graph = try graph(simplest("mamba", ["block_count": 2, "ssm.dt_b_c_rms": .bool(value)]))
            return (count(graph, isNorm), count(graph) { if case .norm(_, _, true, _) = $0 { true } else { false } })
        }
        #expect(try norms(false) == (3, 3))
        #expect(try norms(true) == (9, 3))
    }

    @Test(
        "attention beside state spaces and delta attention carries no positions",
        arguments: ["jamba", "nemotron_h", "kimi-linear"])
    func noPositions(_ name: String) throws {
        let graph = try graph(simplest(name, ["block_count": 2, "attention.head_count_kv": .array(.uint32([1, 0]))]))
        #expect(count(graph, isRotation) == 0)
        #expect(graph.states.filter { $0.kind == .cache }.allSatisfy { $0.rotation == nil })
    }

    @Test("in Jamba the layers with a router have experts")
    func routersTellExperts() throws {
        let metadata = try simplest(
            "jamba", ["block_count": 3, "attention.head_count_kv": 0, "expert_count": 4, "expert_used_count": 2])
        let graph = try graph(metadata) { $0 == "blk.1.ffn_gate_inp.weight" }
        let names = Set(graph.weights.map(\.name))
        #expect(names.contains("blk.1.ffn_up_exps.weight") && !names.contains("blk.1.ffn_up.weight"))
        #expect(names.contains("blk.0.ffn_up.weight") && names.contains("blk.2.ffn_up.weight"))
    }

    @Test("experts may differ in size and number from layer to layer, an absent size is a share of the layer's")
    func layersOfExperts() throws {
        func shapes(_ changes: [String: MetadataValue]) throws -> [Shape] {
            let metadata = try simplest("nemotron_h_moe", [
                "embedding_length": 32, "block_count": 4, "attention.head_count_kv": .array(.uint32([0, 1, 0, 0])),
                "feed_forward_length": .array(.uint32([0, 0, 64, 96])), "expert_count": 4, "expert_used_count": 2,
                "expert_shared_feed_forward_length": 32,
            ].merging(changes) { $1 })
            return try graph(metadata).weights.filter { $0.name.hasSuffix("ffn_up_exps.weight") }.map(\.shape)
        }
        #expect(try shapes([:]) == [[4, 32, 32], [4, 48, 32]])
        #expect(try shapes(["expert_used_count": .array(.uint32([0, 0, 4, 3]))]) == [[4, 16, 32], [4, 32, 32]])
        #expect(try shapes(["expert_feed_forward_length": .array(.uint32([0, 0, 5, 0]))]) == [[4, 5, 32], [4, 48, 32]])
        #expect(try shapes(["moe_latent_size": 8]) == [[4, 32, 8], [4, 48, 8]])
    }

    @Test("a window of LFM2 is that of every attention layer")
    func windows() throws {
        let graph = try graph(simplest("lfm2", [
            "block_count": 3, "attention.head_count_kv": .array(.uint32([1, 0, 1])), "attention.sliding_window": 8,
        ]))
        let masks = graph.nodes.compactMap { if case .mask(let mask) = $0.op { mask } else { nil } }
        #expect(masks == [Mask(causal: true, window: .sliding(8))])
    }
}
