import Architectures
import Devices
import ModelGraph

extension Session {
    /// Processes tokens, in micro-batches, and gives the outputs that they want.
    ///
    /// In each sequence, positions must ascend and go on from the last one; with recurrent state without
    /// a gap. A model whose tokens see each other, or are pooled, keeps nothing of earlier batches. A token may belong
    /// to several sequences, but not with recurrent state.
    /// - Throws: `SessionError` if the batch breaks these rules or does not fit, with nothing changed;
    ///   `DeviceError` if a device fails.
    @discardableResult
    public func process(_ batch: Batch) throws -> Output {
        var output = Output()
        try process(batch, inPieces: false) { output.append($0) }
        return output
    }

    /// The same, but outputs are handed over as soon as they are there, and large ones in pieces: some of the rows, or
    /// all columns of some rows bit by bit, the first columns first.
    /// - Throws: as `process`, perhaps after some pieces.
    public func process(_ batch: Batch, take: (Output) -> Void) throws {
        try process(batch, inPieces: true, take: take)
    }

    private func process(_ batch: Batch, inPieces: Bool, take: (Output) -> Void) throws {
        try check(batch)
        // What keeps nothing between batches begins anew with each.
        if isOfWholeBatches { try forget() }
        if traits.hasEncoder, encoded == nil {
            throw SessionError("the decoder needs the encoder's output: encode first")
        }
        if !traits.isBidirectional { try checkPositions(batch) }
        if isOfWholeBatches {
            guard batch.tokens.count <= options.microBatch else {
                let reason = traits.isBidirectional
                    ? "see each other" : traits.decides ? "are one prompt" : "are pooled"
                throw SessionError(
                    "\(batch.tokens.count) tokens that \(reason) in micro-batches of \(options.microBatch)")
            }
        }
        if hasCells, cells.freeCount < batch.tokens.count {
            throw SessionError("\(batch.tokens.count) tokens do not fit in \(cells.freeCount) free cells of \(context)")
        }

        for part in batch.tokens.parts(of: options.microBatch) {
            try processMicroBatch(batch.tokens[part], inPieces, take)
        }
    }

    /// Runs the encoder; its output is what the decoder's cross-attention reads from then on.
    /// A model that only has an encoder is processed.
    /// - Returns: the encoder's output, a row a token.
    @discardableResult
    public func encode(_ batch: Batch) throws -> Output {
        guard traits.hasEncoder else {
            if traits.isBidirectional { return try process(batch) }
            throw SessionError("\(type(of: model.architecture).name) has no encoder")
        }
        try check(batch)
        guard batch.tokens.count <= options.microBatch else {
            throw SessionError(
                "\(batch.tokens.count) tokens that see each other in micro-batches of \(options.microBatch)")
        }
        let count = batch.tokens.count
        let plan = try plan(for: encoderShape(of: batch))
        let results = try plan.run(Self.encoderInputs(of: batch), wanted: wanted(of: plan.graph))
        guard let (shape, elements) = results[.embeddings] else {
            throw SessionError("the encoder's graph has no embeddings")
        }
        encoded = EncoderOutput(sequences: batch.tokens.map(\.sequences), width: shape.last, elements: elements)
        return Output(
            embeddings: .init(keys: Array(0..<count), width: shape.last, elements: elements),
            blocks: Self.blocks(results, of: Array(0..<count)))
    }

    func encoderShape(of batch: Batch) -> BatchShape {
        let count = batch.tokens.count
        return BatchShape(stage: .encode, tokens: count, outputs: count, cells: 0, context: context)
    }

    static func encoderInputs(of batch: Batch) -> [Input: HostTensor] {
        var inputs = inputs(batch.tokens[...])
        inputs[.outputs] = .index(batch.tokens.indices.map(Int32.init))
        return inputs
    }

    // MARK: One micro-batch

    private func processMicroBatch(
        _ tokens: ArraySlice<Batch.Token>, _ inPieces: Bool, _ take: (Output) -> Void
    ) throws {
        let before = cells
        var inputs = Self.inputs(tokens)
        if hasCells {
            guard let taken = cells.take(tokens) else { throw SessionError("no free cells") }
            inputs[.cells] = .index(taken.map { Int32($0) })
        }
        do {
            try run(tokens, inputs, inPieces, take)
            if isRecurrent {
                for token in tokens {
                    guard let sequence = token.sequences.first else { continue }
                    seen[sequence] = (seen[sequence]?.lowerBound ?? token.position) ... token.position
                }
            }
        } catch {
            cells = before
            throw error
        }
    }

