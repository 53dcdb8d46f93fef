import Architectures
import CSystem
import Devices
import Engines
import Inference

/// What is asked of a model: everything that its results depend on, but for the engine and the device.
struct Evaluation {
    var tokens: [Int]
    /// Of a model with an encoder and a decoder; else empty.
    var encoderTokens: [Int]
    /// The tokens whose results are wanted, ascending; nil: all, or the one row of a model that pools. Of what a draft is
    /// given as context there are none.
    var positions: [Int]?
    var cacheType: StateType
    /// Of engines that have the choice; nil: as they like.
    var flashAttention: Bool?
    /// Cells of the caches.
    var context: Int
    /// Whether the tokens see each other, or are pooled: then they are one batch.
    private var isWhole: Bool
    /// Tokens that are computed together.
    private let microBatch: Int

    /// As many as llama.cpp computes together, but not many more logits than this: of a large vocabulary they would
    /// take more memory than a small model does, and more tokens make little faster.
    private static let microBatches = 16...512, greatestLogits = 8 << 20
    /// Whatever a file says, caches are not larger than this, nor than the model's own context, which is at least 4096.
    private static let greatestContext = 1 << 20

    /// - Parameters:
    ///   - encoderTokens: nil: the same as the decoder's.
    ///   - context: nil: the model's own, 4096 at most.
    /// - Throws: `CommandError` for what the model cannot be asked.
    init(
        _ model: ModelFile, tokens: [Int], encoderTokens: [Int]?, positions: [Int]? = nil, cacheType: StateType,
        flashAttention: Bool?, context: Int?
    ) throws {
        let traits = model.architecture?.traits
        let hasEncoder = traits?.hasEncoder ?? !(encoderTokens ?? []).isEmpty
        guard hasEncoder || (encoderTokens ?? []).isEmpty else {
            throw CommandError("\(model.path): has no encoder for tokens of an encoder")
        }
        let greatest = min(Self.greatestContext, max(4096, model.context ?? 0))
        let context = context ?? max(tokens.count, min(4096, model.context ?? 4096))
        guard (1...greatest).contains(context), tokens.count <= context, (encoderTokens ?? []).count <= greatest else {
            throw CommandError(
                "\(model.path): \(tokens.count) tokens in a context of \(context); "
                    + "it must hold them, and is at most \(greatest)")
        }
        self.tokens = tokens
        self.encoderTokens = hasEncoder ? encoderTokens ?? tokens : []
        let outputs = tokens.indices.filter { traits?.isContext(tokens[$0]) != true }
        self.positions = positions ?? (outputs.count < tokens.count ? outputs : nil)
        self.cacheType = cacheType
        self.flashAttention = flashAttention
        self.context = context
        let vocabulary = positions == nil ? model.architecture?.dimensions.vocabulary ?? 1 : 1
        // Whole tiles of the kernels.
        let fitting = Self.greatestLogits / max(1, vocabulary) / 12 * 12
        microBatch = min(max(fitting, Self.microBatches.lowerBound), Self.microBatches.upperBound)
        isWhole = traits?.isOfWholeBatches ?? false
    }

    /// - Parameter threads: nil: the engine's own choice.
    func script(_ placement: Placement, threads: Int?) -> Script {
        var all = Batch(tokens)
        if let positions {
            let wanted = Set(positions)
            for index in all.tokens.indices { all.tokens[index].wantsOutput = wanted.contains(index) }
        }
        let length = isWhole ? tokens.count : microBatch
        let batches = stride(from: 0, to: tokens.count, by: length).map { start in
            Batch(Array(all.tokens[start..<min(start + length, tokens.count)]))
        }
        var options = Script.Options(
            context: context, microBatch: max(microBatch, encoderTokens.count, isWhole ? tokens.count : 0),
            cacheType: cacheType)
        if let threads { options.settings[.threads] = .number(threads) }
        // As llama.cpp's tools have it by themselves.
        options.settings[.repackedWeights] = .flag(true)
        if let flashAttention { options.settings[.flashAttention] = .flag(flashAttention) }
        return Script(
            placement: placement, options: options,
            steps: (encoderTokens.isEmpty ? [] : [.encode(Batch(encoderTokens))]) + batches.map(Step.process))
    }

    /// Runs the model, and shows that it does.
    /// - Throws: `CommandError` that names the model; `EngineDeath` where the engine did not survive.
    func results(of model: ModelFile, on engine: PlacedEngine) throws -> Results {
        try run(model, on: engine) { script, loaded, willBegin in
            try Results(loaded.run(script, willBegin: willBegin), of: script)
        }
    }

    /// Runs the model, and shows that it does.
    /// - Parameter rows: takes what it gives.
    /// - Returns: ops that ran elsewhere than they were placed, and why.
    /// - Throws: as `results`.
    func write(_ rows: RowFile, of model: ModelFile, on engine: PlacedEngine) throws -> [String] {
        try run(model, on: engine) { script, loaded, willBegin in
            let starts = script.steps.reduce(into: [0]) { starts, step in
                starts.append((starts.last ?? 0) + (step.processed?.tokens.count ?? 0))
            }
            let transcript = try loaded.run(script, willBegin: willBegin) { step, result in
                if script.steps[step].processed != nil { rows.append(result, start: starts[step]) }
            }
            if let failure = transcript.failure { throw CommandError(failure.reason) }
            try rows.finish()
            return transcript.fallbacks
        }
    }

