import ModelGraph

/// Kimi delta attention: a gated delta net with a decay for each channel of a head.
///
/// Source: Kimi Linear 2025, section 3.
public struct KimiDeltaAttention: Hashable, Sendable {
    public let taps: Int
    public let heads: Int
    public let headSize: Int

    public init(_ h: inout some Hyperparameters, heads: Int) throws {
        self.heads = heads
        taps = try h.integer("ssm.conv_kernel", 2...64, fuzz: Domains.taps, "taps of the convolutions")
        headSize = try h.integer("kda.head_dim", 1...4096, fuzz: Domains.unitHeadSizes, "size of a head")
    }

    /// `[T, D] → [T, H · S]`, before the output projection.
    public func mix(_ block: Scope, _ x: Value, _ normalization: Normalization) -> Value {
        let (tokens, width) = (x.shape[0], heads * headSize)
        let headed: Shape = [tokens, heads, headSize]
        let inputs = project(block, x)
        func convolved(_ name: String, _ input: Value) -> Value {
            block.convolution("ssm_conv1d_\(name)", input, taps: taps, kernelShape: [width, 1, taps])(.silu).reshaped(headed)
        }
        /// Through a bottleneck of one head's size.
        func lowRank(_ name: String) -> Value {
            block.linear("ssm_\(name)_b", block.linear("ssm_\(name)_a", x, headSize), width)
        }
        let step = (lowRank("f") + block.weight("ssm_dt.bias", [width], .timeStepBias))(.softplus)
        let y = block.deltaRule(
            convolved("q", inputs.0), convolved("k", inputs.1), convolved("v", inputs.2),
            decay: step.reshaped(headed) * block.weight("ssm_a", [heads, 1], .decay),
            strength: block.linear("ssm_beta", x, heads)(.sigmoid))
        let gated = block.norm("ssm_norm", y, normalization) * lowRank("g").reshaped(headed)(.sigmoid)
        return gated.reshaped([tokens, width])
    }

    private func project(_ block: Scope, _ x: Value) -> (Value, Value, Value) {
        let width = heads * headSize
        if let fused = block.optionalWeight("attn_qkv.weight", [3 * width, x.shape[1]], .projection) {
            let all = x.matmul(fused)
            return (all.columns(0, width), all.columns(width, width), all.columns(2 * width, width))
        }
        return (block.linear("attn_q", x, width), block.linear("attn_k", x, width), block.linear("attn_v", x, width))
    }
}
