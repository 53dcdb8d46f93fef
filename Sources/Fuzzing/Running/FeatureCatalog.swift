import Architectures
import Engines
import Inference
import PropertyTesting
import Tokenizers

/// The features (`Case.features`) that cases can have: what coverage is held against.
public enum FeatureCatalog {
    /// Models that are drawn of each architecture, to see which tensors are optional.
    private static let drawnModels: UInt64 = 24

    /// Of cases of some architectures and checks. Options of sessions are left out, since not every engine can be asked
    /// for each.
    /// - Throws: `MetadataError` or `GraphError` for a defect of an architecture's domains.
    public static func features(of architectures: [any Architecture.Type], checks: [Check]) throws -> Set<String> {
        var features = Set(checks.map { "check \($0.rawValue)" })
        var steps = Set(Step.names).subtracting([Step.encoding])
        for architecture in architectures {
            for declaration in try DeclarationList.of(architecture) where declaration.isDrawn {
                let path = Declaration.path(declaration.key, architecture.name)
                if path != declaration.key { features.insert("key \(declaration.key)") }
            }
            for seed in 0..<drawnModels {
                var choices = Choices(seed: seed)
                let model = try DrawnModel.draw(architecture, &choices).architecture
                if model.traits.hasEncoder { steps.insert(Step.encoding) }
                // Some are asked for only where others are, or are not.
                let asked = Asked()
                for arePresent in [true, false] {
                    _ = try model.smallestGraphs { name in
                        asked.names.insert(name.withoutBlock)
                        return arePresent
                    }
                }
                features.formUnion(asked.names.filter { !$0.contains(" ") }.map { "tensor \($0)" })
            }
        }
        features.formUnion(steps.map { "step \($0)" })
        features.formUnion(WeightRecipe.drawnTypes.map { "type \($0.name)" })
        features.formUnion(Adversity.allCases.map { "weights \($0.rawValue)" })
        if checks.contains(.metamorphic) {
            features.formUnion(Transformation.Kind.allCases.map { "transformation \($0.rawValue)" })
        }
        if checks.contains(.rejects) {
            features.formUnion(Contradiction.Kind.allCases.map { "contradiction \($0.rawValue)" })
        }
        if checks.contains(.malformed) { features.formUnion(Damage.Kind.allCases.map { Damage.feature(of: $0) }) }
        if checks.contains(.tokenizes) {
            features.formUnion(TokenizerCatalog.models.map { "tokenizer \($0)" })
            features.formUnion(TokenizerCatalog.preTokenizers.map { "pre-tokenizer \($0)" })
        }
        return features
    }

    /// The optional tensors that graphs asked for.
    private final class Asked {
        var names: Set<String> = []
    }
}

extension Declaration {
    /// Whether any model is drawn with it.
    fileprivate var isDrawn: Bool { !isInformation && presence != .absent }
}
