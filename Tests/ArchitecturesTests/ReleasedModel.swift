import Architectures
import Foundation
import GGUF
import Testing

/// The header of a released model's file, as llama.cpp's converter writes it.
struct ReleasedModel: CustomTestStringConvertible, Sendable {
    var name: String
    var architecture: String
    /// Keys without the architecture's name.
    var hyperparameters: [(String, MetadataValue)]
    /// Tokens of the tokenizer, where they are counted because no key says how many there are.
    var tokens: Int?
    /// The optional tensors that it has.
    var optionalTensors: Set<String> = []
    /// Keys that no declaration asks for.
    var unused: Set<String> = []

    var testDescription: String { name }

    var metadata: Metadata {
        var metadata: Metadata = [
            "general.architecture": .string(architecture), "general.name": .string(name), "general.file_type": 32,
        ]
        for (key, value) in hyperparameters { metadata[Declaration.path(key, architecture)] = value }
        metadata["tokenizer.ggml.model"] = "gpt2"
        if let tokens { metadata["tokenizer.ggml.tokens"] = .array(.string(Array(repeating: "token", count: tokens))) }
        metadata["tokenizer.ggml.eos_token_id"] = 2
        return metadata
    }

    static let all = [
        llama3, mixtral, qwen3MoE, gptOSS, gemma2, jamba, kimiLinear, lfm2, qwen3Next, deepSeekV2, deepSeekV3,
    ]

