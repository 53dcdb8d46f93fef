import Devices

/// What a batch gave.
public struct Output: Sendable {
    /// A row for each token whose output was wanted; nil for models without logits.
    public internal(set) var logits: Rows?
    /// A row for each token whose output was wanted or, pooled, for each sequence, or for each option that was decided
    /// on; nil unless asked for or all that the model gives.
    public internal(set) var embeddings: Rows?
    /// The residual stream after each block, a row for each token; empty unless asked for.
    public internal(set) var blocks: [Rows] = []

    /// Rows of equal length, each with the number it belongs to.
    public struct Rows: Sendable, Hashable {
        /// The token's index in the batch, the sequence of a pooled row, or the option's number; ascending.
        public internal(set) var keys: [Int]
        public internal(set) var width: Int
        /// `[keys.count, width]`, in the precision of the device that made them.
        public internal(set) var elements: HostTensor
        /// Of a piece that has some columns only: the first of them.
        public internal(set) var firstColumn = 0
        /// Columns of whole rows; nil where these are whole.
        public internal(set) var wholeWidth: Int?

        /// The row of a token or sequence; nil where it was not asked for.
        public subscript(_ key: Int) -> [Double]? {
            keys.firstIndex(of: key).map { row(at: $0) }
        }

        /// The row of `keys[index]`.
        public func row(at index: Int) -> [Double] {
            let range = index * width ..< (index + 1) * width
            switch elements {
            case .double(let elements): return Array(elements[range])
            case .float(let elements): return elements[range].map(Double.init)
            case .index(let elements): return elements[range].map(Double.init)
            }
        }

        mutating func append(_ other: Rows) {
            keys += other.keys
            switch (elements, other.elements) {
            case (.float(let mine), .float(let more)): elements = .float(mine + more)
            default: elements = .double(elements.doubles + other.elements.doubles)
            }
        }
    }

    mutating func append(_ other: Output) {
        if let rows = other.logits { if logits == nil { logits = rows } else { logits?.append(rows) } }
        if let rows = other.embeddings { if embeddings == nil { embeddings = rows } else { embeddings?.append(rows) } }
        guard !blocks.isEmpty else { return blocks = other.blocks }
        for (index, rows) in other.blocks.enumerated() { blocks[index].append(rows) }
    }
}
