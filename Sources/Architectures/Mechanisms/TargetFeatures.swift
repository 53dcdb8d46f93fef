import ModelGraph

/// The part of its target's vocabulary that a draft writes, where that is not all.
///
/// Files say which tokens, and how many by that: `d2t` has the number of each.
/// Source: Li et al. 2025 (EAGLE-3), authors' code.
struct DraftVocabulary {
    /// nil: all tokens.
    let count: Int?
    private let size: Int
    private let places: Value?

    init(_ g: GraphBuilder, _ dimensions: Dimensions) {
        size = dimensions.vocabulary
        count = g.model.rows(of: "d2t", drawn: [size / 2, 1, size, size - 1].filter { $0 > 0 }, upTo: size)
        places = count.map { [size] in g.places("d2t", count: $0, below: size) }
    }

    /// Logits of all tokens.
    func spread(_ logits: Value) -> Value {
        places.map { logits.builder.apply(.spread(columns: size), logits, $0) } ?? logits
    }
}

/// What a draft's target, the model whose tokens it drafts, has made of a token in several of its blocks, mapped to the
/// draft's width.
///
/// Sources: Li et al. 2025 (EAGLE-3), section 3.1; Chen et al. 2026 (DFlash), section 4.
public struct TargetFeatures: Hashable, Sendable {
    /// Of all blocks together.
    public let width: Int

    /// - Parameters:
    ///   - counts: of how many of the target's blocks; a single one is a must.
    ///   - targetWidth: of what one of them makes.
    init(_ h: inout some Hyperparameters, counts: [Int], targetWidth: Int) throws {
        let key = "target_layers"
        let count = try h.count(of: key, fuzz: counts, "the target's blocks whose inputs these are")
        try h.require(
            counts.count > 1 || count == counts[0], key, because: "\(count) blocks of the target: must be \(counts[0])")
        width = count * targetWidth
    }

    /// `[T, D]`: the embeddings that a batch has, mapped; nil of a batch of tokens.
    /// - Parameters:
    ///   - normalization: of the features.
    ///   - output: of what they are mapped to.
    func fused(
        _ g: GraphBuilder, _ dimensions: Dimensions, normalization: Normalization? = nil, output: Normalization? = nil
    ) -> Value? {
        // The tensors belong to the model all the same.
        let map = g.model.weight("fc.weight", [dimensions.embedding, width], .projection)
        let name = "enc.output_norm"
        guard g.batch.isEmbedded else {
            if normalization != nil { _ = g.model.weight("\(name).weight", [width], .scale) }
            if output != nil { _ = g.model.weight("\(name).weight", [dimensions.embedding], .scale) }
            return nil
        }
        let features = g.input(.embeddings, [g.batch.tokens, width])
        let mapped = (normalization.map { g.model.norm(name, features, $0) } ?? features).matmul(map)
        return output.map { g.model.norm(name, mapped, $0) } ?? mapped
    }
}
