import Foundation
import ModelGraph

/// Hunyuan, dense: Llama whose queries and keys are normed after their rotation, with a base stretched by NTK-aware
/// scaling. Source: `HunYuanDenseV1ForCausalLM` of transformers.
public struct HunYuanDense: DenseArchitecture {
    public static let name = "hunyuan-dense"
    public let decoder: DenseDecoder

    public init(_ h: inout some Hyperparameters) throws {
        var options = DenseDecoder.Options(pairing: .neox)
        options.queryKeyNorms = .afterRotation
        var decoder = try DenseDecoder(&h, options)
        // The exponent has no limit for heads of two.
        let size = Double(decoder.attention.keySize)
        if size > 2 {
            let alpha = try h.real(
                "rope.scaling.alpha", 0...1e6, fuzz: [1, 50, 1000, 0], default: 0,
                "by how much the base of the rotation frequencies is stretched; 0: by nothing")
            if alpha > 0 { decoder.base = decoder.rotary.base * pow(alpha, size / (size - 2)) }
        }
        self.decoder = decoder
    }
}
