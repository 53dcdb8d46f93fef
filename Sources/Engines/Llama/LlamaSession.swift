import CLlama
import Inference

/// A context of llama.cpp.
final class LlamaSession: ScriptSession {
    private let functions: UnsafePointer<llama_bridge>
    private let context: UnsafeMutableRawPointer
    private let hasLogits: Bool
    private let isOfWholeBatches: Bool
    private let outputAccess: Script.OutputAccess?
    private let makesAllOutputs: Bool
    private let embeddingWidth: Int
    private let sequences: Int
    private let hasStates: Bool

    /// - Parameters:
    ///   - model: as llama.cpp has loaded it.
    ///   - script: whose options the context has.
    ///   - given: values of the model that the file does not say.
    ///   - adapters: of the model.
    ///   - functions: the bridge's.
    ///   - targetBlocks: of whose results the context is that the model takes.
    /// - Throws: `Unsupported` in llama.cpp's words where it does not open such a context.
    init(
        _ model: UnsafeMutableRawPointer, _ script: Script, _ given: LlamaGivenValues, _ adapters: LlamaAdapters,
        _ functions: UnsafePointer<llama_bridge>, targetBlocks: Int
    ) throws {
        self.functions = functions
        hasLogits = functions.pointee.has_logits(model)
        isOfWholeBatches = functions.pointee.is_of_whole_batches(model)
        outputAccess = script.options.outputAccess
        embeddingWidth = Int(functions.pointee.embedding_width(model)) * targetBlocks
        hasStates = functions.pointee.has_states(model)
        let parameters = LlamaContextParameters(
            script, hasLogits: hasLogits, isOfWholeBatches: isOfWholeBatches,
            hasEncoder: functions.pointee.has_encoder(model))
        makesAllOutputs = parameters.makesAllOutputs
        sequences = parameters.sequences

        var session = llama_bridge_session()
        session.context = UInt32(parameters.context)
        session.batch = UInt32(parameters.batch)
        session.micro_batch = UInt32(parameters.microBatch)
        session.sequences = UInt32(parameters.sequences)
        session.threads = Int32(parameters.threads)
        session.batch_threads = Int32(parameters.batchThreads)
        session.flash_attention = switch parameters.flashAttention {
        case nil: LLAMA_BRIDGE_AUTO
        case true?: LLAMA_BRIDGE_ON
        case false?: LLAMA_BRIDGE_OFF
        }
        session.whole_window_caches = parameters.wholeWindowCaches
        session.offloads_caches = parameters.offloadsCaches
        session.offloads_ops = parameters.offloadsOps
        session.embeddings = parameters.embeddings
        session.unified = parameters.unified
        session.rotation_base = given.rotationBase ?? 0
        session.rotation_scale = given.rotationScale ?? 0
        session.pooling = Int32(given.pooling ?? -1)
        LlamaLog.shared.clear()
        let opened = parameters.cacheType.rawValue.withCString { keys in
            parameters.valueCacheType.rawValue.withCString { values in
                (session.key_cache_type, session.value_cache_type) = (keys, values)
                return adapters.withSession(&session) { functions.pointee.open(model, $0) }
            }
        }
        guard let opened else { throw Unsupported("a session: \(LlamaLog.shared.reason)") }
        context = opened
    }

    deinit { functions.pointee.close(context) }

    func encode(_ batch: Batch) throws -> StepResult {
        try submit(batch, functions.pointee.encode)
        return StepResult(embeddings: try embeddings(batch))
    }

    func process(_ batch: Batch) throws -> StepResult {
        // Its caches would show a batch to the next.
        if isOfWholeBatches { functions.pointee.clear(context) }
        guard let kind = batch.tokens.first?.isEmbedding, batch.tokens.contains(where: { $0.isEmbedding != kind })
        else { return try processAtOnce(batch) }
        // A batch of llama.cpp's has ids or embeddings.
        var result = StepResult()
        for part in batch.tokens.parts(of: .max) {
            let next = try processAtOnce(Batch(Array(batch.tokens[part])))
            result.logits.append(next.logits, from: part.lowerBound)
            result.embeddings.append(next.embeddings, from: part.lowerBound)
        }
        return result
    }

    /// Changes the weights of its model.
    /// - Parameters:
    ///   - model: its own.
    ///   - batch: of one sequence, each of whose tokens is to predict the next, and the last the first.
    /// - Returns: the loss before each step.
    func train(_ model: UnsafeMutableRawPointer, _ batch: Batch, _ training: Training) -> [Double] {
        let ids = batch.tokens.map { Int32(clamping: $0.id) }
        let targets = Array(ids.dropFirst() + ids.prefix(1))
        var losses = [Double](repeating: .nan, count: training.steps)
        LlamaLog.shared.clear()
        ids.withUnsafeBufferPointer { ids in
            targets.withUnsafeBufferPointer { targets in
                var request = llama_bridge_training()
                request.count = Int32(ids.count)
                request.ids = ids.baseAddress
                request.targets = targets.baseAddress
                request.steps = Int32(training.steps)
                request.is_adamw = training.optimiser == .adamW
                request.rate = training.rate
                request.first_decay = training.firstDecay
                request.second_decay = training.secondDecay
                request.epsilon = training.epsilon
                request.weight_decay = training.weightDecay
                functions.pointee.train(context, model, &request, &losses)
            }
        }
        return losses
    }

