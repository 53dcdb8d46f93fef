import Architectures
import Engines
import GGUF
import Inference
import PropertyTesting

/// Draws cases of one architecture: a function from choices to a case, so that any choices make a valid one.
public struct CaseDrawing: Sendable {
    public let architecture: any Architecture.Type
    /// The devices under test, and all that placements may name.
    public let devices: [String]
    public let placeable: [String]
    /// The checks that are drawn.
    public var checks: [Check]
    /// What the engines under test can be asked for.
    public var traits: EngineTraits

    public init(
        _ architecture: any Architecture.Type, devices: [String], placeable: [String],
        checks: [Check] = Check.usual, traits: EngineTraits = EngineTraits()
    ) {
        self.architecture = architecture
        self.devices = devices
        self.placeable = placeable
        self.checks = checks
        self.traits = traits
    }

    /// Draws a case, or recovers the choices of one (`like`), its devices aside.
    ///
    /// - Parameters:
    ///   - choices: what is drawn from, or, of a case that is recovered, what takes its choices.
    ///   - target: the case whose choices are looked for.
    ///   - model: what the case is about, whatever the choices would be: a file's model. All else is drawn.
    /// - Throws: `MetadataError` or `GraphError` where the choices contradict each other, as edited ones may;
    ///   `Unreachable` where nothing draws the target.
    public func draw(
        _ choices: inout Choices, like target: Case? = nil, model: DrawnModel.Target? = nil
    ) throws -> Case {
        let weights = checks.filter { $0.applies(to: self.traits) }.map { ($0, $0.weight) }
        let wanted = try choices.weighted(weights.isEmpty ? [(.agrees, 1)] : weights, like: target?.check)
        let drawn = try choices.span("model") { choices in
            try DrawnModel.draw(
                architecture, &choices, like: model ?? target.map { ($0.metadata, Set($0.optionalTensors)) },
                within: self.traits.models)
        }
        let traits = SessionTraits(drawn)
        let transformations = wanted == .metamorphic
            ? try Transformation.kinds(for: drawn.architecture, optional: drawn.optionalTensors) : []
        // What a model cannot be asked is replaced by what any can.
        let applies = wanted.applies(to: traits, placeable: placeable.count)
            && (wanted != .metamorphic || !transformations.isEmpty)
        let check = applies ? wanted : .agrees
        var recipe = try WeightRecipe.draw(&choices, width: traits.dimensions.embedding, like: target?.recipe)
        // What is unlike any trained model's weights does not learn.
        if check == .trains { recipe = WeightRecipe(seed: recipe.seed) }
        var result = Case(
            check: check, metadata: drawn.metadata, optionalTensors: drawn.optionalTensors.sorted(), recipe: recipe,
            script: Script(placement: Placement(devices[0]), steps: []), devices: devices)
        // Damaged is an adapter's file, or the model's.
        let isOfAdapter = try check == .malformed && self.traits.adapters?.contains(.lora) ?? false
            && choices.weighted([(false, 3), (true, 1)], like: target.map { $0.adapters != nil })
        if let kinds = self.traits.adapters, !kinds.isEmpty, check.takesAdapters, check != .malformed || isOfAdapter {
            let adapters = try choices.span("adapters") {
                try Adapter.draw(
                    &$0, AdaptableParts(drawn), kinds, isSure: isOfAdapter, like: target.map { $0.adapters ?? [] })
            }
            result.adapters = adapters.isEmpty ? nil : adapters
        }
        switch check {
        case .rejects:
            result.contradiction = try choices.span("contradiction") {
                try Contradiction.draw(
                    &$0, drawn.architecture, drawn.metadata, boundsSizes: self.traits.boundsSizes,
                    like: target?.contradiction)
            }
            if let contradiction = result.contradiction { result.metadata = contradiction.applied(to: drawn.metadata) }
            return result
        case .tokenizes:
            result.tokenization = try choices.span("tokenization") {
                try Tokenization.draw(&$0, drawn.metadata, like: target?.tokenization)
            }
            result.recipe = WeightRecipe(seed: 0)
            return result
        case .metamorphic:
            result.transformation = try choices.span("transformation") {
                try Transformation.draw(&$0, among: transformations, like: target?.transformation)
            }
        case .malformed:
            let source = try result.source()
            let adapter = try result.adapterSources(for: source).first?.source
            let draft = FileDraft(adapter ?? source, optionalTensors: result.optionalTensors)
            result.damages = try choices.span("damages") { try Damage.draw(&$0, draft, like: target?.damages) }
        case .placement:
            let device = devices[0]
            result.script.placement = try Placement.draw(
                &choices, on: device, others: placeable.filter { $0 != device }, layers: traits.dimensions.layers,
                splits: self.traits.splits, like: target?.script.placement)
        default: break
        }
        result.script = try choices.span("script") { [placement = result.script.placement] choices in
            try ScriptDrawing.draw(
                &choices, traits, check, placement: placement, engine: self.traits, like: target?.script)
        }
        return result
    }
}

extension Check {
    /// Whether such an engine can be asked.
    public func applies(to engine: EngineTraits) -> Bool {
        self != .settings || !engine.settings.allSatisfy(\.isOfDamage)
    }

    /// Whether models of this kind can be asked.
    func applies(to traits: SessionTraits, placeable: Int) -> Bool {
        switch self {
        case .agrees, .isolation, .roundtrip, .loaders, .settings, .determinism, .metamorphic, .rejects, .malformed,
            .tokenizes, .gradients:
            true
        case .chunking, .state: !traits.traits.isOfWholeBatches
        case .trains: Lesson.applies(to: traits)
        case .placement: placeable > 1
        }
    }
}
