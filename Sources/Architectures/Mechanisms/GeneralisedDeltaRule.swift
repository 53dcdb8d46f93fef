import ModelGraph

/// Time mixing of RWKV-7: a delta rule whose decays, rates of learning and removal keys are vectors of each token.
///
/// Source: Peng et al. 2025 ("Goose"), section 4.
public struct GeneralisedDeltaRule: Hashable, Sendable {
    public let headSize: Int
    /// Inner widths of the low-rank maps; a gate of 0: there is none.
    let decayRank: Int
    let rateRank: Int
    let valueRank: Int
    let gateRank: Int

    /// - Parameter mayLackGate: whether the metadata says if there is a gate.
    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions, mayLackGate: Bool = false) throws {
        headSize = try h.headSize(dividing: dimensions)
        let sizes = [16, 1, 3, 8, 32, 33]
        func key(_ name: String) -> String { "attention.\(name)_lora_rank" }
        func rank(_ name: String, _ about: String) throws -> Int {
            try h.integer(key(name), 1...65536, fuzz: sizes, "inner width of the map to \(about)")
        }
        decayRank = try rank("decay", "decays")
        rateRank = try rank("iclr", "in-context learning rates")
        valueRank = try rank("value_residual_mix", "shares of the first layer's values")
        let aboutGate = "inner width of the map to gates"
        gateRank = mayLackGate
            ? try h.integer(key("gate"), 0...65536, fuzz: sizes + [0], default: 0, aboutGate + "; 0: no gates")
            : try h.integer(key("gate"), 1...65536, fuzz: sizes, aboutGate)
    }

    /// `[T, D] → [T, D]`
    /// - Parameters:
    ///   - firstValues: of the first layer, which sets them.
    ///   - mayLackHeadNorm: whether the norm of the heads may be missing.
    public func mix(_ block: Scope, _ x: Value, _ firstValues: inout Value?, mayLackHeadNorm: Bool = false) -> Value {
        let (tokens, width) = (x.shape[0], x.shape[1])
        let headed: Shape = [tokens, width / headSize, headSize]
        func vector(_ name: String, _ role: Weight.Role) -> Value {
            block.weight("time_mix_\(name).weight", [width], role)
        }
        func lowRank(_ name: String, _ x: Value, _ rank: Int, _ inner: (Value) -> Value = { $0 }) -> Value {
            block.linear("time_mix_\(name)2", inner(block.linear("time_mix_\(name)1", x, rank)), width)
        }

        let delta = block.tokenShift(x, "time_mix_previous")
        let count = gateRank > 0 ? 6 : 5
        let blends = block.weight("time_mix_lerp_fused.weight", [count, 1, 1, width], .blend).reshaped([count, width])
        let inputs = (0..<count).map { x + delta * blends.slice(0, $0, 1) }

        let r = block.linear("time_mix_receptance", inputs[0], width)
        let w =
            ((lowRank("w", inputs[1], decayRank) { $0(.tanh) } + vector("w0", .bias))(.sigmoid) * Self.decayScale)(.exp)
        let key = block.linear("time_mix_key", inputs[2], width)
        var v = block.linear("time_mix_value", inputs[3], width)
        // The first layer has these tensors too, of another rank, and does not use them.
        let residual = lowRank("v", inputs[3], firstValues == nil ? rateRank : valueRank) + vector("v0", .bias)
        if let first = firstValues { v = v + (first - v) * residual(.sigmoid) } else { firstValues = v }
        let rate = (lowRank("a", inputs[4], rateRank) + vector("a0", .bias))(.sigmoid)
        let gate = gateRank > 0 ? lowRank("g", inputs[5], gateRank) { $0(.sigmoid) } : nil

        let removed = (key * vector("k_k", .scale)).reshaped(headed).norm(.unit, Self.keyEpsilon)
        let scaled = key * vector("k_a", .scale)
        let k = key + (rate * scaled - scaled)
        let (rh, kh, vh) = (r.reshaped(headed), k.reshaped(headed), v.reshaped(headed))
        let memory = block.state("wkv_state", .recurrent, row: [width / headSize, headSize, headSize])
        let recalled = block.g.apply(
            .wkv7(memory), rh, w.reshaped(headed), kh, vh, -removed, removed * rate.reshaped(headed), block.g.slots)

        let hasNorm = !mayLackHeadNorm || block.optionalWeight("time_mix_ln.weight", [width], .scale) != nil
        let normed = hasNorm ? block.headNorm("time_mix_ln", recalled) : recalled.reshaped([tokens, width])
        let bonus = vh * (kh * rh * vector("r_k", .scale).reshaped([width / headSize, headSize])).sum(2)
        let y = normed + bonus.reshaped([tokens, width])
        return block.linear("time_mix_output", gate.map { y * $0 } ?? y, width)
    }

    /// `−1/√e`, in the digits that the authors' code has.
    private static let decayScale = -0.606531
    /// Least length of a removal key.
    private static let keyEpsilon = 1e-12
}

extension Scope {
    /// The norm of what each head of RWKV recalls, then one scale and shift of all: `[T, H, S] → [T, H · S]`.
    func headNorm(_ name: String, _ heads: Value) -> Value {
        let width = heads.shape[1] * heads.shape[2]
        // 1e-5 times 64, the head size of released models.
        return heads.norm(.layer, 64e-5).reshaped([heads.shape[0], width])
            * weight("\(name).weight", [width], .scale) + weight("\(name).bias", [width], .bias)
    }
}
