import ModelGraph

/// What RWKV-6's time mixing and that of its descendants share: inputs blended with the token before by shares that
/// depend on the token, and decays that do.
///
/// Source: Peng et al. 2024 ("Eagle and Finch"), section 4.
public struct DynamicTimeMixing: Hashable, Sendable {
    public let headSize: Int
    /// Inner widths of the low-rank maps to shares and to decays.
    let blendRank: Int
    let decayRank: Int

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws {
        headSize = try h.headSize(dividing: dimensions)
        let ranks = [16, 1, 3, 8, 32, 33]
        blendRank = try h.integer("time_mix_extra_dim", 1...65536, fuzz: ranks, "inner width of the maps to blends")
        decayRank = try h.integer("time_decay_extra_dim", 1...65536, fuzz: ranks, "inner width of the map to decays")
    }

    /// What the projections see, `[T, D]` each.
    struct Inputs { let decay, key, value, receptance, gate: Value }

    /// - Parameter mayBeApart: whether the five vectors of shares may be tensors of their own.
    func inputs(_ block: Scope, _ x: Value, mayBeApart: Bool) -> Inputs {
        let (tokens, width) = (x.shape[0], x.shape[1])
        let delta = block.tokenShift(x, "time_mix_previous")
        let blended = x + delta * block.weight("time_mix_lerp_x.weight", [width], .blend)
        let inner = block.linear("time_mix_w1", blended, 5 * blendRank)(.tanh).reshaped([tokens, 5, blendRank])
        let dynamic = block.g.apply(
            .headMatmul, inner, block.weight("time_mix_w2.weight", [5, width, blendRank], .projection))

        let fusedShape: Shape = [5, 1, 1, width]
        let fused = mayBeApart
            ? block.optionalWeight("time_mix_lerp_fused.weight", fusedShape, .blend, presence: .most)
            : block.weight("time_mix_lerp_fused.weight", fusedShape, .blend)
        let apart = { ["w", "k", "v", "r", "g"].map { block.weight("time_mix_lerp_\($0).weight", [width], .blend) } }
        let fixed = fused.map { all in (0..<5).map { all.reshaped([5, width]).slice(0, $0, 1) } } ?? apart()
        let all = (0..<5).map { index in
            x + delta * (dynamic.slice(1, index, 1).reshaped([tokens, width]) + fixed[index])
        }
        return Inputs(decay: all[0], key: all[1], value: all[2], receptance: all[3], gate: all[4])
    }

    /// `[T, H, S]`: the logarithm of what each channel keeps.
    func decay(_ block: Scope, _ x: Value) -> Value {
        let width = x.shape[1]
        let lowRank = block.linear(
            "time_mix_decay_w2", block.linear("time_mix_decay_w1", x, decayRank)(.tanh), width)
        // Authors begin with −6 … −1.
        let decay = lowRank + block.weight("time_mix_decay.weight", [width], .timeStepBias)
        return -headed(decay(.exp))
    }

    func headed(_ x: Value) -> Value { x.reshaped([x.shape[0], x.shape[1] / headSize, headSize]) }

    func memory(_ block: Scope, heads: Int) -> StateID {
        block.state("wkv_state", .recurrent, row: [heads, headSize, headSize])
    }
}