    private func processAtOnce(_ batch: Batch) throws -> StepResult {
        if batch.tokens.contains(where: { $0.order != .none }) { return try decide(batch) }
        try submit(batch, functions.pointee.decode)
        if functions.pointee.is_pooled(context) {
            let sequences = batch.tokens.sequences.elements
            let pooled = try rows(sequences) { functions.pointee.pooled(context, Int32(sequences[$0]), &$1) }
            return StepResult(embeddings: pooled)
        }
        return hasLogits
            ? StepResult(
                logits: try outputs(batch, by: functions.pointee.logits, all: functions.pointee.all_logits))
            : StepResult(embeddings: try embeddings(batch))
    }

    private func decide(_ batch: Batch) throws -> StepResult {
        guard functions.pointee.has_orders() else {
            throw Unsupported("decision orders: this llama.cpp has no function that sets them")
        }
        let options = try Questions(batch.tokens).options.indices
        try submit(batch, functions.pointee.decode)
        // A row for each token, of which those of the first are the options'.
        let scores = try outputs(
            Array(options), count: batch.tokens.count, by: functions.pointee.embeddings,
            all: functions.pointee.all_embeddings) { $0 }
        return StepResult(embeddings: scores)
    }

    private typealias Submission = @convention(c) (
        UnsafeMutableRawPointer?, UnsafePointer<llama_bridge_batch>?
    ) -> Int32

    private func submit(_ batch: Batch, _ function: Submission?) throws {
        let ids = batch.tokens.map { Int32(clamping: $0.id) }
        let positions = batch.tokens.map { Int32(clamping: $0.position) }
        let sequences = batch.tokens.map { UInt64($0.sequences.bits) }
        let outputs = batch.tokens.map(\.wantsOutput)
        let isDecided = batch.tokens.contains { $0.order != .none }
        let orders = isDecided ? batch.tokens.map { Int32($0.order.number) } : []
        let isEmbedded = batch.tokens.first?.isEmbedding ?? false
        if isEmbedded, hasStates {
            throw Unsupported("what a target made of tokens: no public function gives it mapped")
        }
        let embeddings = isEmbedded ? batch.tokens.flatMap { $0.embedding(width: embeddingWidth) }
            : hasStates ? batch.tokens.flatMap { $0.state(width: embeddingWidth) } : []
        LlamaLog.shared.clear()
        var tokens = llama_bridge_batch()
        tokens.count = Int32(batch.tokens.count)
        tokens.embedding_width = Int32(clamping: embeddingWidth)
        let status = ids.withUnsafeBufferPointer { ids in
            positions.withUnsafeBufferPointer { positions in
                sequences.withUnsafeBufferPointer { sequences in
                    outputs.withUnsafeBufferPointer { outputs in
                        embeddings.withUnsafeBufferPointer { embeddings in
                            orders.withUnsafeBufferPointer { orders in
                                tokens.ids = ids.baseAddress
                                tokens.positions = positions.baseAddress
                                tokens.sequences = sequences.baseAddress
                                tokens.wants_output = outputs.baseAddress
                                tokens.embeddings = embeddings.isEmpty ? nil : embeddings.baseAddress
                                tokens.orders = orders.isEmpty ? nil : orders.baseAddress
                                return function?(context, &tokens) ?? 0
                            }
                        }
                    }
                }
            }
        }
        switch status {
        case 0: return
        // By its documentation, an invalid batch.
        case -1: throw LlamaFailure("refuses a legal batch: \(LlamaLog.shared.reason)")
        case 1: throw LlamaFailure("finds no room in the cache: \(LlamaLog.shared.reason)")
        default: throw LlamaFailure("status \(status): \(LlamaLog.shared.reason)")
        }
    }

    // MARK: Outputs

    private typealias Row = @convention(c) (
        UnsafeMutableRawPointer?, Int32, UnsafeMutablePointer<Int32>?
    ) -> UnsafePointer<Float>?
    private typealias AllRows = @convention(c) (
        UnsafeMutableRawPointer?, UnsafeMutablePointer<Int32>?
    ) -> UnsafePointer<Float>?

    private func embeddings(_ batch: Batch) throws -> Rows? {
        try outputs(batch, by: functions.pointee.embeddings, all: functions.pointee.all_embeddings)
    }

