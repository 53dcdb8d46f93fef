import ModelGraph

/// The feed-forward networks of a model whose first blocks are dense and whose others have experts, beside shared ones.
///
/// Source: Dai et al. 2024 (DeepSeekMoE), section 4.1.
public struct DenseThenExperts: Hashable, Sendable {
    /// Dense blocks before those with experts.
    public let leadingDense: Int
    /// Of the blocks after them, every so many one has experts.
    public let step: Int
    /// Hidden units of a dense block.
    public let feedForward: Int
    public let experts: Experts
    public let shared: SharedExperts

    /// - Parameters:
    ///   - isInterleaved: whether a key says every how many blocks one has experts; else all have.
    ///   - isCountRequired: whether the metadata must say how many blocks are dense.
    ///   - isMostlySparse: whether few models have leading dense blocks.
    ///   - alwaysHasDense: whether the model has dense blocks all the same, such as those that predict further tokens.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, _ options: Experts.Options,
        shared: SharedExperts.Keys,
        isInterleaved: Bool = false, isCountRequired: Bool = false, isMostlySparse: Bool = false,
        alwaysHasDense: Bool = false
    ) throws {
        leadingDense = try h.leadingDenseBlocks(dimensions, isRequired: isCountRequired, isRare: isMostlySparse)
        step = isInterleaved
            ? try h.integer(
                "interleave_moe_layer_step", 1...512, fuzz: [1, 2, 3], "every so many blocks, one has experts")
            : 1
        let hasDense = leadingDense > 0 || step > 1 || alwaysHasDense
        if !hasDense { try h.note("feed_forward_length", "no block is dense") }
        feedForward = hasDense ? try h.feedForwardLength("hidden units of a dense block") : 0
        experts = try Experts(&h, dimensions, options, feedForward: feedForward)
        self.shared = try SharedExperts(&h, beside: experts, shared)
    }

    public func hasExperts(_ layer: Int) -> Bool { layer >= leadingDense && (layer + 1) % step == 0 }

    /// `[T, D] → [T, D]`
    /// - Parameter bias: of the dense blocks' linear maps, and of the shared experts'.
    public func feed(
        _ block: Scope, _ layer: Int, _ x: Value, _ tensors: Scope.ExpertTensors, bias: Scope.Bias = .none
    ) -> Value {
        guard hasExperts(layer) else { return block.feedForward(x, size: feedForward, tensors.activation, bias: bias) }
        let routed = block.mixture(x, experts, tensors)
        return shared.size == 0 ? routed : routed + block.sharedExperts(x, shared, tensors.activation, bias: bias)
    }
}
