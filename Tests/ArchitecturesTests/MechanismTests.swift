import Architectures
import Foundation
import GGUF
@testable import ModelGraph
import PropertyTesting
import Testing

/// What architectures make of their metadata, seen in the attributes of the ops that they record.
@Suite("Mechanisms")
struct MechanismTests {
    private func graph(
        _ architecture: String, _ changes: [String: MetadataValue], stage: BatchShape.Stage = .decode,
        pooled: Int? = nil, optional: @escaping (String) -> Bool = { _ in false }
    ) throws -> Graph {
        let g = GraphBuilder(
            batch: BatchShape(
                stage: stage, tokens: 3, outputs: 3, cells: 32, encoderTokens: 4, context: 64, pooledSequences: pooled),
            hasTensor: optional)
        try ArchitectureCatalog.read(simplest(architecture, changes)).build(g)
        return try g.finish()
    }

    private func attentions(_ graph: Graph) -> [Attention] {
        graph.nodes.compactMap { if case .attention(let attention) = $0.op { attention } else { nil } }
    }
    private func ropes(_ graph: Graph) -> [Rope] {
        graph.nodes.compactMap { if case .rope(let rope, _) = $0.op { rope } else { nil } }
    }
    private func windows(_ graph: Graph) -> [Mask.Window] {
        graph.nodes.compactMap { node in
            guard case .attention = node.op, case .node(let index) = graph.values[node.operands[3]].source,
                case .mask(let mask) = graph.nodes[index].op
            else { return nil }
            return mask.window
        }
    }

    @Test("a period of windows leaves out its last layer, 0 none, flags say it layer by layer")
    func windowPatterns() throws {
        func windows(_ pattern: MetadataValue?) throws -> [Bool] {
            var changes: [String: MetadataValue] = ["block_count": 4, "attention.sliding_window": 8]
            changes["attention.sliding_window_pattern"] = pattern
            return try self.windows(graph("gemma2", changes)).map { $0 == .sliding(8) }
        }
        #expect(try windows(nil) == [true, false, true, false])
        #expect(try windows(3) == [true, true, false, true])
        #expect(try windows(0) == [true, true, true, true])
        #expect(try windows(1) == [false, false, false, false])
        #expect(try windows(.array(.bool([false, true, true, false]))) == [false, true, true, false])
        #expect(try windows(.array(.uint32([0, 0, 0, 1]))) == [false, false, false, true])
    }

    @Test("layers with a window rotate by a base of their own")
    func windowedBase() throws {
        let ropes = try ropes(
            graph("gpt-oss", ["block_count": 2, "rope.freq_base": .float32(500), "rope.freq_base_swa": .float32(100)]))
        #expect(ropes.map(\.base) == [100, 100, 500, 500])
    }

