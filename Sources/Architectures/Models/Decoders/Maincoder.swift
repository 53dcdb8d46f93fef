import ModelGraph

/// Maincoder: Llama whose queries and keys are normed after their rotation.
/// Source: its authors' `modeling_maincoder.py`, as mlx-lm has it.
public struct Maincoder: DenseArchitecture {
    public static let name = "maincoder"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .normal)
        options.queryKeyNorms = .afterRotation
        decoder = try DenseDecoder(&h, options)
    }
}