    private func run(
        _ tokens: ArraySlice<Batch.Token>, _ common: [Input: HostTensor], _ inPieces: Bool, _ take: (Output) -> Void
    ) throws {
        let layout = try layout(of: tokens)
        let (rows, pooled, questions, isWanted) = (layout.rows, layout.pool, layout.questions, layout.isWanted)
        let isOfTokens = pooled == nil && questions == nil
        let plan = try plan(for: layout.shape)
        let inputs = inputs(of: tokens, layout, for: plan.graph, common)

        let wanted = wanted(of: plan.graph)
        if inPieces, isWanted, isOfTokens, wanted.count == 1, let name = wanted.first,
            let output = plan.graph.outputs[name]
        {
            let whole = plan.graph.values[output].shape
            guard whole.rows == rows.count else {
                throw SessionError("\(whole) \(name.name) for \(rows.count) rows")
            }
            try plan.run(inputs, output: output) { firstColumn, elements in
                let piece = Output.Rows(
                    keys: rows, width: elements.count / rows.count, elements: elements, firstColumn: firstColumn,
                    wholeWidth: whole.last)
                take(name == .logits ? Output(logits: piece) : Output(embeddings: piece))
            }
            return
        }

        let results = try plan.run(inputs, wanted: wanted)
        guard isWanted else { return }
        func found(_ name: Graph.Output, _ keys: [Int]) throws -> Output.Rows? {
            guard let (shape, elements) = results[name] else { return nil }
            guard shape.rows == keys.count else {
                throw SessionError("\(shape) \(name.name) for \(keys.count) rows")
            }
            return Output.Rows(keys: keys, width: shape.last, elements: elements)
        }
        let keys = questions.map { Array($0.options.indices) } ?? pooled?.sequences ?? rows
        take(
            Output(
                logits: try found(.logits, rows), embeddings: try found(.embeddings, keys),
                blocks: Self.blocks(results, of: Array(tokens.indices))))
    }

    /// What a graph of some tokens gives rows of.
    struct Layout {
        var shape: BatchShape
        /// The tokens whose output is computed.
        var rows: [Int]
        var pool: Pool?
        var questions: Questions?
        /// Whether any of it is wanted.
        var isWanted: Bool
    }

    /// - Throws: `SessionError` where the tokens ask for no decision.
    func layout(of tokens: ArraySlice<Batch.Token>) throws -> Layout {
        let pooled = pooling == .none ? nil : Pool(tokens, pooling == .rank ? traits.classifierPooling : pooling)
        let questions = traits.decides ? try Questions(tokens) : nil
        let isOfTokens = pooled == nil && questions == nil
        var rows = isOfTokens ? tokens.indices.filter { tokens[$0].wantsOutput } : Array(tokens.indices)
        let isWanted = !rows.isEmpty
        // A graph has at least one output row: where none is wanted, the last token's is computed for nothing.
        if !isWanted { rows = [tokens.endIndex - 1] }
        let shape = BatchShape(
            tokens: tokens.count, outputs: rows.count, cells: hasCache ? cells.extent() : 0,
            encoderTokens: encoded?.sequences.count ?? 0, context: context, pooledSequences: pooled?.sequences.count,
            isEmbedded: tokens.first?.isEmbedding ?? false, questions: questions?.all.count ?? 1,
            options: questions?.options.count ?? 1)
        return Layout(shape: shape, rows: rows, pool: pooled, questions: questions, isWanted: isWanted)
    }

    /// - Parameter common: those that depend on the tokens alone, and their cells.
    func inputs(
        of tokens: ArraySlice<Batch.Token>, _ layout: Layout, for graph: Graph, _ common: [Input: HostTensor]
    ) -> [Input: HostTensor] {
        var inputs = common
        inputs[.outputs] = .index(layout.rows.map { Int32($0 - tokens.startIndex) })
        inputs[.cellPositions] = .index(Array(cells.positions[..<layout.shape.cells]))
        inputs[.cellSequences] = .index(cells.sequences[..<layout.shape.cells].map(\.index))
        if let id = graph.inputs[.embeddings] {
            let width = graph.values[id].shape.last
            inputs[.embeddings] = .float(tokens.flatMap { $0.embedding(width: width) })
        }
        if let id = graph.inputs[.hidden] {
            let width = graph.values[id].shape.last
            inputs[.hidden] = .float(tokens.flatMap { $0.state(width: width) })
        }
        if let pooled = layout.pool { inputs[.pooling] = .double(pooled.weights) }
        if let questions = layout.questions { inputs.merge(questions.inputs(tokens: tokens.count)) { $1 } }
        if let encoded {
            inputs[.encoderOutput] = encoded.elements
            inputs[.encoderPositions] = .index(encoded.sequences.indices.map { Int32($0) })
            inputs[.encoderSequences] = .index(encoded.sequences.map(\.index))
        }
        return inputs
    }

