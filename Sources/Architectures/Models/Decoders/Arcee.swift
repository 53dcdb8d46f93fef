import ModelGraph

/// Arcee (AFM): Llama whose feed-forward network has a squared ReLU and no gate.
/// Source: `ArceeForCausalLM` of transformers, by its authors.
public struct Arcee: DenseArchitecture {
    public static let name = "arcee"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .normal)
        options.hasFrequencyFactors = true
        options.activation = .plain(.squaredReLU)
        decoder = try DenseDecoder(&h, options)
    }
}
