import ModelGraph

/// SmolLM3: Llama in which every fourth layer has no positions, which no key says.
/// Sources: Bakouch et al. 2025; Yang et al. 2025, "RoPE to NoPE and Back Again"; `SmolLM3ForCausalLM` of transformers.
public struct SmolLM3: DenseArchitecture {
    public static let name = "smollm3"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .normal)
        options.unrotatedStep = 4
        decoder = try DenseDecoder(&h, options)
    }
}
