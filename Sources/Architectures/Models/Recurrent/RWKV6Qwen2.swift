import ModelGraph

/// QRWKV-6: Qwen2.5 with time mixing in place of attention, by gated linear attention whose keys count by what is
/// forgotten, and whose key/value heads serve groups of heads.
/// Source: the code of its authors (`RWKV6Qwen2ForCausalLM`), which lets no channel forget more than to e⁻⁵.
public struct RWKV6Qwen2: Architecture {
    public static let name = "rwkv6qwen2"

    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let timeMixing: DynamicTimeMixing
    let heads: Int
    let keyValueHeads: Int
    let feedForward: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(ofHeadedWidth: &h)
        traits = try Traits(decoder: &h, bidirectional: false)
        normalization = try Normalization(&h, .rms)
        timeMixing = try DynamicTimeMixing(&h, dimensions)
        let heads = dimensions.embedding / timeMixing.headSize
        let groups = try h.integer(
            "attention.head_count_kv", 0...4096, fuzz: Domains.divisors(of: heads).reversed(), default: 0,
            "key/value heads; 0: as many as heads")
        keyValueHeads = groups == 0 ? heads : groups
        self.heads = heads
        try h.require(
            heads % keyValueHeads == 0, "wkv.head_size", "attention.head_count_kv",
            because: "\(heads) heads do not divide among \(keyValueHeads) key/value heads")
        _ = try h.integer("token_shift_count", 1...1, fuzz: [1], "token shifts of a block")
        feedForward = try h.feedForwardLength()
    }

    public func build(_ g: GraphBuilder) {
        var x = g.tokenEmbedding(dimensions)
        for layer in 0..<dimensions.layers {
            let block = g.block(layer)
            x = x + mixTime(block, block.norm("attn_norm", x, normalization))
            x = x + block.feedForward(block.norm("ffn_norm", x, normalization), size: feedForward, .gated(.swiglu))
        }
        g.logits(x, dimensions, normalization, tying: .never)
    }

    private func mixTime(_ block: Scope, _ x: Value) -> Value {
        let (tokens, width, size) = (x.shape[0], dimensions.embedding, timeMixing.headSize)
        let inputs = timeMixing.inputs(block, x, mayBeApart: false)
        /// Of each head, from that of its group.
        func grouped(_ name: String, _ input: Value) -> Value {
            block.linear("time_mix_\(name)", input, keyValueHeads * size, bias: .optional)
                .reshaped([tokens, keyValueHeads, 1, size])
                .broadcast([tokens, keyValueHeads, heads / keyValueHeads, size]).reshaped([tokens, heads, size])
        }
        let r = timeMixing.headed(block.linear("time_mix_receptance", inputs.receptance, width, bias: .optional))
        let (k, v) = (grouped("key", inputs.key), grouped("value", inputs.value))
        let decay = timeMixing.decay(block, inputs.decay).clamped(Self.leastDecay, 0)
        let recalled = block.g.apply(
            .linearAttention(
                timeMixing.memory(block, heads: heads), scale: 1 / Double(size).squareRoot(), bonus: false),
            r, k - k * decay(.exp), v, decay, block.g.slots)
        let gate = block.linear("time_mix_gate", inputs.gate, width)(.sigmoid)
        return block.linear("time_mix_output", recalled.reshaped([tokens, width]) * gate, width)
    }

    /// The logarithm of what a channel keeps at least.
    private static let leastDecay = -5.0
}
