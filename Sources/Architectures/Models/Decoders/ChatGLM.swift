import ModelGraph

/// ChatGLM 2 to GLM-4: Llama with gate and up in one matrix, half of each head rotated, biases of queries, keys and
/// values. Sources: GLM-4 (2024), section 2; `GlmForCausalLM` of transformers.
public struct ChatGLM: DenseArchitecture {
    public static let name = "chatglm"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .normal)
        options.headSize = .splitEmbedding
        options.rotatesWholeHeads = false
        options.fusesGateUp = true
        decoder = try DenseDecoder(&h, options)
    }
}
