import GGUF

/// The architectures that this engine knows, in families; each family has a folder in `Models/`.
public enum ArchitectureCatalog {
    /// Architectures of one kind.
    public struct Family: Sendable {
        public let name: String
        public let members: [Member]
    }

    /// An architecture, and what there is to hold it against.
    public struct Member: Sendable {
        public let type: any Architecture.Type
        /// The classes of transformers that it is held against (`Fuzz/transformers`); none: there is none, and the doc comment
        /// names the paper or the code.
        public let transformers: [String]

        init(_ type: any Architecture.Type, transformers: String...) {
            (self.type, self.transformers) = (type, transformers)
        }
    }

    public static let families = [
        Family(name: "decoders with layer norms, most with learned or linear positions", members: layerNormDecoders),
        Family(name: "decoders with RMS norms", members: decoders),
        Family(name: "decoders with experts", members: experts),
        Family(name: "latent attention", members: latentAttention),
        Family(name: "sparse, compressed and linear attention", members: sparseAndLinearAttention),
        Family(name: "recurrent and hybrid models", members: recurrent),
        Family(name: "encoders", members: encoders),
        Family(name: "positions of several sections", members: multimodal),
        Family(name: "models that write several tokens at a time", members: diffusion),
        Family(name: "audio codes", members: audio),
        Family(name: "drafts of another model's tokens", members: drafting),
    ]

    public static let all: [any Architecture.Type] = families.flatMap { $0.members.map(\.type) }

    private static let layerNormDecoders: [Member] = [
        Member(GPT2.self, transformers: "GPT2LMHeadModel"),
        Member(Bloom.self, transformers: "BloomForCausalLM"),
        Member(StarCoder2.self, transformers: "Starcoder2ForCausalLM"),
    ]
    private static let decoders: [Member] = [
        Member(Llama.self, transformers: "LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"),
        Member(Gemma.self, transformers: "GemmaForCausalLM"),
        Member(Gemma2.self, transformers: "Gemma2ForCausalLM"),
        Member(Gemma3.self, transformers: "Gemma3ForCausalLM"),
        Member(Qwen2.self, transformers: "Qwen2ForCausalLM"),
        Member(Qwen3.self, transformers: "Qwen3ForCausalLM"),
        Member(OLMo2.self, transformers: "Olmo3ForCausalLM", "Olmo2ForCausalLM"),
    ]
    private static let experts: [Member] = [
        Member(Qwen3MoE.self, transformers: "Qwen3MoeForCausalLM"),
        Member(Llama4.self, transformers: "Llama4ForCausalLM"),
        Member(GPTOSS.self, transformers: "GptOssForCausalLM"),
        Member(OLMoE.self, transformers: "OlmoeForCausalLM"),
    ]
    private static let latentAttention: [Member] = [
        Member(DeepSeek2.self, transformers: "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "YoutuForCausalLM", "Glm4MoeLiteForCausalLM"),
    ]
    private static let sparseAndLinearAttention: [Member] = [
    ]
    private static let recurrent: [Member] = [
        Member(Mamba.self, transformers: "MambaForCausalLM", "FalconMambaForCausalLM"),
        Member(Mamba2.self, transformers: "Mamba2ForCausalLM"),
        Member(LFM2.self, transformers: "Lfm2ForCausalLM", "Lfm2Model"),
        Member(LFM2MoE.self, transformers: "Lfm2MoeForCausalLM"),
        Member(Jamba.self, transformers: "JambaForCausalLM"),
        Member(NemotronH.self, transformers: "NemotronHForCausalLM"),
        Member(NemotronHMoE.self),
        Member(Qwen3Next.self, transformers: "Qwen3NextForCausalLM"),
        Member(RWKV7.self),
        Member(KimiLinear.self, transformers: "KimiLinearForCausalLM"),
    ]
    private static let encoders: [Member] = [
        Member(BERT.self, transformers: "BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel", "DistilBertModel"),
        Member(T5.self, transformers: "UMT5ForConditionalGeneration", "MT5ForConditionalGeneration", "T5ForConditionalGeneration"),
    ]
    private static let multimodal: [Member] = [
        Member(Qwen2VL.self, transformers: "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
        Member(Qwen3VL.self, transformers: "Qwen3VLForConditionalGeneration"),
        Member(Qwen3VLMoE.self, transformers: "Qwen3VLMoeForConditionalGeneration"),
        Member(HunYuanVL.self, transformers: "HunYuanVLForConditionalGeneration"),
        Member(PaddleOCR.self, transformers: "PaddleOCRVLForConditionalGeneration"),
        Member(CogVLM.self),
        Member(Qwen3TTS.self),
        Member(Chameleon.self),
    ]
    private static let diffusion: [Member] = [
    ]
    private static let audio: [Member] = [
        Member(WavTokenizer.self),
        Member(PocketTTS.self),
    ]
    private static let drafting: [Member] = [
    ]

    /// - Throws: `MetadataError` that lists what is supported.
    public static func named(_ name: String) throws -> any Architecture.Type {
        guard let architecture = all.first(where: { $0.name == name }) else {
            throw MetadataError(
                keys: ["general.architecture"],
                reason: "\"\(name)\" is not supported; supported: \(all.map { $0.name }.joined(separator: ", "))")
        }
        return architecture
    }

    /// The type of the architecture that metadata names.
    /// - Throws: `MetadataError`.
    public static func type(of metadata: Metadata) throws -> any Architecture.Type {
        guard case .string(let name)? = metadata["general.architecture"] else {
            throw MetadataError(keys: ["general.architecture"], reason: "is missing or no string")
        }
        return try named(name)
    }

    /// The architecture that metadata describes, validated.
    public static func read(_ metadata: Metadata) throws -> any Architecture {
        let type = try type(of: metadata)
        var reader = MetadataReader(metadata, architecture: type.name)
        return try type.init(&reader)
    }
}