    /// The same, with what only the builtin engine gives.
    /// - Parameters:
    ///   - more: what else than rows is wanted.
    ///   - blocks: takes the residual stream after each block, the encoder's first, and the embeddings beside logits.
    /// - Throws: as `results`.
    func write(
        _ rows: RowFile, _ more: ResultsFile.More, blocks: inout [BlockRows], of model: ModelFile,
        on engine: PlacedEngine
    ) throws -> [String] {
        guard let builtin = engine.engine as? BuiltinEngine else {
            throw CommandError("--layers, --embeddings: only the builtin engine says what its blocks make")
        }
        return try CommandError.naming(model.path) {
            let script = script(engine.placement, threads: engine.threads)
            let session = try builtin.open(
                Model(model.source), placement: engine.placement,
                options: SessionOptions(
                    context: context, microBatch: script.options.microBatch, cacheType: cacheType,
                    wantsEmbeddings: more.contains(.embeddings), wantsBlocks: more.contains(.layers)))
            var start = 0
            for step in script.steps {
                let output: Output
                if case .encode(let batch) = step {
                    output = try session.encode(batch)
                } else if let batch = step.processed {
                    output = try session.process(batch)
                    rows.append(StepResult(output), start: start)
                    start += batch.tokens.count
                } else {
                    continue
                }
                BlockRows.append(output.blocks, of: step.processed == nil ? "encoder_layer" : "layer", to: &blocks)
                if output.logits != nil, let embeddings = output.embeddings {
                    BlockRows.append(embeddings, named: "embeddings", to: &blocks)
                }
            }
            try rows.finish()
            return session.fallbacks.map(\.description)
        }
    }

    private func run<Outcome>(
        _ model: ModelFile, on engine: PlacedEngine,
        _ body: (Script, any EngineModel, (Int) -> Void) throws -> Outcome
    ) throws -> Outcome {
        try CommandError.naming(model.path) {
            let script = script(engine.placement, threads: engine.threads)
            let (work, amount) = ("\(model.path) on \(engine.placement)", Format.amount(tokens.count, "token"))
            return try ProgressLine.during("\(work): loading") { update in
                // The builtin engine takes the file that is open here: neither its metadata nor its pages count twice.
                let loaded = try (engine.engine as? BuiltinEngine)?.load(model.source)
                    ?? engine.engine.load(file: model.path)
                // Reading metadata and making tokens of a text leave much behind.
                csystem_return_freed_memory()
                update("\(work): \(amount)")
                return try body(script, loaded) { step in
                    update("\(work): \(amount), step \(step + 1) of \(script.steps.count)")
                }
            }
        }
    }
}

/// The residual stream after one block, or what else a model gives beside its results.
struct BlockRows {
    /// As the results file names it: `layer.3`, `encoder_layer.0`, `embeddings`.
    var name: String
    var width: Int
    /// `[tokens, width]`
    var elements: [Float] = []

    /// - Parameters:
    ///   - outputs: of the blocks of one stack, the first block first.
    ///   - stack: what their names begin with.
    static func append(_ outputs: [Output.Rows], of stack: String, to blocks: inout [BlockRows]) {
        for (number, rows) in outputs.enumerated() { append(rows, named: "\(stack).\(number)", to: &blocks) }
    }

    /// Appends rows to those of that name.
    static func append(_ rows: Output.Rows, named name: String, to blocks: inout [BlockRows]) {
        let index = blocks.firstIndex { $0.name == name } ?? blocks.count
        if index == blocks.count { blocks.append(BlockRows(name: name, width: rows.width)) }
        blocks[index].elements += rows.elements.doubles.map { Float($0) }
    }
}

extension Step {
    /// The batch that it processes; nil of other steps.
    var processed: Batch? { if case .process(let batch) = self { batch } else { nil } }
}

/// Rows that a model gave.
struct Results {
    enum Kind: String, Sendable { case logits, embeddings }

    var kind: Kind
    /// The keys are indices of tokens; of a model that pools, 0.
    var rows: Rows
    /// Ops that ran elsewhere than they were placed, and why.
    var fallbacks: [String]

    /// The rows of all steps, one after the other.
    /// - Throws: `CommandError` where the script failed, or gave no rows.
    init(_ transcript: Transcript, of script: Script) throws {
        if let failure = transcript.failure { throw CommandError(failure.reason) }
        var all: Rows?
        var kind = Kind.logits
        var start = 0
        for (step, result) in zip(script.steps, transcript.results) {
            guard let batch = step.processed else { continue }
            defer { start += batch.tokens.count }
            guard let rows = result.rows, !rows.keys.isEmpty else { continue }
            kind = result.logits == nil ? .embeddings : .logits
            guard var known = all else {
                all = Rows(keys: rows.keys.map { $0 + start }, width: rows.width, elements: rows.elements)
                continue
            }
            guard known.width == rows.width else {
                throw CommandError("the engine gives rows of \(rows.width) after rows of \(known.width)")
            }
            all = nil  // So that there is one owner, and nothing is copied.
            known.keys += rows.keys.map { $0 + start }
            known.elements += rows.elements
            all = known
        }
        guard let all, all.width > 0, all.elements.count == all.keys.count * all.width else {
            throw CommandError("the model gives neither logits nor embeddings")
        }
        rows = all
        self.kind = kind
        fallbacks = transcript.fallbacks
    }
}
