import ModelGraph

/// Dream: Qwen2 whose tokens see later ones too, so that several masked ones are written at a time.
/// Sources: Dream 7B (2025), section 3, and its authors' `modeling_dream.py`.
public struct Dream: DenseArchitecture {
    public static let name = "dream"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .neox)
        options.headSize = .splitEmbedding
        options.isBidirectional = true
        decoder = try DenseDecoder(&h, options)
    }
}
