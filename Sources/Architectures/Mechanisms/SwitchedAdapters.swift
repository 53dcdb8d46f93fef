import ModelGraph

/// Low-rank adapters of linear maps, one of which each token uses: that of the control token before it.
///
/// A head of attention whose keys tell control tokens from all others averages the numbers of the adapters that these
/// stand for; the nearest whole number is the token's adapter. Number 0 stands for no adapter, and files hold zeros for
/// it. Sources: Hu et al. 2021 (LoRA); `SingleSwitch` of IBM's granite-switch, which each control token's embedding is
/// also another's in.
public struct SwitchedAdapters: Hashable, Sendable {
    /// Adapters, without number 0.
    public let count: Int
    public let rank: Int
    /// Half of what separates the scores of control tokens from those of others.
    public let gain: Double
    /// The control token of each adapter, and the token whose embedding it has.
    let control, substitutes: [Int]

    public init(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws {
        let tokens = 0...(dimensions.vocabulary - 1)
        let count = try h.integer("adapters.count", 1...4096, fuzz: [2, 1, 3, 4, 8], "low-rank adapters")
        self.count = count
        rank = try h.integer("adapters.lora_rank", 1...4096, fuzz: [8, 1, 16, 32, 3, 33], "inner width of an adapter")
        gain = try h.real(
            "adapters.router_gain", 0...1e4, fuzz: [15, 20, 100], default: 15,
            "half of what separates the scores of control tokens from others")
        func spread(_ first: Int, _ step: Int) -> [Int] {
            (0..<count).map { (first + step * $0) % dimensions.vocabulary }
        }
        control = try h.integers(
            "adapters.token_ids_activate", tokens, layouts: [spread(1, 1), spread(dimensions.vocabulary / 2, 3)],
            layers: count,
            "the control token of each adapter")
        substitutes = try h.integers(
            "adapters.token_ids_substitute", tokens, layouts: [spread(0, 0), spread(5, 7), control], layers: count,
            "the token whose embedding each control token has")
        try h.require(
            Set(control).count == count, "adapters.token_ids_activate",
            because: "one token stands for several adapters")
    }

    /// `[T]`: the tokens whose embeddings the model sees.
    func embedded(
        _ tokens: Value
    ) -> Value { tokens.builder.apply(.replace(IndexTable(control, to: substitutes)), tokens) }

    /// `[T, 1]`: the adapter that each token uses. Halves may go either way.
    func chosen(_ g: GraphBuilder) -> Value {
        let tokens = g.batch.tokens
        let numbers = (0...count).map(Double.init)
        let own = g.apply(.replace(IndexTable(control, to: Array(1...count), others: 0)), g.tokens)
        func looked(_ table: [Double]) -> Value {
            g.applyShared(.constant(table)).reshaped([count + 1, 1]).rows(own).reshaped([tokens, 1, 1])
        }
        let queries = g.applyShared(.constant([1])).reshaped([1, 1, 1]).broadcast([tokens, 1, 1])
        let mean = g.model.cachedAttention(
            queries, looked(numbers.map { $0 == 0 ? -gain : gain }), looked(numbers), scale: 1)
        let distance = mean.broadcast([tokens, count + 1]) - g.applyShared(.constant(numbers))
        return g.apply(.topExperts(Routing(used: 1)), -(distance * distance))
    }

    /// What the chosen adapters of a linear map add to it: `[T, K] → [T, N]`.
    func added(_ block: Scope, _ name: String, _ x: Value, _ outputs: Int, _ chosen: Value) -> Value {
        let (tokens, inputs) = (x.shape[0], x.shape[1])
        let down = block.weight("\(name).lora_a", [count + 1, rank, inputs], .projection)
        let up = block.weight("\(name).lora_b", [count + 1, outputs, rank], .projection)
        let inner = block.g.apply(.expertMatmul, x.reshaped([tokens, 1, inputs]), down, chosen)
        return block.g.apply(.expertMatmul, inner, up, chosen).reshaped([tokens, outputs])
    }

    /// A linear map with them.
    func linear(_ block: Scope, _ name: String, _ x: Value, _ outputs: Int, _ chosen: Value) -> Value {
        block.linear(name, x, outputs) + added(block, name, x, outputs, chosen)
    }
}
