import ModelGraph

/// EXAONE 3 and 3.5: Llama, with its elements paired as GPT-NeoX does.
/// Source: EXAONE 3.0 technical report (2024), section 2.1.
public struct EXAONE: DenseArchitecture {
    public static let name = "exaone"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .neox)
        options.hasFrequencyFactors = true
        decoder = try DenseDecoder(&h, options)
    }
}
