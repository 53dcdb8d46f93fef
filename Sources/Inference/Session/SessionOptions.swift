import Architectures
import Devices
import ModelGraph

/// What a session is made for.
public struct SessionOptions: Hashable, Sendable {
    /// Cells of the caches: tokens that all sequences together may hold; nil: the model's own context.
    public var context: Int?
    /// Sequences are numbered `0 ..< sequences`; at most 32.
    public var sequences: Int
    /// Tokens that are computed together; longer batches are split.
    public var microBatch: Int
    /// Storage of keys and values.
    public var cacheType: StateType
    /// Storage of values, where they have a cache of their own; nil: that of keys.
    public var valueCacheType: StateType?
    /// How the embeddings of a sequence become one; nil: as the model's metadata says.
    public var pooling: Pooling?
    /// Whether a model that has logits is asked for embeddings too.
    public var wantsEmbeddings: Bool
    /// Whether the residual stream after each block is asked for too.
    public var wantsBlocks: Bool
    /// Whether it is an error that a device cannot run a node, rather than a fall-back to `cpu`.
    public var isStrict: Bool

    public init(
        context: Int? = nil, sequences: Int = 1, microBatch: Int = 512, cacheType: StateType = .full, valueCacheType: StateType? = nil,
        pooling: Pooling? = nil, wantsEmbeddings: Bool = false, wantsBlocks: Bool = false,
        isStrict: Bool = false
    ) {
        self.context = context
        self.sequences = sequences
        self.microBatch = microBatch
        self.cacheType = cacheType
        self.valueCacheType = valueCacheType
        self.pooling = pooling
        self.wantsEmbeddings = wantsEmbeddings
        self.wantsBlocks = wantsBlocks
        self.isStrict = isStrict
    }
}

extension SessionOptions {
    func cacheType(of state: State) -> StateType { state.holdsValues ? valueCacheType ?? cacheType : cacheType }
}

/// A session that cannot do what was asked, and why. Nothing has changed then.
public struct SessionError: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}