    /// What each block made of these tokens, the first block first.
    private static func blocks(_ results: [Graph.Output: (Shape, HostTensor)], of tokens: [Int]) -> [Output.Rows] {
        results.compactMap { name, result -> (Int, Output.Rows)? in
            guard case .block(let number) = name else { return nil }
            return (number, Output.Rows(keys: tokens, width: result.0.count / tokens.count, elements: result.1))
        }.sorted { $0.0 < $1.0 }.map(\.1)
    }

    /// The inputs that depend on the tokens alone.
    static func inputs(_ tokens: ArraySlice<Batch.Token>) -> [Input: HostTensor] {
        [
            .tokens: .index(tokens.map { Int32($0.number) }),
            .positions: .index(tokens.map { Int32($0.position) }),
            .sequences: .index(tokens.map(\.sequences.index)),
            .slots: .index(tokens.map { Int32($0.sequences.first ?? 0) }),
        ]
    }

    /// How the rows of each sequence make its embedding.
    struct Pool {
        /// Ascending.
        var sequences: [Int]
        /// `[sequences.count, tokens]`
        var weights: [Double]

        init(_ tokens: ArraySlice<Batch.Token>, _ pooling: Pooling) {
            sequences = tokens.sequences.elements
            weights = []
            for sequence in sequences {
                var row = Array(repeating: 0.0, count: tokens.count)
                let members = tokens.indices.filter { tokens[$0].sequences.contains(sequence) }
                let (first, last) = (
                    members.min { tokens[$0].position < tokens[$1].position },
                    members.max { tokens[$0].position < tokens[$1].position }
                )
                switch pooling {
                case .none: break
                case .mean: for member in members { row[member - tokens.startIndex] = 1 / Double(members.count) }
                case .cls, .rank: if let first { row[first - tokens.startIndex] = 1 }
                case .last: if let last { row[last - tokens.startIndex] = 1 }
                }
                weights += row
            }
        }
    }

    // MARK: What a batch must be

    func check(_ batch: Batch) throws {
        guard !batch.tokens.isEmpty else { throw SessionError("a batch of no tokens") }
        if traits.decides { _ = try Questions(batch.tokens) }
        let vocabulary = model.architecture.dimensions.vocabulary
        for (index, token) in batch.tokens.enumerated() {
            guard traits.takes(token.id, wholeBatches: isOfWholeBatches, vocabulary: vocabulary) else {
                throw SessionError(
                    token.isEmbedding
                        ? "token \(index) is embedding \(token.number), which the model does not take"
                        : "token \(index) is \(token.id), outside the vocabulary of \(vocabulary)")
            }
            if traits.isContext(token.id) {
                guard !token.wantsOutput else { throw SessionError("token \(index) is context, which has no output") }
                guard !isOfWholeBatches || index == 0 || traits.isContext(batch.tokens[index - 1].id) else {
                    throw SessionError("token \(index) is context for tokens that come before it")
                }
            }
            guard traits.decides || token.order == .none else {
                throw SessionError("token \(index) is part of a question, on which the model does not decide")
            }
            guard (0...Int(Int32.max)).contains(token.position) else {
                throw SessionError("token \(index) has position \(token.position)")
            }
            if let positionLimit, token.position >= positionLimit {
                throw SessionError(
                    "token \(index) has position \(token.position); the model has learned \(positionLimit)")
            }
            guard !token.sequences.isEmpty, token.sequences.last ?? 0 < options.sequences else {
                throw SessionError("token \(index) is in sequences \(token.sequences); there are \(options.sequences)")
            }
            guard !isRecurrent || token.sequences.count == 1 else {
                throw SessionError(
                    "token \(index) is in sequences \(token.sequences), but recurrent state is of one sequence")
            }
        }
    }

    func checkPositions(_ batch: Batch) throws {
        var last = (0..<options.sequences).map { positions(of: $0)?.upperBound }
        for (index, token) in batch.tokens.enumerated() {
            for sequence in token.sequences.elements {
                if let previous = last[sequence] {
                    guard token.position > previous else {
                        throw SessionError(
                            "token \(index) has position \(token.position) in sequence \(sequence), "
                                + "which is at \(previous)")
                    }
                    guard !isRecurrent || token.position == previous + 1 else {
                        throw SessionError(
                            "token \(index) has position \(token.position) in sequence \(sequence), "
                                + "whose recurrent state is at \(previous)")
                    }
                }
                last[sequence] = token.position
            }
        }
    }
}
