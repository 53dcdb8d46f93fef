import ModelGraph

/// ERNIE 4.5, dense: Llama with optional biases throughout.
/// Sources: ERNIE 4.5 technical report (2025); `Ernie4_5ForCausalLM` of transformers.
public struct ERNIE45: DenseArchitecture {
    public static let name = "ernie4_5"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        let options = DenseDecoder.Options(pairing: .normal)
        decoder = try DenseDecoder(&h, options)
    }
}