    /// Those of `released.txt`: name, architecture and tokens of the tokenizer, and in the lines below what llama.cpp's
    /// converter makes of the published configuration, or of that class's own: `0*3` is three zeros, and what has no
    /// `=` goes on with an array.
    static let listed: [ReleasedModel] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "released.txt")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").reduce(into: []) { models, line in
            if !line.hasPrefix(" ") {
                let (title, about) = (line.prefix { $0 != ":" }, line.split(separator: " "))
                let hasTokens = about.last == "tokens"
                models.append(
                    ReleasedModel(
                        name: String(title), architecture: String(about[about.count - (hasTokens ? 4 : 1)]),
                        hyperparameters: [], tokens: hasTokens ? Int(about[about.count - 2]) : nil))
                return
            }
            for word in line.split(separator: " ") {
                let pair = word.split(separator: "=", maxSplits: 1)
                let last = models.count - 1
                guard pair.count == 2 else {
                    let end = models[last].hyperparameters.count - 1
                    models[last].hyperparameters[end].1.extend(by: value(of: "[" + word))
                    continue
                }
                models[last].hyperparameters.append((String(pair[0]), value(of: pair[1])))
            }
        }
    }()

    private static func value(of text: Substring) -> MetadataValue {
        if text.hasPrefix("[") {
            let elements = text.filter { !"[]".contains($0) }.split(
                separator: ",").flatMap { element -> [MetadataValue] in
                let parts = element.split(separator: "*")
                return Array(repeating: value(of: parts[0]), count: parts.count > 1 ? Int(parts[1]) ?? 0 : 1)
            }
            return MetadataArray(elements).map(MetadataValue.array) ?? .string("")
        }
        if let flag = Bool(String(text)) { return .bool(flag) }
        if text.hasPrefix("\"") { return .string(String(text.dropFirst().dropLast())) }
        if let number = Int(text) { return number < 0 ? .int32(Int32(number)) : .uint32(UInt32(number)) }
        return .float32(Float(text) ?? .nan)
    }

    private static func blocks(_ layers: some Sequence<Int>, _ names: String...) -> Set<String> {
        Set(layers.flatMap { layer in names.map { "blk.\(layer).\($0)" } })
    }

    static let llama3 = ReleasedModel(
        name: "Llama-3.1-8B", architecture: "llama",
        hyperparameters: [
            ("block_count", 32), ("context_length", 131_072), ("embedding_length", 4096),
            ("feed_forward_length", 14_336), ("attention.head_count", 32), ("attention.head_count_kv", 8),
            ("rope.freq_base", 500_000.0), ("attention.layer_norm_rms_epsilon", 1e-5), ("vocab_size", 128_256),
            ("rope.dimension_count", 128),
        ],
        tokens: 128_256, optionalTensors: ["output.weight", "rope_freqs.weight"])

    static let mixtral = ReleasedModel(
        name: "Mixtral-8x7B", architecture: "llama",
        hyperparameters: [
            ("block_count", 32), ("context_length", 32_768), ("embedding_length", 4096),
            ("feed_forward_length", 14_336), ("attention.head_count", 32), ("attention.head_count_kv", 8),
            ("rope.freq_base", 1_000_000.0), ("attention.layer_norm_rms_epsilon", 1e-5), ("expert_count", 8),
            ("expert_used_count", 2), ("vocab_size", 32_000), ("rope.dimension_count", 128),
        ],
        optionalTensors: ["output.weight"])

    static let qwen3MoE = ReleasedModel(
        name: "Qwen3-30B-A3B", architecture: "qwen3moe",
        hyperparameters: [
            ("block_count", 48), ("context_length", 40_960), ("embedding_length", 2048), ("feed_forward_length", 6144),
            ("attention.head_count", 32), ("attention.head_count_kv", 4), ("rope.freq_base", 1_000_000.0),
            ("attention.layer_norm_rms_epsilon", 1e-6), ("expert_used_count", 8), ("attention.key_length", 128),
            ("attention.value_length", 128), ("expert_count", 128), ("expert_feed_forward_length", 768),
        ],
        tokens: 151_936, optionalTensors: ["output.weight"])

    static let gptOSS = ReleasedModel(
        name: "gpt-oss-20b", architecture: "gpt-oss",
        hyperparameters: [
            ("block_count", 24), ("context_length", 131_072), ("embedding_length", 2880), ("feed_forward_length", 2880),
            ("attention.head_count", 64), ("attention.head_count_kv", 8), ("rope.scaling.type", "yarn"),
            ("rope.scaling.factor", 32.0), ("rope.scaling.original_context_length", 4096),
            ("rope.scaling.yarn_beta_fast", 32.0), ("rope.scaling.yarn_beta_slow", 1.0), ("rope.freq_base", 150_000.0),
            ("attention.layer_norm_rms_epsilon", 1e-5), ("expert_count", 32), ("expert_used_count", 4),
            ("attention.key_length", 64), ("attention.value_length", 64), ("attention.sliding_window", 128),
            ("expert_feed_forward_length", 2880),
        ],
        tokens: 201_088,
        optionalTensors: blocks(0..<24, "attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias").union(
            ["output.weight"]),
        // Every feed-forward network is an expert's.
        unused: ["feed_forward_length"])

    static let gemma2 = ReleasedModel(
        name: "Gemma-2-9B", architecture: "gemma2",
        hyperparameters: [
            ("context_length", 8192), ("embedding_length", 3584), ("block_count", 42), ("feed_forward_length", 14_336),
            ("attention.head_count", 16), ("attention.head_count_kv", 8), ("attention.layer_norm_rms_epsilon", 1e-6),
            ("attention.key_length", 256), ("attention.value_length", 256), ("attn_logit_softcapping", 50.0),
            ("final_logit_softcapping", 30.0), ("attention.sliding_window", 4096),
        ],
        tokens: 256_000)

    static let jamba = ReleasedModel(
        name: "Jamba-v0.1", architecture: "jamba",
        hyperparameters: [
            ("block_count", 32), ("context_length", 262_144), ("embedding_length", 4096),
            ("feed_forward_length", 14_336), ("attention.head_count", 32),
            ("attention.head_count_kv", .array(.int32((0..<32).map { $0 % 8 == 4 ? 8 : 0 }))),
            ("ssm.conv_kernel", 4), ("ssm.inner_size", 8192), ("ssm.state_size", 16), ("ssm.time_step_rank", 256),
            ("attention.layer_norm_rms_epsilon", 1e-6), ("expert_count", 16), ("expert_used_count", 2),
        ],
        tokens: 65_536,
        optionalTensors: blocks(stride(from: 1, to: 32, by: 2), "ffn_gate_inp.weight")
            .union(blocks((0..<32).filter { $0 % 8 != 4 }, "ssm_conv1d.bias")).union(["output.weight"]))

    static let kimiLinear = ReleasedModel(
        name: "Kimi-Linear-48B-A3B", architecture: "kimi-linear",
        hyperparameters: [
            ("block_count", 27), ("context_length", 1_048_576), ("embedding_length", 2304),
            ("feed_forward_length", 9216), ("attention.head_count", 32),
            ("attention.head_count_kv", .array(.int32((1...27).map { $0 % 4 == 0 || $0 == 27 ? 1 : 0 }))),
            ("rope.freq_base", 10_000.0), ("attention.layer_norm_rms_epsilon", 1e-5), ("expert_count", 256),
            ("expert_used_count", 8), ("expert_group_used_count", 1), ("expert_gating_func", 2),
            ("attention.key_length", 576), ("attention.value_length", 72), ("vocab_size", 163_840),
            ("ssm.conv_kernel", 4), ("kda.head_dim", 128), ("attention.kv_lora_rank", 512),
            ("rope.dimension_count", 64), ("attention.key_length_mla", 192), ("attention.value_length_mla", 128),
            ("expert_feed_forward_length", 1024), ("expert_shared_count", 1), ("leading_dense_block_count", 1),
            ("expert_weights_scale", 2.446),
        ],
        optionalTensors: ["output.weight"],
        // Nothing is rotated, and there is one group.
        unused: ["rope.freq_base", "expert_group_used_count"])

    static let lfm2 = ReleasedModel(
        name: "LFM2-1.2B", architecture: "lfm2",
        hyperparameters: [
            ("block_count", 16), ("context_length", 128_000), ("embedding_length", 2048), ("feed_forward_length", 8192),
            ("attention.head_count", 32),
            ("attention.head_count_kv", .array(.int32((0..<16).map { [2, 5, 8, 10, 12, 14].contains($0) ? 8 : 0 }))),
            ("rope.freq_base", 1_000_000.0), ("vocab_size", 65_536), ("shortconv.l_cache", 3),
            ("attention.layer_norm_rms_epsilon", 1e-5),
        ])

    static let qwen3Next = ReleasedModel(
        name: "Qwen3-Next-80B-A3B", architecture: "qwen3next",
        hyperparameters: [
            ("block_count", 48), ("context_length", 262_144), ("embedding_length", 2048), ("feed_forward_length", 5120),
            ("attention.head_count", 16), ("attention.head_count_kv", 2), ("rope.freq_base", 10_000_000.0),
            ("attention.layer_norm_rms_epsilon", 1e-6), ("expert_used_count", 10), ("attention.key_length", 256),
            ("attention.value_length", 256), ("expert_count", 512), ("expert_feed_forward_length", 512),
            ("expert_shared_feed_forward_length", 512), ("ssm.conv_kernel", 4), ("ssm.state_size", 128),
            ("ssm.group_count", 16), ("ssm.time_step_rank", 32), ("ssm.inner_size", 4096),
            ("full_attention_interval", 4), ("rope.dimension_count", 64),
        ],
        tokens: 151_936, optionalTensors: ["output.weight"])

    /// From before engines absorbed matrices: keys and values of each head are cached.
    static let deepSeekV2 = ReleasedModel(
        name: "DeepSeek-V2", architecture: "deepseek2",
        hyperparameters: [
            ("block_count", 60), ("context_length", 163_840), ("embedding_length", 5120),
            ("feed_forward_length", 12_288), ("attention.head_count", 128), ("attention.head_count_kv", 128),
            ("rope.freq_base", 10_000.0), ("attention.layer_norm_rms_epsilon", 1e-6), ("expert_used_count", 6),
            ("leading_dense_block_count", 1), ("vocab_size", 102_400), ("attention.q_lora_rank", 1536),
            ("attention.kv_lora_rank", 512), ("attention.key_length", 192), ("attention.value_length", 128),
            ("expert_feed_forward_length", 1536), ("expert_count", 160), ("expert_shared_count", 2),
            ("expert_weights_scale", 16.0), ("rope.dimension_count", 64), ("rope.scaling.type", "yarn"),
            ("rope.scaling.factor", 40.0), ("rope.scaling.original_context_length", 4096),
            ("rope.scaling.yarn_log_multiplier", 0.0707),
        ],
        optionalTensors: ["output.weight"])

    static let deepSeekV3 = ReleasedModel(
        name: "DeepSeek-V3", architecture: "deepseek2",
        hyperparameters: [
            ("block_count", 61), ("context_length", 163_840), ("embedding_length", 7168),
            ("feed_forward_length", 18_432), ("attention.head_count", 128), ("attention.head_count_kv", 1),
            ("rope.scaling.type", "yarn"), ("rope.scaling.factor", 40.0),
            ("rope.scaling.original_context_length", 4096), ("rope.scaling.yarn_beta_fast", 32.0),
            ("rope.scaling.yarn_beta_slow", 1.0), ("rope.freq_base", 10_000.0),
            ("attention.layer_norm_rms_epsilon", 1e-6), ("expert_count", 256), ("expert_used_count", 8),
            ("expert_group_count", 8), ("expert_group_used_count", 4), ("expert_gating_func", 2),
            ("leading_dense_block_count", 3), ("vocab_size", 129_280), ("attention.q_lora_rank", 1536),
            ("attention.kv_lora_rank", 512), ("attention.key_length", 576), ("attention.value_length", 512),
            ("attention.key_length_mla", 192), ("attention.value_length_mla", 128),
            ("expert_feed_forward_length", 2048), ("expert_shared_count", 1), ("expert_weights_scale", 2.5),
            ("expert_weights_norm", true), ("rope.dimension_count", 64), ("rope.scaling.yarn_log_multiplier", 0.1),
        ],
        tokens: 129_280, optionalTensors: blocks(3..<61, "exp_probs_b.bias").union(["output.weight"]))
}

extension MetadataValue {
    /// Of two arrays, one.
    fileprivate mutating func extend(by other: MetadataValue) {
        self = MetadataArray((elements ?? []) + (other.elements ?? [])).map(MetadataValue.array) ?? self
    }
}
