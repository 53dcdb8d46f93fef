import GGUF
import Inference
import ModelGraph
import PropertyTesting

extension WeightRecipe {
    /// The types that matrices are drawn in, where their rows are whole blocks.
    public static let drawnTypes: [TensorType] = [.f32, .f16, .bf16, .q8_0, .q4_0]

    /// Matrices whose type may differ from the others'.
    private static let parts = [".*ffn_.*", ".*attn_.*", "token_embd.*|output.*"]

    /// Draws how weights are made, or recovers it (`like`).
    static func draw(_ choices: inout Choices, like target: WeightRecipe?) throws -> WeightRecipe {
        try choices.span("weights") { choices in
            let seed = try choices.integer(in: 0...9999, like: target.map { Int(exactly: $0.seed) ?? -1 })
            let weights = drawnTypes.map { ($0, $0 == .f32 ? 4 : 1) }
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
