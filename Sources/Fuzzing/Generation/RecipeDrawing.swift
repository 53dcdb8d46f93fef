import GGUF
import Inference
import ModelGraph
import PropertyTesting

extension WeightRecipe {
    /// The types that matrices are drawn in, where their rows are whole blocks: all but those that no file has, being
    /// for products inside ggml, and numbers that are no weights.
    public static let drawnTypes: [TensorType] = [
        .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .iq4_NL, .mxfp4, .nvfp4, .q2_0, .q1_0, .q4_K, .q6_K,
        .q5_K, .q3_K, .q2_K, .iq4_XS, .iq3_S, .iq3_XXS, .iq2_S, .iq2_XS, .iq2_XXS, .iq1_M, .iq1_S, .tq2_0, .tq1_0,
    ]

    /// Matrices whose type may differ from the others'.
    private static let parts = [".*ffn_.*", ".*attn_.*", "token_embd.*|output.*"]

    /// Draws how weights are made, or recovers it (`like`).
    ///
    /// - Parameter width: of the residual stream, which most rows have: types whose blocks fill them are likelier, so
    ///   that a fifth of the models of large blocks have them, which are rare widths.
    static func draw(_ choices: inout Choices, width: Int, like target: WeightRecipe?) throws -> WeightRecipe {
        try choices.span("weights") { choices in
            let seed = try choices.integer(in: 0...9999, like: target.map { Int(exactly: $0.seed) ?? -1 })
            let weights = drawnTypes.map {
                ($0, $0 == .f32 ? 32 : width % $0.blockSize == 0 ? $0.blockSize >= 128 ? 8 : 2 : 1)
            }
            let type = try choices.weighted(weights, like: target?.type)

            // What adversity a rule comes from is seen by its presence.
            let adversities = choices.sparse(
                Adversity.allCases, like: target?.adversities)
            let typed = target?.rules.first { $0.type != nil }
            let part = try choices.weighted(
                [(nil, 6)] + parts.map { ($0, 1) }, like: target.map { _ in typed?.pattern })
            var rules: [Rule] = []
            if let part {
                rules = [Rule(pattern: part, type: try choices.element(of: drawnTypes, like: typed?.type))]
            }
            return WeightRecipe(seed: UInt64(seed), type: type, adversities: adversities, rules: rules)
        }
    }
}
