import ModelGraph

extension Scope {
    /// The difference of each token's input to that of the token before it: `[T, D] → [T, D]`.
    ///
    /// Source: Peng et al. 2023 (RWKV), section 3.
    /// - Parameter name: of the state that holds the last input.
    public func tokenShift(_ x: Value, _ name: String) -> Value {
        g.apply(.tokenShift(state(name, .recurrent, row: [x.shape.last])), x, g.slots) - x
    }
}

extension Dimensions {
    /// Those of a model of RWKV's kind, whose heads divide its width.
    init(ofHeadedWidth h: inout some Hyperparameters) throws {
        try self.init(&h, embeddings: [64, 32, 96, 128, 192, 33, 40, 63, 65, 120])
    }
}

extension Hyperparameters {
    /// `wkv.head_size`, which divides the model's width. RWKV's files say of the attention that it has no heads.
    mutating func headSize(dividing dimensions: Dimensions) throws -> Int {
        try note("attention.head_count", "no attention, no heads")
        let width = dimensions.embedding
        let size = try integer(
            "wkv.head_size", 1...4096, fuzz: Domains.divisors(of: width, among: [64, 32, 16, 8, 33, 40, 63, 65, 128]),
            "size of a head")
        try require(
            width % size == 0, "embedding_length", "wkv.head_size",
            because: "a width of \(width) does not divide among heads of \(size)")
        return size
    }
}
