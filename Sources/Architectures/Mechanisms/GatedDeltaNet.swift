import ModelGraph

/// Gated delta net: linear attention whose memory forgets by a decay a head and corrects what it recalls of each key.
///
/// Source: Yang et al. 2024, section 3; arranged as in Qwen3-Next, groups of value heads sharing a key head.
public struct GatedDeltaNet: Hashable, Sendable {
    public let taps: Int
    /// Size of every head.
    public let headSize: Int
    /// Heads of values, decays and strengths.
    public let heads: Int
    /// Heads of queries and keys.
    public let keyHeads: Int

    public init(_ h: inout some Hyperparameters) throws {
        taps = try h.integer("ssm.conv_kernel", 2...64, fuzz: Domains.taps, "taps of the convolution")
        headSize = try h.integer("ssm.state_size", 1...4096, fuzz: Domains.unitHeadSizes, "size of every head")
        heads = try h.integer("ssm.time_step_rank", 1...4096, fuzz: [2, 1, 3, 4, 6, 8], "value heads")
        keyHeads = try h.integer("ssm.group_count", 1...4096, fuzz: Domains.divisors(of: heads), "query and key heads")
        try h.require(
            heads % keyHeads == 0, "ssm.time_step_rank", "ssm.group_count",
            because: "\(heads) value heads do not divide among \(keyHeads) key heads")
        let inner = try h.integer("ssm.inner_size", 1...(1 << 24), fuzz: [headSize * heads], "elements of all value heads")
        try h.require(
            inner == headSize * heads, "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank",
            because: "\(heads) value heads of \(headSize) have \(headSize * heads) elements, not \(inner)")
    }

    /// `[T, D] → [T, D]`
    public func mix(_ block: Scope, _ x: Value, _ normalization: Normalization) -> Value {
        let tokens = x.shape[0]
        let (keys, values, perKey) = (keyHeads * headSize, heads * headSize, heads / keyHeads)
        let (inputs, gate) = project(block, x)
        let convolved = block.convolution("ssm_conv1d", inputs, taps: taps)(.silu)

        // Strengths and decays of the value heads of one key head lie together.
        let both = block.linear("ssm_ba", x, 2 * heads).reshaped([tokens, keyHeads, 2 * perKey])
        let strength = both.columns(0, perKey).reshaped([tokens, heads])(.sigmoid)
        let step = (both.columns(perKey, perKey).reshaped([tokens, heads])
            + block.weight("ssm_dt.bias", [heads], .timeStepBias))(.softplus)
        let decay = step * block.weight("ssm_a", [heads], .decay)

        let y = block.deltaRule(
            convolved.columns(0, keys).reshaped([tokens, keyHeads, headSize]),
            convolved.columns(keys, keys).reshaped([tokens, keyHeads, headSize]),
            convolved.columns(2 * keys, values).reshaped([tokens, heads, headSize]),
            decay: decay.reshaped([tokens, heads, 1]), strength: strength)
        let gated = block.g.apply(
            .gated(.swiglu), gate.reshaped([tokens, heads, headSize]), block.norm("ssm_norm", y, normalization))
        return block.linear("ssm_out", gated.reshaped([tokens, values]), x.shape[1])
    }

    /// Queries, keys and values side by side, `[T, 2 Hk S + H S]`, and the output's gate, `[T, H S]`: from two
    /// matrices, or from one in which they lie key head by key head, as older files have it.
    private func project(_ block: Scope, _ x: Value) -> (inputs: Value, gate: Value) {
        let tokens = x.shape[0]
        let (keys, values, perKey) = (keyHeads * headSize, heads * headSize, heads / keyHeads * headSize)
        if let fused = block.optionalWeight("attn_qkv.weight", [2 * keys + values, x.shape[1]], .projection) {
            return (x.matmul(fused), block.linear("attn_gate", x, values))
        }
        let byKeyHead = block.linear("ssm_in", x, 2 * keys + 2 * values)
            .reshaped([tokens, keyHeads, 2 * headSize + 2 * perKey])
        func part(_ start: Int, _ count: Int) -> Value {
            byKeyHead.columns(start, count).reshaped([tokens, keyHeads * count])
        }
        return (
            part(0, headSize).joined(part(headSize, headSize), part(2 * headSize, perKey)),
            part(2 * headSize + perKey, perKey)
        )
    }
}
