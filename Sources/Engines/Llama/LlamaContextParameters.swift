import Devices

/// The parameters of the context in which llama.cpp plays a script.
package struct LlamaContextParameters: Hashable, Sendable {
    package var context: Int
    package var batch: Int
    package var microBatch: Int
    package var sequences: Int
    package var threads: Int
    package var cacheType: StateType
    package var flashAttention: Bool
    package var embeddings: Bool
    package var unified: Bool

    /// - Parameters:
    ///   - hasLogits: whether the model gives logits rather than embeddings.
    ///   - isOfWholeBatches: whether nothing is kept from one batch to the next.
    package init(_ script: Script, hasLogits: Bool, isOfWholeBatches: Bool, hasEncoder: Bool) {
        let options = script.options
        let batches = script.steps.compactMap(\.batch)
        let longest = max(1, batches.map(\.tokens.count).max() ?? 1)
        // llama.cpp plans for a token of each sequence, and ends the process where a batch could not hold them.
        batch = max(longest, options.sequences)
        // Tokens that see each other are computed in one piece.
        microBatch = hasEncoder || isOfWholeBatches ? batch : min(max(options.microBatch, options.sequences), batch)
        sequences = options.sequences
        threads = options.threads ?? 1
        cacheType = options.cacheType
        flashAttention = options.flashAttention ?? false
        embeddings = !hasLogits || hasEncoder
        // Tokens of several sequences need a cache that these share.
        let areShared = batches.contains { $0.tokens.contains { $0.sequences.elements.count > 1 } }
        unified = options.unifiedCache ?? areShared
        context = unified ? options.context : options.context * options.sequences
    }

    /// A context that is asked for embeddings makes an output of every token, whether it is wanted or not.
    package var makesAllOutputs: Bool { embeddings }
}
