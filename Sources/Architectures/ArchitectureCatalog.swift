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
        /// The classes of transformers that it is held against (`Fuzz/transformers`); none: there is none, and the doc
        /// comment names the paper or the code.
        public let transformers: [String]
        /// The oldest llama.cpp that it has been run in: of llama-cpp-python, or a build. Empty: llama.cpp runs it
        /// beside another model only.
        public let llama: String

        init(_ type: any Architecture.Type, transformers: String..., llama: String = "0.3.36") {
            (self.type, self.transformers, self.llama) = (type, transformers, llama)
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
        Family(name: "decisions on questions", members: deciding),
    ]

    public static let all: [any Architecture.Type] = families.flatMap { $0.members.map(\.type) }

    private static let layerNormDecoders: [Member] = [
        Member(GPT2.self, transformers: "GPT2LMHeadModel"),
        Member(Bloom.self, transformers: "BloomForCausalLM"),
        Member(StarCoder2.self, transformers: "Starcoder2ForCausalLM"),
        Member(StarCoder.self, transformers: "GPTBigCodeForCausalLM"),
        Member(Falcon.self, transformers: "FalconForCausalLM"),
        Member(GPTNeoX.self, transformers: "GPTNeoXForCausalLM"),
        Member(MPT.self, transformers: "MptForCausalLM"),
        Member(Refact.self),
        Member(Jais.self),
        Member(Jais2.self, transformers: "Jais2ForCausalLM"),
        Member(CodeShell.self),
        Member(StableLM.self, transformers: "StableLmForCausalLM"),
        Member(Phi2.self, transformers: "PhiForCausalLM"),
        Member(Orion.self),
        Member(Nemotron.self, transformers: "NemotronForCausalLM"),
        Member(CommandR.self, transformers: "CohereForCausalLM"),
        Member(Cohere2.self, transformers: "Cohere2ForCausalLM"),
        Member(OLMo.self, transformers: "OlmoForCausalLM"),
    ]
    private static let decoders: [Member] = [
        Member(Llama.self, transformers: "LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"),
        Member(Gemma.self, transformers: "GemmaForCausalLM"),
        Member(Gemma2.self, transformers: "Gemma2ForCausalLM"),
        Member(Gemma3.self, transformers: "Gemma3ForCausalLM"),
        Member(Gemma3n.self, transformers: "Gemma3nForCausalLM"),
        Member(Gemma4.self, transformers: "Gemma4ForCausalLM"),
        Member(Qwen2.self, transformers: "Qwen2ForCausalLM"),
        Member(Qwen3.self, transformers: "Qwen3ForCausalLM"),
        Member(OLMo2.self, transformers: "Olmo3ForCausalLM", "Olmo2ForCausalLM"),
        Member(Qwen.self),
        Member(Baichuan.self),
        Member(XVERSE.self),
        Member(InternLM2.self),
        Member(PLaMo.self),
        Member(OpenELM.self),
        Member(BitNet.self, transformers: "BitNetForCausalLM"),
        Member(PLaMo3.self),
        Member(Mistral3.self, transformers: "Ministral3ForCausalLM"),
        Member(LlamaEmbed.self),
        Member(Phi3.self, transformers: "Phi3ForCausalLM"),
        Member(MiniCPM.self),
        Member(EXAONE.self),
        Member(EXAONE4.self, transformers: "Exaone4ForCausalLM"),
        Member(Arcee.self, transformers: "ArceeForCausalLM"),
        Member(SmolLM3.self, transformers: "SmolLM3ForCausalLM"),
        Member(SeedOSS.self, transformers: "SeedOssForCausalLM"),
        Member(ChatGLM.self, transformers: "GlmForCausalLM"),
        Member(GLM4.self, transformers: "Glm4ForCausalLM"),
        Member(DeciLM.self),
        Member(Granite.self, transformers: "GraniteForCausalLM"),
        Member(GraniteMoE.self, transformers: "GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"),
        Member(GraniteSWA.self, transformers: "GraniteSWAForCausalLM", "GraniteMoeSWAForCausalLM"),
        Member(GraniteSwitch.self),
        Member(ERNIE45.self, transformers: "Ernie4_5ForCausalLM"),
        Member(HunYuanDense.self, transformers: "HunYuanDenseV1ForCausalLM"),
        Member(PanguEmbedded.self),
        Member(Apertus.self, transformers: "ApertusForCausalLM"),
        Member(Maincoder.self),
        Member(Nanbeige.self),
        Member(Talkie.self),
        Member(MuseGlimmer.self),
        Member(Spark25.self),
    ]
    private static let experts: [Member] = [
        Member(Qwen3MoE.self, transformers: "Qwen3MoeForCausalLM"),
        Member(Llama4.self, transformers: "Llama4ForCausalLM"),
        Member(GPTOSS.self, transformers: "GptOssForCausalLM"),
        Member(OLMoE.self, transformers: "OlmoeForCausalLM"),
        Member(BailingMoE2.self),
        Member(GLM4MoE.self, transformers: "Glm4MoeForCausalLM"),
        Member(GroveMoE.self),
        Member(SmallThinker.self),
        Member(AFMoE.self, transformers: "AfmoeForCausalLM"),
        Member(Laguna.self, transformers: "LagunaForCausalLM"),
        Member(HunyuanV3.self, transformers: "HYV3ForCausalLM"),
        Member(MiMo2.self, transformers: "MiMoV2FlashForCausalLM"),
        Member(MiniMaxM2.self, transformers: "MiniMaxM2ForCausalLM"),
        Member(Qwen2MoE.self, transformers: "Qwen2MoeForCausalLM"),
        Member(DeepSeek.self),
        Member(Dots1.self, transformers: "Dots1ForCausalLM"),
        Member(BailingMoE.self),
        Member(Grok.self),
        Member(Arctic.self),
        Member(DBRX.self, transformers: "DbrxForCausalLM"),
        Member(PhiMoE.self, transformers: "PhimoeForCausalLM"),
        Member(Cohere2MoE.self, transformers: "Cohere2MoeForCausalLM"),
        Member(EXAONEMoE.self, transformers: "ExaoneMoeForCausalLM"),
        Member(ERNIE45MoE.self, transformers: "Ernie4_5_MoeForCausalLM"),
        Member(HunyuanMoE.self, transformers: "HunYuanMoEV1ForCausalLM"),
        Member(Mellum.self, transformers: "MellumForCausalLM"),
        Member(Maple.self),
        Member(Step35.self),
    ]
    private static let latentAttention: [Member] = [
        Member(
            DeepSeek2.self, transformers: "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "YoutuForCausalLM",
            "Glm4MoeLiteForCausalLM"),
        Member(Mistral4.self, transformers: "Mistral4ForCausalLM"),
        Member(MiniCPM3.self, transformers: "MiniCPM3ForCausalLM"),
        Member(PLM.self),
        Member(DeepSeek2OCR.self),
    ]
    private static let sparseAndLinearAttention: [Member] = [
        Member(DeepSeek32.self, transformers: "DeepseekV32ForCausalLM"),
        Member(GLMDSA.self, transformers: "GlmMoeDsaForCausalLM"),
        Member(Dots3Note.self),
        Member(HYV4.self, transformers: "HYV4ForCausalLM"),
        Member(MiniMax01.self),
        Member(MiniMaxM3.self, transformers: "MiniMaxM3SparseForConditionalGeneration"),
        Member(GLM5Next.self, transformers: "Glm5NextForConditionalGeneration"),
        Member(Qwen4Exp.self, transformers: "Qwen4ExpForCausalLM"),
        Member(DeepSeek4.self),
    ]
    private static let recurrent: [Member] = [
        Member(Mamba.self, transformers: "MambaForCausalLM", "FalconMambaForCausalLM"),
        Member(Mamba2.self, transformers: "Mamba2ForCausalLM"),
        Member(LFM2.self, transformers: "Lfm2ForCausalLM", "Lfm2Model"),
        Member(LFM2MoE.self, transformers: "Lfm2MoeForCausalLM"),
        Member(Jamba.self, transformers: "JambaForCausalLM"),
        Member(NemotronH.self, transformers: "NemotronHForCausalLM"),
        Member(NemotronHMoE.self, transformers: "NemotronHForCausalLM"),
        Member(FalconH1.self, transformers: "FalconH1ForCausalLM"),
        Member(GraniteHybrid.self, transformers: "GraniteMoeHybridForCausalLM"),
        Member(PLaMo2.self),
        Member(Qwen3Next.self, transformers: "Qwen3NextForCausalLM"),
        Member(Qwen35.self, transformers: "Qwen3_5ForCausalLM"),
        Member(Qwen35MoE.self, transformers: "Qwen3_5MoeForCausalLM"),
        Member(RWKV6.self),
        Member(RWKV6Qwen2.self),
        Member(RWKV7.self),
        Member(ARWKV7.self),
        Member(HRMText.self, transformers: "HrmTextForCausalLM"),
        Member(KimiLinear.self, transformers: "KimiLinearForCausalLM"),
        Member(KimiK3.self),
        Member(BailingMoE3.self),
    ]
    private static let encoders: [Member] = [
        Member(
            BERT.self, transformers: "BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel",
            "DistilBertModel"),
        Member(NomicBERT.self),
        Member(NomicBERTMoE.self),
        Member(JinaBERT2.self),
        Member(JinaBERT3.self),
        Member(ModernBERT.self, transformers: "ModernBertModel", "ModernBertForMaskedLM"),
        Member(NeoBERT.self),
        Member(EuroBERT.self, transformers: "EuroBertModel"),
        Member(GemmaEmbedding.self, transformers: "Gemma3TextModel"),
        Member(T5Encoder.self, transformers: "T5EncoderModel"),
        Member(
            T5.self, transformers: "UMT5ForConditionalGeneration", "MT5ForConditionalGeneration",
            "T5ForConditionalGeneration"),
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
        Member(LLaDAMoE.self),
        Member(RND1.self),
        Member(Dream.self),
        Member(LLaDA.self),
    ]
    private static let audio: [Member] = [
        Member(WavTokenizer.self),
        Member(PocketTTS.self),
    ]
    private static let drafting: [Member] = [
        Member(EAGLE3.self),
        Member(DFlash.self, transformers: "MuseGlimmerAssistantModel"),
        Member(Gemma4Assistant.self, transformers: "Gemma4AssistantForCausalLM", llama: ""),
    ]
    private static let deciding: [Member] = [
        Member(Clef.self, llama: "11669"),
    ]

    /// - Throws: `MetadataError` that says which names are close.
    public static func named(_ name: String) throws -> any Architecture.Type {
        guard let architecture = all.first(where: { $0.name == name }) else {
            throw MetadataError(
                keys: ["general.architecture"],
                reason: "\(quoted(name)) is not supported; "
                    + (NearNames(of: name, among: all.map { $0.name }).words ?? "gguf-fuzz archs lists what is"))
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
