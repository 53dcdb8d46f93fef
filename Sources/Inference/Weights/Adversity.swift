/// Weights that are legal, and unlike any trained model's: where kernels make assumptions.
public enum Adversity: String, Hashable, Sendable, CaseIterable, Codable {
    /// Every router logit and every selection score is negative: a top-k that starts from zero, or masks
    /// with zero, selects the wrong experts.
    case negativeRouting
    /// Selection biases outweigh the scores, so that selection and weights have nothing to do with each other.
    case largeSelectionBiases
    /// One element of a matrix in 128 is 64 times larger.
    case outliers
    /// A quarter of each matrix is zero.
    case zeros
    /// The matrices of the first block are zero.
    case zeroLayer
    /// The hidden units of feed-forward networks are eight times as large: activations saturate, and reach the limits
    /// that some are clamped to.
    case largeHidden

    /// What the setting means for a recipe.
    public var rules: [WeightRecipe.Rule] {
        switch self {
        case .negativeRouting:
            [
                // Positive embeddings keep the residual stream's mean above zero, which negative router
                // rows then turn into negative logits.
                .init(pattern: #"token_embd\.weight"#, distribution: .uniform(lower: 1, upper: 3)),
                .init(role: .router, distribution: .uniform(lower: -0.5, upper: -0.125), overRootFanIn: true),
                .init(pattern: #".*ffn_gate_inp\.bias"#, distribution: .uniform(lower: -2, upper: -1)),
                .init(role: .selectionBias, distribution: .uniform(lower: -3, upper: -1)),
            ]
        case .largeSelectionBiases:
            [.init(role: .selectionBias, distribution: .uniform(lower: -64, upper: 64))]
        case .outliers:
            [.init(role: .projection, outliers: 1.0 / 128)]
        case .zeros:
            [.init(role: .projection, zeros: 0.25)]
        case .largeHidden:
            [
                .init(
                    pattern: #".*\.ffn_(gate|up).*\.weight"#, role: .projection,
                    distribution: .normal(mean: 0, deviation: 8), overRootFanIn: true)
            ]
        case .zeroLayer:
            [.init(pattern: #"blk\.0\..*"#, role: .projection, distribution: .constant(value: 0))]
        }
    }
}

extension WeightRecipe {
    /// The adversities whose rules the recipe has.
    public var adversities: [Adversity] { Adversity.allCases.filter { $0.rules.allSatisfy(rules.contains) } }
}
