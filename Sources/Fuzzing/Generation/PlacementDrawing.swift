import Inference
import PropertyTesting

extension Placement {
    /// Tensors that are placed apart.
    private static let patterns = [
        #".*\.ffn_.*"#, #".*\.attn_.*"#, #".*_exps\..*"#, #"output\..*"#, #"token_embd\..*"#, #".*_norm\..*"#,
    ]

    /// Draws a placement over several devices, or recovers it (`like`).
    /// - Parameter others: devices besides the default one; at least one.
    static func draw(
        _ choices: inout Choices, on device: String, others: [String], layers: Int,
        splits: [Split], like target: Placement?
    ) throws -> Placement {
        try choices.span("placement") { choices in
            if splits.count > 1 {
                let weights = splits.map { ($0, $0 == .layers ? 4 : 1) }
                let split = try choices.weighted(weights, like: target.map { $0.split ?? .layers })
                // Every device that is named has a share.
                if split != .layers {
                    return Placement(
                        device, layers: others.map { LayerRange(first: 0, last: 0, device: $0) }, split: split)
                }
            }
            let ranges = try choices.list(count: 0...2, like: target?.layers) { choices, range in
                let first = try choices.integer(in: 0...(layers - 1), like: range?.first)
                let ends: [Int?] = [nil] + Array(first..<layers)
                let last = try choices.element(of: ends, like: range.map(\.last))
                return LayerRange(
                    first: first, last: last, device: try choices.element(of: others + [device], like: range?.device))
            }
            let rules = try choices.list(count: 0...2, like: target?.tensors) { choices, rule in
                TensorRule(
                    pattern: try choices.element(of: patterns, like: rule?.pattern),
                    device: try choices.element(of: others + [device], like: rule?.device))
            }
            return Placement(device, layers: ranges, tensors: rules)
        }
    }
}
