import ModelGraph

/// MiniCPM: Llama with factors of the embedding, the residuals and the logits, which files of the first years do not
/// say.
/// Sources: Hu et al. 2024, section 3 and appendix A, and its authors' `modeling_minicpm.py`.
public struct MiniCPM: ScaledArchitecture {
    public static let name = "minicpm"
    public let decoder: ScaledDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var decoder = try ScaledDecoder(&h, mayShareExpert: false)
        let (width, layers) = (Double(decoder.dimensions.embedding), Double(decoder.dimensions.layers))
        func factor(_ key: String, fuzz: [Double], default absent: Double, _ about: String) throws -> Double {
            try h.real(key, 1e-6...1e6, fuzz: fuzz, default: absent, about)
        }
        decoder.scales = ScaledDecoder.Scales(
            embedding: try factor("embedding_scale", fuzz: [12, 1, 0.5], default: 12, "multiplies the token embedding"),
            residual: try factor(
                "residual_scale", fuzz: [0.25, 1, 1.5], default: 1.4 / layers.squareRoot(),
                "multiplies what each part adds"),
            attention: nil,
            logits: try factor("logit_scale", fuzz: [1, 8, 0.5], default: width / 256, "divides the logits"))
        self.decoder = decoder
    }
}
