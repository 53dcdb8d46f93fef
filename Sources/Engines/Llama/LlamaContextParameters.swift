import Devices

/// The parameters of the context in which llama.cpp plays a script.
package struct LlamaContextParameters: Hashable, Sendable {
    package var context: Int
    package var batch: Int
    package var microBatch: Int
    package var sequences: Int
    package var threads: Int
    package var cacheType: StateType
    package var valueCacheType: StateType
    /// nil: where the context can.
    package var flashAttention: Bool?
    package var batchThreads: Int
    package var wholeWindowCaches: Bool
    package var offloadsCaches: Bool
    package var offloadsOps: Bool
    package var embeddings: Bool
    package var unified: Bool

    /// - Parameters:
    ///   - hasLogits: whether the model gives logits rather than embeddings.
    ///   - isOfWholeBatches: whether nothing is kept from one batch to the next.
    package init(_ script: Script, hasLogits: Bool, isOfWholeBatches: Bool, hasEncoder: Bool) {
        let options = script.options
        let batches = script.steps.compactMap(\.batch)
        let longest = max(1, batches.map(\.tokens.count).max() ?? 1)
        let settings = options.settings
        // llama.cpp plans for a token of each sequence, and ends the process where a batch could not hold them.
        let needed = max(longest, options.sequences)
        batch = needed * settings[.batchRoom].number
        // Tokens that see each other are computed in one piece.
        microBatch = hasEncoder || isOfWholeBatches ? needed : min(max(options.microBatch, options.sequences), batch)
        sequences = options.sequences
        threads = settings[.threads].number
        batchThreads = settings[.batchThreads].number == 0 ? threads : settings[.batchThreads].number
        cacheType = options.cacheType
        valueCacheType = options.valueCacheType
        flashAttention = options.usesFlashAttention
        wholeWindowCaches = settings[.wholeWindowCaches].flag
        offloadsCaches = settings[.offloadsCaches].flag
        offloadsOps = settings[.offloadsOps].flag
        embeddings = !hasLogits || hasEncoder
        unified = settings[.unifiedCache].flag
        context = unified ? options.context : options.context * options.sequences
    }

    /// A context that is asked for embeddings makes an output of every token, whether it is wanted or not.
    package var makesAllOutputs: Bool { embeddings }
}