    /// What the batch's tokens want, in the way that the script says; nil where none wants any.
    private func outputs(_ batch: Batch, by row: Row, all: AllRows) throws -> Rows? {
        let wanted = batch.tokens.indices.filter { batch.tokens[$0].wantsOutput }
        guard !wanted.isEmpty else { return nil }
        let count = makesAllOutputs ? batch.tokens.count : wanted.count
        return try outputs(wanted, count: count, by: row, all: all) { makesAllOutputs ? wanted[$0] : $0 }
    }

    /// - Parameters:
    ///   - count: of all outputs that there are.
    ///   - numbers: of those that are wanted among them, by their places in `wanted`.
    private func outputs(
        _ wanted: [Int], count: Int, by row: Row, all: AllRows, numbers: (Int) -> Int
    ) throws -> Rows {
        try rows(wanted) { place, width in
            let number = numbers(place)
            switch outputAccess {
            case nil: return row(context, Int32(wanted[place]), &width)
            case .fromEnd: return row(context, Int32(number - count), &width)
            case .array:
                let rows = all(context, &width)
                return rows.map { $0 + number * Int(width) }
            }
        }
    }

    /// - Parameter row: of a place among the keys; sets the width.
    private func rows(_ keys: [Int], _ row: (Int, inout Int32) -> UnsafePointer<Float>?) throws -> Rows {
        var result = Rows(keys: keys, width: 0, elements: [])
        for (place, key) in keys.enumerated() {
            var width: Int32 = 0
            guard let row = row(place, &width), width > 0 else {
                throw LlamaFailure("gives no output \(key): \(LlamaLog.shared.reason)")
            }
            result.width = Int(width)
            result.elements += UnsafeBufferPointer(start: row, count: result.width).lazy.map(Double.init)
        }
        return result
    }

    // MARK: Sequences

    var extents: [StepResult.Extent]? {
        // Where nothing is kept from one batch to the next, what is left of one means nothing.
        if isOfWholeBatches { return nil }
        var extents: [StepResult.Extent] = []
        for sequence in 0..<sequences {
            var (least, greatest): (Int32, Int32) = (-1, -1)
            guard functions.pointee.extent(context, Int32(sequence), &least, &greatest) else { return nil }
            extents.append(StepResult.Extent(least: Int(least), greatest: Int(greatest)))
        }
        return extents
    }

    func remove(_ sequence: Int?, _ positions: Range<Int>) throws -> Bool {
        functions.pointee.remove(context, Int32(sequence ?? -1), Int32(positions.lowerBound), positions.end)
    }

    func keep(_ sequence: Int) throws { functions.pointee.keep(context, Int32(sequence)) }

    func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) throws -> Bool {
        // It adds to what the destination has.
        guard functions.pointee.remove(context, Int32(destination), -1, -1) else { return false }
        functions.pointee.copy(
            context, Int32(source), Int32(destination), Int32(positions.lowerBound), positions.end)
        return true
    }

    func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) throws {
        guard functions.pointee.can_shift(context) else { throw Unsupported("a cache whose positions cannot shift") }
        functions.pointee.shift(context, Int32(sequence), Int32(positions.lowerBound), positions.end, Int32(delta))
    }

    func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) throws {
        guard functions.pointee.can_shift(context) else { throw Unsupported("a cache whose positions cannot shift") }
        functions.pointee.divide(context, Int32(sequence), Int32(positions.lowerBound), positions.end, Int32(divisor))
    }

    func clear() throws { functions.pointee.clear(context) }

    // MARK: State

    func save(_ sequence: Int?) throws -> [UInt8] {
        let number = Int32(sequence ?? -1)
        let size = functions.pointee.state_size(context, number)
        var bytes = [UInt8](repeating: 0, count: size)
        let written = functions.pointee.save_state(context, number, &bytes, size)
        guard written == size else { throw LlamaFailure("saves \(written) bytes of a state of \(size)") }
        return bytes
    }

    func restore(_ state: [UInt8], _ sequence: Int?) throws {
        LlamaLog.shared.clear()
        let read = functions.pointee.restore_state(context, Int32(sequence ?? -1), state, state.count)
        guard read == state.count else {
            throw LlamaFailure("restores \(read) bytes of a state of \(state.count): \(LlamaLog.shared.reason)")
        }
    }
}

extension Rows? {
    /// - Parameter first: what is added to the keys.
    fileprivate mutating func append(_ other: Rows?, from first: Int) {
        guard var other else { return }
        other.keys = other.keys.map { first + $0 }
        if var rows = self {
            rows.keys += other.keys
            rows.elements += other.elements
            self = rows
        } else {
            self = other
        }
    }
}

extension Range<Int> {
    /// Of positions as llama.cpp has it: −1 is none.
    fileprivate var end: Int32 { upperBound >= Range.allPositions.upperBound ? -1 : Int32(upperBound) }
}

/// What llama.cpp fails at.
private struct LlamaFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
