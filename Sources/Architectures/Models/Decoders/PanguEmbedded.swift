import ModelGraph

/// openPangu-Embedded: Llama with biases of its attention, that of the output always there.
/// Source: Pangu Embedded (2025), section 2, and its authors' `modeling_openpangu_dense.py`.
public struct PanguEmbedded: DenseArchitecture {
    public static let name = "pangu-embedded"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .neox)
        options.outputBias = .required
        decoder = try DenseDecoder(&h, options)
    }
}
