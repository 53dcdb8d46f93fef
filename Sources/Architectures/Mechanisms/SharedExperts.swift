import ModelGraph

/// Experts that every token uses, beside those that a router gives it: together one feed-forward network.
///
/// Source: Dai et al. 2024 (DeepSeekMoE), section 3.2.
public struct SharedExperts: Hashable, Sendable {
    /// Hidden units of all of them; 0: there are none.
    public let size: Int
    /// Whether a sigmoid of the input weighs what they give.
    public let isGated: Bool

    /// Which keys say how large they are.
    public enum Keys {
        /// `expert_shared_count`, each of the size of the other experts.
        case count
        /// The same, and `expert_shared_feed_forward_length` where they are of another; what an absent count means,
        /// none only where that is possible.
        case countAndSize(default: Int)
        /// `expert_shared_feed_forward_length`; what an absent one means.
        case size(default: Int)
    }

    public init(
        _ h: inout some Hyperparameters, beside experts: Experts, _ keys: Keys, isGated: Bool = false
    ) throws {
        self.isGated = isGated
        let (countKey, aboutCount) = ("expert_shared_count", "experts that every token uses")
        let (sizeKey, aboutSize) =
            ("expert_shared_feed_forward_length", "hidden units of the experts that every token uses")
        let sizes = Domains.feedForward
        switch keys {
        case .count:
            size = try h.integer(countKey, 1...4096, fuzz: [1, 2, 3], aboutCount) * experts.size
        case .countAndSize(let absent):
            let least = min(absent, 1)
            let count = try h.integer(
                countKey, least...4096, fuzz: [1, 2, 3, 0].filter { $0 >= least }, default: absent, aboutCount)
            let whole = count * experts.size
            size = whole == 0 ? 0 : try h.integer(sizeKey, 1...(1 << 20), fuzz: sizes, default: whole, aboutSize)
            if whole == 0 { try h.note(sizeKey, "there are no experts that every token uses") }
        case .size(let absent):
            size = absent == 0
                ? try h.integer(
                    sizeKey, 0...(1 << 20), fuzz: sizes + [0], default: 0, "\(aboutSize); 0: there are none")
                : try h.integer(sizeKey, 1...(1 << 20), fuzz: sizes, default: absent, aboutSize)
            try h.note(countKey, aboutCount)
        }
    }
}

extension Scope {
    /// `[T, D] → [T, D]`: what the shared experts give, of which there are some.
    public func sharedExperts(
        _ x: Value, _ shared: SharedExperts, _ activation: Activation = .gated(.swiglu), bias: Bias = .none
    ) -> Value {
        let y = feedForward(x, size: shared.size, activation, bias: bias, suffix: "_shexp")
        guard shared.isGated else { return y }
        let width = x.shape.last
        let gate = x.matmul(weight("ffn_gate_inp_shexp.weight", [width], .projection).reshaped([1, width]))
        return y * gate(.sigmoid)
    }

    /// The mixture, and the shared experts where there are any: `[T, D] → [T, D]`.
    public func mixture(
        _ x: Value, _ experts: Experts, _ tensors: ExpertTensors, beside shared: SharedExperts
    ) -> Value {
        let routed = mixture(x, experts, tensors)
        return shared.size == 0 ? routed : routed + sharedExperts(x, shared, tensors.activation)
    }
}
