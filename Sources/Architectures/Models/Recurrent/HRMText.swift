import ModelGraph

/// HRM-Text: two stacks of blocks, a low one run several times for each run of the high one, over and over; each run
/// has caches of its own. Norms have no weights. Sources: Wang et al. 2025 (Hierarchical Reasoning Model);
/// `HrmTextForCausalLM` of transformers.
public struct HRMText: Architecture {
    public static let name = "hrm_text"

    /// Of which the layers are the caches: runs of blocks.
    public let dimensions: Dimensions
    public let traits: Traits
    let normalization: Normalization
    let attention: GroupedQueryAttention
    let rotary: RotaryEmbedding
    let feedForward: Int
    let embeddingScale: Double
    /// Blocks of a stack.
    let stackSize: Int
    let highCycles: Int
    /// Runs of the low stack for each of the high one.
    let lowCycles: Int

    public init(_ h: inout some Hyperparameters) throws {
        dimensions = try Dimensions(&h, layers: [2, 4, 3, 6, 8])
        traits = try Traits(decoder: &h)
        normalization = try Normalization(&h, .rms)
        attention = try GroupedQueryAttention(&h, dimensions, grouping: .rarely)
        rotary = try RotaryEmbedding(&h, dimensions, headSize: attention.keySize, pairing: .neox)
        feedForward = try h.feedForwardLength()
        embeddingScale = try h.real(
            "embedding_scale", 0...1e6, fuzz: [1, 50, 0.5, 0], default: 0, "multiplies embeddings; 0: nothing")
        /// The divisors that leave two runs at least, one of either stack.
        func divisors(of runs: Int) -> [Int] { Domains.divisors(of: runs, among: Array(1...max(1, runs / 2))) }
        let runs = dimensions.layers
        stackSize = try h.integer("hrm.layers_per_stack", 1...512, fuzz: divisors(of: runs), "blocks of a stack")
        highCycles = try h.integer(
            "hrm.h_cycles", 1...512, fuzz: divisors(of: runs / stackSize), "runs of the high stack")
        lowCycles = try h.integer(
            "hrm.l_cycles", 1...512, fuzz: [max(1, runs / stackSize / highCycles - 1)],
            "runs of the low stack for each of the high one")
        try h.require(
            runs == stackSize * highCycles * (lowCycles + 1), "block_count", "hrm.layers_per_stack", "hrm.h_cycles",
            "hrm.l_cycles",
            because: "\(highCycles) times \(lowCycles) runs of the low stack and one of the high one "
                + "are not \(runs) runs of \(stackSize) blocks")
        try h.note("hrm.prefix_lm", "whether tokens of a prompt, where they are marked, see each other")
    }

    public func build(_ g: GraphBuilder) {
        var slot = 0
        /// A stack, of which the tensors begin at block `first`.
        func run(_ first: Int, _ x: Value) -> Value {
            var x = x
            for index in first..<first + stackSize {
                x = transform(g.block(index), caches: g.block(slot), slot, x)
                slot += 1
            }
            // Of the stack, and of none of its blocks.
            g.layer = nil
            return unweighted(x)
        }
        var high = g.tokenEmbedding(dimensions)
        if embeddingScale != 0 { high = high * embeddingScale }
        var low: Value?
        for _ in 0..<highCycles {
            for _ in 0..<lowCycles {
                low = run(0, high + (low ?? g.model.weight("hrm.z_l_init", [dimensions.embedding], .bias)))
            }
            if let low { high = run(stackSize, high + low) }
        }
        g.logits(high, dimensions, nil)
    }

    private func unweighted(_ x: Value) -> Value { x.norm(normalization.kind, normalization.epsilon) }

    private func transform(_ block: Scope, caches: Scope, _ slot: Int, _ x: Value) -> Value {
        let normed = unweighted(x)
        let (q, k, v) = attention.project(block, slot, normed)
        let mixed = caches.cachedAttention(
            q, k, v, scale: attention.scale, mask: traits.mask, rope: rotary.rope())
        let gate = block.linear("attn_gate", normed, mixed.shape[1])(.sigmoid)
        let x = x + block.linear("attn_output", mixed * gate, dimensions.embedding)
        return x + block.feedForward(unweighted(x), size: feedForward, .gated(.swiglu))
    }
}
