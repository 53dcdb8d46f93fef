import ModelGraph

/// A small transformer that scores the options of questions by what the model made of their texts.
///
/// Options look at the whole prompt, each by itself; then questions look at each other and at the prompt, each
/// beginning with its text, a summary of its options, and the end of the prompt. Source: Cloudflare 2026 (Clef),
/// `JointSchemaHead`.
struct DecisionHead: Sendable {
    let normalization: Normalization
    /// Blocks of the options, and of the questions.
    let routingBlocks: Int
    let jointBlocks: Int
    let heads: Int
    /// The least length that vectors are divided by, as PyTorch's `normalize` and `cosine_similarity` have it.
    private static let (leastLength, leastLengthOfCosine) = (1e-12, 1e-8)

    init(_ h: inout some Hyperparameters) throws {
        normalization = try Normalization(&h, .layer, bias: .required)
        _ = try h.text("decision.type", among: ["clef"], default: "clef", "what decides")
        let keys = ("decision.routing_block_count", "decision.block_count")
        routingBlocks = try h.integer(keys.0, 0...512, fuzz: [1, 2, 0], "blocks in which options look at the prompt")
        jointBlocks = try h.integer(
            keys.1, 0...512, fuzz: routingBlocks == 0 ? [1, 2] : [1, 2, 0],
            "blocks in which questions look at each other")
        try h.require(routingBlocks + jointBlocks > 0, keys.0, keys.1, because: "the head has no block")
        heads = try h.integer("decision.head_count", 1...4096, fuzz: [2, 1, 4, 3], "attention heads of its blocks")
    }

    /// `[O, 1]`: the score of each option.
    /// - Parameters:
    ///   - states: `[T, D]`, what the model made of each token.
    ///   - words: `[V, D]`, the model's output matrix.
    func scores(_ g: GraphBuilder, _ states: Value, words: Value) -> Value {
        let (model, batch) = (g.model, g.batch)
        let width = width(model)
        guard width.isMultiple(of: heads) else {
            g.fail("decision.head_count", "\(heads) heads do not divide a width of \(width)")
            return states
        }
        func projected(_ name: String, _ x: Value) -> Value { model.linear("decision.proj_\(name)", x, width) }
        func normed(_ name: String, _ x: Value) -> Value { model.norm("decision.\(name)", x, normalization) }

        let tokens = normed("hidden_norm", states)
        let end = tokens.slice(0, batch.tokens - 1, 1)
        let memory = projected("memory", tokens)
        let spans = g.input(.options, [batch.options, batch.tokens])
        let owners = g.input(.optionQuestions, [batch.options])
        let questions = g.apply(.pool, tokens, g.input(.questions, [batch.questions, batch.tokens]))
        let lexical = g.apply(.pool, words.rows(g.tokens), spans)

        var options = projected("option_context", g.apply(.pool, tokens, spans)) + projected("option_lexical", lexical)
            + projected("option_question", questions).rows(owners)
        for number in 0..<routingBlocks {
            let block = Block(g, number, self, width)
            options = options + block.attend(
                "cross_attn", block.norm("cross_attn_norm", options), block.norm("cross_attn_norm_kv", memory))
            options = options + block.feed(options)
        }

        var fields = projected("question", questions)
        let kinds = model.weight("token_types.weight", [3, width], .embedding)
            .rows(g.input(.questionKinds, [batch.questions]))
        fields = fields + normed("option_summary_norm", summaries(of: options, fields)) + projected(
            "global", end) + kinds
        for number in routingBlocks..<routingBlocks + jointBlocks {
            let block = Block(g, number, self, width)
            let own = block.norm("attn_norm", fields)
            fields = fields + block.attend("attn", own, own)
            fields = fields + block.attend("cross_attn", block.norm("cross_attn_norm", fields), memory)
            fields = fields + block.feed(fields)
        }
        options = normed("option_norm", options)
        let field = normed("field_norm", fields).rows(owners)

        func agreement(_ a: Value, _ b: Value) -> Value { (a * b).sum(1) }
        let anchors = (questions + end).norm(.unit, Self.leastLength).rows(owners)
        let prior = agreement(lexical.norm(.unit, Self.leastLength), anchors)
        let cosine = agreement(
            field.norm(.unit, Self.leastLengthOfCosine), options.norm(.unit, Self.leastLengthOfCosine))
        let difference = field - options
        let distance = difference(.relu) + (-difference)(.relu)
        let features = field.joined(options, field * options, distance)
        let hidden = model.linear("decision.scorer", features, width, bias: .required)(.geluErf)
        let residual = model.linear("decision.scorer_out", hidden, 1, bias: .required)
        let scales = model.weight("decision.scales", [3], .scale)
        let joint = cosine * scales.slice(0, 1, 1) + residual
        return prior * scales.slice(0, 0, 1) + joint * scales.slice(0, 2, 1)
    }

    /// `[Q, W]`: the options of each question, weighted by how much they agree with it.
    private func summaries(of options: Value, _ fields: Value) -> Value {
        let g = fields.builder
        let (width, rows) = (options.shape[1], options.reshaped([options.shape[0], 1, options.shape[1]]))
        let own = g.input(.ownOptions, [fields.shape[0], options.shape[0]])
        return g.model.attention(
            fields.reshaped([fields.shape[0], 1, width]), rows, rows, own, scale: 1 / Double(width).squareRoot(),
            valueSize: width)
    }

    /// Of the head, which no key says.
    private func width(_ model: Scope) -> Int {
        model.rows(
            ofRequired: "decision.proj_memory.weight", drawn: [8, 24, 5, 1, 32, 64].map { $0 * heads },
            simplest: 16 * heads, upTo: 1 << 14)
    }
}

extension DecisionHead {
    /// A block of the head, which is none of the model's layers.
    fileprivate struct Block {
        private let scope: Scope
        private let head: DecisionHead
        private let width: Int
        private let hidden: Int

        init(_ g: GraphBuilder, _ number: Int, _ head: DecisionHead, _ width: Int) {
            scope = Scope(g: g, prefix: "dec.blk.\(number).", layer: nil)
            (self.head, self.width) = (head, width)
            // Of all blocks, which no key says either.
            hidden = g.model.rows(
                ofRequired: "dec.blk.0.ffn_up.weight", drawn: [64, 33, 1, 128], simplest: 32, upTo: 1 << 16)
        }

        func norm(_ name: String, _ x: Value) -> Value { scope.norm(name, x, head.normalization) }

        /// `[N, W] → [N, W]`: rows look at all rows of `memory`.
        func attend(_ name: String, _ x: Value, _ memory: Value) -> Value {
            let size = width / head.heads
            func heads(_ part: String, _ rows: Value) -> Value {
                scope.linear("\(name)_\(part)", rows, width, bias: .required)
                    .reshaped([rows.shape[0], head.heads, size])
            }
            let all = scope.g.apply(.constant([0])).reshaped([1, 1]).broadcast([x.shape[0], memory.shape[0]])
            let mixed = scope.attention(
                heads("q", x), heads("k", memory), heads("v", memory), all, scale: 1 / Double(size).squareRoot(),
                valueSize: size)
            return scope.linear("\(name)_o", mixed, width, bias: .required)
        }

        func feed(_ x: Value) -> Value {
            scope.feedForward(norm("ffn_norm", x), size: hidden, .plain(.geluErf), bias: .required)
        }
    }
}
