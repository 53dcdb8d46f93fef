import ModelGraph

/// Seed-OSS: Llama with biases of queries, keys and values.
/// Source: `SeedOssForCausalLM` of transformers, by its authors.
public struct SeedOSS: DenseArchitecture {
    public static let name = "seed_oss"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .neox)
        options.feedForwardNorm = "post_attention_norm"
        decoder = try DenseDecoder(&h, options)
    }
}
