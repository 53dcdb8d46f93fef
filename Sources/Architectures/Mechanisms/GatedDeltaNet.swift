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
        let inner = try h.integer(
            "ssm.inner_size", 1...(1 << 24), fuzz: [headSize * heads], "elements of all value heads")
        try h.require(
            inner == headSize * heads, "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank",
            because: "\(heads) value heads of \(headSize) have \(headSize * heads) elements, not \(inner)")
    }

    /// How files arrange the value heads.
    public enum Arrangement: Hashable, Sendable {
        /// Those of one key head lie together (Qwen3-Next).
        case byKeyHead
        /// One of each key head, then the next of each (Qwen3.5).
        case inTurns
    }

    /// `[T, D] → [T, D]`
    public func mix(
        _ block: Scope, _ x: Value, _ normalization: Normalization, _ arrangement: Arrangement = .byKeyHead,
        gate activation: Unary = .silu
    ) -> Value {
        let tokens = x.shape[0]
        let (keys, values) = (keyHeads * headSize, heads * headSize)
        let isByKeyHead = arrangement == .byKeyHead
        let (inputs, gate) = isByKeyHead
            ? project(block, x)
            : (block.linear("attn_qkv", x, 2 * keys + values), block.linear("attn_gate", x, values))
        let convolved = block.convolution("ssm_conv1d", inputs, taps: taps)(.silu)
        let (strength, step) = isByKeyHead
            ? strengthsAndSteps(block, x) : (block.linear("ssm_beta", x, heads), block.linear("ssm_alpha", x, heads))
        let decay = (step + block.weight("ssm_dt.bias", [heads], .timeStepBias))(.softplus)
            * block.weight("ssm_a", [heads], .decay)

        /// Queries or keys, of a head each.
        func keyed(_ start: Int) -> Value {
            let parts = convolved.columns(start, keys)
            return isByKeyHead
                ? parts.reshaped([tokens, keyHeads, headSize])
                : parts.reshaped([tokens, 1, keys]).broadcast([tokens, heads / keyHeads, keys])
                    .reshaped([tokens, heads, headSize])
        }
        let y = block.deltaRule(
            keyed(0), keyed(keys), convolved.columns(2 * keys, values).reshaped([tokens, heads, headSize]),
            decay: decay.reshaped([tokens, heads, 1]), strength: strength(.sigmoid))
        let normed = block.norm("ssm_norm", y, normalization)
        let gates = gate.reshaped([tokens, heads, headSize])
        let gated = activation == .silu ? block.g.apply(.gated(.swiglu), gates, normed) : normed * gates(activation)
        return block.linear("ssm_out", gated.reshaped([tokens, values]), x.shape[1])
    }

    /// `[T, H]` each; those of the value heads of one key head lie together.
    private func strengthsAndSteps(_ block: Scope, _ x: Value) -> (Value, Value) {
        let (tokens, perKey) = (x.shape[0], heads / keyHeads)
        let both = block.linear("ssm_ba", x, 2 * heads).reshaped([tokens, keyHeads, 2 * perKey])
        return (
            both.columns(0, perKey).reshaped([tokens, heads]), both.columns(perKey, perKey).reshaped([tokens, heads])
        )
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
