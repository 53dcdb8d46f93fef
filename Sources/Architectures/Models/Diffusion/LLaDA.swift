import ModelGraph

/// LLaDA: Llama whose tokens see later ones too, so that several masked ones are written at a time.
/// Sources: Nie et al. 2025, section 2, and its authors' `modeling_llada.py`.
public struct LLaDA: DenseArchitecture {
    public static let name = "llada"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .normal)
        options.isBidirectional = true
        decoder = try DenseDecoder(&h, options)
    }
}