    @Test("Gemma 2 scales by the head size, its largest by the width over the heads")
    func gemmaScale() throws {
        let keys: [String: MetadataValue] = [
            "embedding_length": 64, "attention.head_count": 4, "attention.key_length": 64, "attention.value_length": 64
        ]
        #expect(try attentions(graph("gemma2", keys)).allSatisfy { $0.scale == 1.0 / 8 })
        #expect(
            try attentions(
                graph("gemma2", keys.merging(["block_count": 46]) { $1 })).allSatisfy { $0.scale == 1.0 / 4 })
    }

    @Test(
        "YaRN without mscale_all_dim magnifies the rotated elements, with it the scores alone",
        arguments: [false, true])
    func latentMagnitudes(_ isAbsorbed: Bool) throws {
        var keys: [String: MetadataValue] = [
            "rope.scaling.type": .string("yarn"), "rope.scaling.factor": .float32(4),
            "rope.dimension_count": 8, "attention.kv_lora_rank": 32,
        ]
        keys.merge(
            isAbsorbed
                ? [
                    "attention.key_length_mla": 64, "attention.value_length_mla": 16, "attention.head_count_kv": 1,
                    "attention.key_length": 40, "attention.value_length": 32
                ]
                : ["attention.key_length": 64, "attention.value_length": 16]) { $1 }
        let m = 1 + 0.1 * log(4.0)
        let plain = try graph("deepseek2", keys)
        #expect(ropes(plain).allSatisfy { abs($0.magnitude - m) < 1e-12 })
        #expect(attentions(plain).allSatisfy { $0.scale == 1.0 / 8 })

        keys["rope.scaling.yarn_log_multiplier"] = .float32(0.0707)
        let all = try graph("deepseek2", keys)
        let M = 1 + 0.1 * 0.707 * log(4.0)
        #expect(ropes(all).allSatisfy { $0.magnitude == 1 })
        #expect(attentions(all).allSatisfy { abs($0.scale - M * M / 8) < 1e-6 })
    }

    @Test("the options of YaRN count: its betas, how much of the ramp, and a magnitude in place of its own")
    func yarnOptions() throws {
        var keys: [String: MetadataValue] = [
            "rope.scaling.type": .string("yarn"), "rope.scaling.factor": .float32(4),
            "rope.scaling.yarn_beta_fast": .float32(16), "rope.scaling.yarn_beta_slow": .float32(2),
            "rope.scaling.yarn_ext_factor": .float32(0.5),
        ]
        let own = try ropes(graph("qwen3", keys))[0]
        #expect(own.betaFast == 16 && own.betaSlow == 2 && own.extrapolation == 0.5 && own.roundsRamp)
        #expect(abs(own.magnitude - (1 + 0.1 * log(4.0))) < 1e-12)
        keys["rope.scaling.yarn_attn_factor"] = .float32(0.75)
        #expect(try ropes(graph("qwen3", keys)).allSatisfy { $0.magnitude == 0.75 })
    }

    @Test("gpt-oss does not round the ends of YaRN's ramp")
    func unroundedRamp() throws {
        // The released models' head size, base, factor and context.
        let rope = try #require(try ropes(graph("gpt-oss", [
            "attention.key_length": 64, "attention.value_length": 64, "rope.dimension_count": 64,
            "rope.freq_base": .float32(150_000), "rope.scaling.type": .string("yarn"),
            "rope.scaling.factor": .float32(32),
            "rope.scaling.original_context_length": 4096,
        ])).first)
        #expect(abs(rope.ramp.low - 8.0928) < 1e-3 && abs(rope.ramp.high - 17.3980) < 1e-3)
    }

    @Test("groups of experts are scored by their best expert where gating is softmax without a bias, else by two")
    func groupScores() throws {
        func best(_ gating: MetadataValue, bias: Bool) throws -> [Int] {
            let keys: [String: MetadataValue] = [
                "expert_count": 8, "expert_used_count": 2, "expert_group_count": 4, "expert_group_used_count": 2,
                "expert_gating_func": gating,
            ]
            return try graph("deepseek2", keys, optional: { $0.contains("exp_probs_b") && bias }).nodes.compactMap {
                if case .topExperts(let routing) = $0.op { routing.groupBest } else { nil }
            }
        }
        #expect(try best(1, bias: false) == [1])
        #expect(try best(1, bias: true) == [2])
        #expect(try best(2, bias: false) == [2])
    }

    @Test("a tied T5 divides by the root of its width before the logits, one with its own matrix does not")
    func tiedLogits() throws {
        func scales(_ optional: @escaping (String) -> Bool) throws -> [Double] {
            try graph("t5", ["embedding_length": 64], optional: optional).nodes.compactMap {
                if case .affine(let scale, _) = $0.op { scale } else { nil }
            }
        }
        #expect(try scales { _ in false } == [0.125])
        #expect(try scales { $0 == "output.weight" } == [])
    }

    @Test("norms inside a mechanism have the epsilon of its authors' code, whatever the model's is")
    func innerEpsilons() throws {
        func epsilons(
            _ architecture: String, _ kind: Norm, _ changes: [String: MetadataValue] = [:]
        ) throws -> Set<Double> {
            let keys: [String: MetadataValue] = ["attention.layer_norm_rms_epsilon": .float32(0.5)]
            return Set(try graph(architecture, keys.merging(changes) { $1 }).nodes.compactMap {
                if case .norm(kind, let epsilon, _, _) = $0.op { epsilon } else { nil }
            })
        }
        #expect(try epsilons("deepseek2", .rms) == [0.5, 1e-6])
        #expect(try epsilons("kimi-linear", .l2) == [1e-6])
        #expect(try epsilons("qwen3next", .l2) == [1e-6])
        #expect(try epsilons("mamba", .rms, ["ssm.dt_b_c_rms": .bool(true)]) == [0.5, 1e-6])
    }

    @Test("a decoder whose metadata pools gives embeddings in place of logits; a reranker scores of its answers")
    func pooledDecoders() throws {
        func shapes(_ changes: [String: MetadataValue], pooled: Int?) throws -> [Graph.Output: Shape] {
            let graph = try graph(
                "qwen3", changes.merging(["embedding_length": 32]) { $1 }, pooled: pooled, optional: { _ in false })
            return graph.outputs.mapValues { graph.values[$0].shape }
        }
        #expect(try shapes(["pooling_type": 3], pooled: 2) == [.embeddings: [2, 32]])
        let labels = MetadataValue.array(.string(["yes", "no"]))
        #expect(try shapes(["pooling_type": 4, "classifier.output_labels": labels], pooled: 2) == [.embeddings: [2, 2]])
        #expect(try shapes([:], pooled: nil).keys.sorted { $0.name < $1.name } == [.embeddings, .logits])
    }

    @Test("a decoder that is not causal sees later tokens")
    func bidirectionalDecoder() throws {
        let masks = try graph("llama", ["attention.causal": .bool(false)]).nodes.compactMap { node -> Mask? in
            if case .mask(let mask) = node.op { mask } else { nil }
        }
        #expect(masks == [Mask(causal: false)])
    }

    @Test(
        "prediction blocks are in the inventory and in no graph of the model",
        arguments: ["deepseek2", "qwen3next", "nemotron_h_moe"])
    func predictionBlocks(_ architecture: String) throws {
        let drawn = try #require(
            (0..<500 as Range<UInt64>).lazy.compactMap { stream -> DrawnModel? in
                var choices = Choices(seed: 0, stream: stream)
                return try? DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices)
            }.first { $0.architecture.traits.predictionBlocks > 0 })
        let first = drawn.architecture.dimensions.layers
        let graphs = try drawn.architecture.smallestGraphs { _ in true }
        #expect(!graphs[0].weights.contains { $0.name.hasPrefix("blk.\(first).") })
        #expect(graphs[1].weights.contains { $0.name == "blk.\(first).nextn.eh_proj.weight" })
        #expect(graphs[1].outputs[.logits] != nil)
        // Files are also made without them.
        let without = try drawn.architecture.smallestGraphs { _ in false }
        #expect(without[1].weights.isEmpty)
    }

    @Test("absorbed attention caches the latent vector and the position once, and reads its values from the keys")
    func absorbedCache() throws {
        let graph = try graph("deepseek2", [
            "rope.dimension_count": 8, "attention.kv_lora_rank": 32, "attention.key_length_mla": 24,
            "attention.value_length_mla": 16, "attention.head_count_kv": 1, "attention.key_length": 40,
            "attention.value_length": 32,
        ])
        #expect(graph.states.allSatisfy { $0.row == [1, 40] && $0.rotation?.rope.offset == 32 })
        #expect(attentions(graph).allSatisfy { $0.valueSize == 32 })
        for node in graph.nodes {
            if case .attention = node.op { #expect(node.operands[1] == node.operands[2]) }
        }
    }

    @Test("Llama 4 leaves every fourth layer without positions, and norms rotated queries except among 128 experts")
    func llama4Layers() throws {
        let graph = try graph("llama4", ["block_count": 5])
        let rotated = Set(graph.nodes.filter { if case .rope = $0.op { true } else { false } }.compactMap(\.layer))
        #expect(rotated == [0, 1, 2, 4])
        #expect(windows(graph) == [.chunked(8192), .chunked(8192), .chunked(8192), .unlimited, .chunked(8192)])
        func bareNorms(_ experts: MetadataValue) throws -> Int {
            try self.graph("llama4", ["block_count": 5, "expert_count": experts]).nodes.count {
                if case .norm(_, _, weight: false, bias: false) = $0.op { true } else { false }
            }
        }
        #expect(try bareNorms(16) == 8)
        #expect(try bareNorms(128) == 0)
        let unlimited = try self.graph("llama4", ["block_count": 4, "attention.sliding_window": 0])
        #expect(windows(unlimited).allSatisfy { $0 == .unlimited })
        #expect(ropes(unlimited).count == 8)
    }

    @Test("T5's later layers share the first layer's position bias unless they have their own")
    func sharedPositionBias() throws {
        func biases(_ stage: BatchShape.Stage, _ optional: @escaping (String) -> Bool) throws -> Int {
            try graph("t5", ["block_count": 3], stage: stage, optional: optional).nodes.count {
                if case .relativePositionBias = $0.op { true } else { false }
            }
        }
        for stage in [BatchShape.Stage.encode, .decode] {
            #expect(try biases(stage) { _ in false } == 1)
            #expect(try biases(stage) { $0.hasSuffix("blk.2.attn_rel_b.weight") } == 2)
        }
    }

    @Test("BERT gives a row a token, a row a sequence, or the scores of its classes")
    func bertOutputs() throws {
        func shape(_ pooling: MetadataValue, pooled: Int?) throws -> Shape? {
            let graph = try graph(
                "bert",
                ["embedding_length": 32, "pooling_type": pooling, "classifier.output_labels": .array(
                    .string(["a", "b", "c"]))],
                pooled: pooled, optional: { $0.hasPrefix("cls.") })
            #expect(
                graph.weights.contains { $0.name == "cls.output.bias" }, "the inventory of every batch has the head")
            return graph.outputs[.embeddings].map { graph.values[$0].shape }
        }
        #expect(try shape(0, pooled: nil) == [3, 32])
        #expect(try shape(1, pooled: 2) == [2, 32])
        #expect(try shape(4, pooled: 2) == [2, 3])
    }
}
