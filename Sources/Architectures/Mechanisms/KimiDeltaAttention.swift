import ModelGraph

/// Kimi delta attention: a gated delta net with a decay for each channel of a head.
///
/// Source: Kimi Linear 2025, section 3; `Glm5NextTextForgetGate` of transformers for decays with a lower bound.
public struct KimiDeltaAttention: Hashable, Sendable {
    public let taps: Int
    public let heads: Int
    public let headSize: Int
    /// The least logarithm of what is kept of the state; nil: there is none.
    public let lowerBound: Double?
    private let variant: Variant

    /// What is not the same everywhere.
    public struct Variant: Hashable, Sendable {
        /// The maps that make decays and gates of the input, one after the other: of two, the first is to one head's
        /// size.
        public var decayMaps = ["ssm_f_a", "ssm_f_b"]
        public var gateMaps = ["ssm_g_a", "ssm_g_b"]
        public enum Bounding: Hashable, Sendable { case never, optional, always }
        /// Whether decays have a lower bound.
        public var bounding = Bounding.never
        /// Whether `ssm_a` has one column, or is a vector.
        public var hasDecayColumn = true
        /// Whether `ssm_a` holds the rates of decay themselves, or what they add to the logarithm.
        public var holdsRates = false
        public init() {}
    }

    public init(_ h: inout some Hyperparameters, heads: Int, _ variant: Variant = Variant()) throws {
        self.heads = heads
        self.variant = variant
        taps = try h.integer("ssm.conv_kernel", 2...64, fuzz: Domains.taps, "taps of the convolutions")
        headSize = try h.integer("kda.head_dim", 1...4096, fuzz: Domains.unitHeadSizes, "size of a head")
        let (key, valid, fuzz) = ("kda.gate_lower_bound", -1e6 ... -1e-6, [-5.0, -1, -0.5, -20])
        let about = "the least logarithm of what is kept of the state"
        lowerBound = switch variant.bounding {
        case .never: nil
        case .optional: try h.optionalReal(key, valid, fuzz: fuzz, about)
        case .always: try h.real(key, valid, fuzz: fuzz, about)
        }
    }

    /// `[T, D] → [T, H · S]`, before the output projection.
    public func mix(_ block: Scope, _ x: Value, _ normalization: Normalization) -> Value {
        let (tokens, width) = (x.shape[0], heads * headSize)
        let headed: Shape = [tokens, heads, headSize]
        let inputs = project(block, x)
        func convolved(_ name: String, _ input: Value) -> Value {
            block.convolution(
                "ssm_conv1d_\(name)", input, taps: taps, kernelShape: [width, 1, taps])(.silu).reshaped(headed)
        }
        func mapped(_ names: [String]) -> Value {
            names.indices.reduce(x) { block.linear(names[$1], $0, $1 == names.count - 1 ? width : headSize) }
        }
        let step = mapped(variant.decayMaps) + block.weight("ssm_dt.bias", [width], .timeStepBias)
        let held = block.weight(
            "ssm_a", variant.hasDecayColumn ? [heads, 1] : [heads], variant.holdsRates ? .ropeFactor : .decay)
            .reshaped([heads, 1])
        let decay = if let lowerBound {
            (step.reshaped(headed) * (variant.holdsRates ? held : -held))(.sigmoid) * lowerBound
        } else {
            step(.softplus).reshaped(headed) * (variant.holdsRates ? -held : held)
        }
        let y = block.deltaRule(
            convolved("q", inputs.0), convolved("k", inputs.1), convolved("v", inputs.2), decay: decay,
            strength: block.linear("ssm_beta", x, heads)(.sigmoid))
        let gated = block.norm("ssm_norm", y, normalization) * mapped(variant.gateMaps).reshaped(headed)(.sigmoid)
        return gated.reshaped([tokens, width])
    }

    private func project(_ block: Scope, _ x: Value) -> (Value, Value, Value) {
        let width = heads * headSize
        if let fused = block.optionalWeight("attn_qkv.weight", [3 * width, x.shape[1]], .projection, presence: .few) {
            let all = x.matmul(fused)
            return (all.columns(0, width), all.columns(width, width), all.columns(2 * width, width))
        }
        return (block.linear("attn_q", x, width), block.linear("attn_k", x, width), block.linear("attn_v", x, width))
    }
}
