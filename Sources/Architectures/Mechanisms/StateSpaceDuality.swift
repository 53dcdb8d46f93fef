import ModelGraph

/// Mamba-2: a state space model with heads, each of one decay, in groups that share B and C.
///
/// Source: Dao and Gu 2024, sections 6 and 7.
public struct StateSpaceDuality: Hashable, Sendable {
    public let taps: Int
    /// Channels of all heads.
    public let inner: Int
    /// State elements of each channel.
    public let stateSize: Int
    public let heads: Int
    public let groups: Int

    /// - Parameter channels: how many there are, in the models that are drawn.
    public init(
        _ h: inout some Hyperparameters, channels: [Int] = [64, 32, 96, 128, 48, 80, 160, 192, 33, 7]
    ) throws {
        taps = try h.integer("ssm.conv_kernel", 2...64, fuzz: Domains.taps, "taps of the convolution")
        inner = try h.integer("ssm.inner_size", 1...(1 << 20), fuzz: channels, "channels of the state space model")
        stateSize = try h.integer(
            "ssm.state_size", 1...4096, fuzz: [16, 32, 64, 128, 1, 3, 33], "state elements of each channel")
        heads = try h.integer("ssm.time_step_rank", 1...65536, fuzz: Domains.divisors(of: inner), "heads")
        try h.require(
            inner % heads == 0, "ssm.inner_size", "ssm.time_step_rank",
            because: "\(inner) channels do not divide among \(heads) heads")
        groups = try h.integer(
            "ssm.group_count", 1...65536, fuzz: Domains.divisors(of: heads), "groups of heads that share B and C")
        try h.require(
            heads % groups == 0, "ssm.time_step_rank", "ssm.group_count",
            because: "\(heads) heads do not divide among \(groups) groups")
    }

    /// `[T, D] → [T, D]`
    /// - Parameter mayLackNorm: whether the gated channels may go on without a norm.
    public func mix(
        _ block: Scope, _ x: Value, _ normalization: Normalization, mayLackNorm: Bool = false
    ) -> Value {
        let g = block.g
        let tokens = x.shape[0]
        let headSize = inner / heads
        let shared = groups * stateSize
        let projected = block.linear("ssm_in", x, 2 * inner + 2 * shared + heads, bias: .rare)
        let gate = projected.columns(0, inner)
        let step = projected.columns(2 * inner + 2 * shared, heads) + block.weight(
            "ssm_dt.bias", [heads], .timeStepBias)
        let convolved = block.convolution(
            "ssm_conv1d", projected.columns(inner, inner + 2 * shared), taps: taps, bias: .usual)(.silu)

        let channels = convolved.columns(0, inner).reshaped([tokens, heads, headSize])
        let scanned = g.apply(
            .selectiveScan(block.state("ssm_state", .recurrent, row: [heads, headSize, stateSize])),
            channels, step, block.weight("ssm_a", [heads, 1], .decay),
            convolved.columns(inner, shared).reshaped([tokens, groups, stateSize]),
            convolved.columns(inner + shared, shared).reshaped([tokens, groups, stateSize]), g.slots)
        let y = (scanned + channels * block.weight("ssm_d", [heads, 1], .scale)).reshaped([tokens, inner])

        var gated = g.apply(.gated(.swiglu), gate, y)
        let perGroup: Shape = [groups, inner / groups]
        let scale = mayLackNorm
            ? block.optionalWeight("ssm_norm.weight", perGroup, .scale) : block.weight(
                "ssm_norm.weight", perGroup, .scale)
        if let scale {
            let normed = gated.reshaped([tokens, groups, inner / groups]).norm(.rms, normalization.epsilon) * scale
            gated = normed.reshaped([tokens, inner])
        }
        return block.linear("ssm_out", gated, x.shape[1], bias: .rare)
    }
}
