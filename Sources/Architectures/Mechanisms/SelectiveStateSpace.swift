import ModelGraph

/// Mamba: a state space model of one channel a head, whose step, input and output maps depend on the token.
///
/// Source: Gu and Dao 2023, sections 3.2 and 3.4.
public struct SelectiveStateSpace: Hashable, Sendable {
    public let taps: Int
    /// Channels.
    public let inner: Int
    /// State elements of each channel.
    public let stateSize: Int
    /// Width from which the time steps are made.
    public let timeStepRank: Int

    /// Whether time steps, B and C are normed before use.
    public enum InnerNorms: Hashable, Sendable { case none, unweighted, weighted }

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws {
        taps = try h.integer("ssm.conv_kernel", 2...64, fuzz: Domains.taps, "taps of the convolution")
        inner = try h.integer(
            "ssm.inner_size", 1...(1 << 20), fuzz: [2 * dimensions.embedding], "channels of the state space model")
        stateSize = try h.integer(
            "ssm.state_size", 1...4096, fuzz: [16, 1, 2, 3, 8, 17, 32, 64], "state elements of each channel")
        timeStepRank = try h.integer(
            "ssm.time_step_rank", 1...65536, fuzz: [4, 1, 2, 3, 8, 33], "width from which the time steps are made")
    }

    /// `[T, D] → [T, D]`
    public func mix(_ block: Scope, _ x: Value, _ normalization: Normalization, innerNorms: InnerNorms) -> Value {
        let g = block.g
        let tokens = x.shape[0]
        let both = block.linear("ssm_in", x, 2 * inner, bias: .rare)
        let channels = block.convolution("ssm_conv1d", both.columns(0, inner), taps: taps, bias: .usual)(.silu)

        func normed(_ name: String, _ value: Value) -> Value {
            switch innerNorms {
            case .none: value
            // `mixer_rms_eps` of FalconMamba, which files do not say.
            case .unweighted: value.norm(.rms, 1e-6)
            case .weighted: block.norm(name, value, normalization)
            }
        }
        let selection = block.linear("ssm_x", channels, timeStepRank + 2 * stateSize)
        let step = block.linear("ssm_dt", normed("ssm_dt_norm", selection.columns(0, timeStepRank)), inner)
            + block.weight("ssm_dt.bias", [inner], .timeStepBias)
        let b = normed("ssm_b_norm", selection.columns(timeStepRank, stateSize))
        let c = normed("ssm_c_norm", selection.columns(timeStepRank + stateSize, stateSize))

        let scanned = g.apply(
            .selectiveScan(block.state("ssm_state", .recurrent, row: [inner, 1, stateSize])),
            channels.reshaped([tokens, inner, 1]), step, block.weight("ssm_a", [inner, stateSize], .decay),
            b.reshaped([tokens, 1, stateSize]), c.reshaped([tokens, 1, stateSize]), g.slots)
        let y = scanned.reshaped([tokens, inner]) + channels * block.weight("ssm_d", [inner], .scale)
        return block.linear("ssm_out", g.apply(.gated(.swiglu), both.columns(inner, inner), y), x.shape[1], bias: .rare)
    }
}
