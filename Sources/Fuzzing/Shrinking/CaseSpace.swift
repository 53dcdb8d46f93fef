import Architectures
import Inference
import PropertyTesting

/// The cases among which the simplest is looked for by their choices: all that a generator draws, or, of a case that it
/// does not, those that differ from it in their model.
struct CaseSpace {
    var drawing: CaseDrawing
    /// What stays as it is, but for its model.
    var kept: Case?

    /// - Throws: as `CaseDrawing.draw`, and `Unreachable` where what is kept cannot be asked of the model.
    func draw(_ choices: inout Choices, like target: Case? = nil) throws -> Case {
        guard let kept else { return try drawing.draw(&choices, like: target) }
        let drawn = try choices.span("model") { choices in
            try DrawnModel.draw(
                drawing.architecture, &choices, like: target.map { ($0.metadata, Set($0.optionalTensors)) },
                within: drawing.traits.models)
        }
        var result = kept
        result.metadata = drawn.metadata
        result.optionalTensors = drawn.optionalTensors.sorted()
        let traits = SessionTraits(drawn)
        result.script.placement.limit(to: traits.dimensions.layers)
        if result.check.isOfTensors, let objection = result.script.objection(traits, result.check) {
            throw Unreachable(objection)
        }
        return result
    }

    /// The case that is kept, with another model and other weights; any case, where none is kept.
    /// - Throws: as `draw`.
    func redraw(_ choices: inout Choices) throws -> Case {
        var result = try draw(&choices)
        if kept == nil { return result }
        let width = try result.sessionTraits().dimensions.embedding
        result.recipe = try WeightRecipe.draw(&choices, width: width, like: nil)
        return result
    }

    /// The case that choices draw; nil where they contradict each other.
    func replay(_ recording: Choices.Recording) -> Case? {
        var choices = Choices(replaying: recording)
        return try? draw(&choices)
    }

    /// The choices that draw a case, its devices and what is for information only aside.
    /// - Throws: `MetadataError`, `GraphError`; `Unreachable` where none do.
    func recover(_ target: Case) throws -> Choices.Recording {
        var lastError: any Error = Unreachable("metadata that contradicts itself")
        for candidate in target.uncontradicted {
            var choices = Choices(replaying: [])
            do {
                let drawn = try draw(&choices, like: candidate)
                if kept != nil || drawn.isLike(target) { return choices.recording }
                lastError = Unreachable("this script, or these weights")
            } catch {
                lastError = error
            }
        }
        throw lastError
    }
}

extension Case {
    /// With metadata of which a contradiction may have been made.
    fileprivate var uncontradicted: [Case] {
        guard check == .rejects, let contradiction else { return [self] }
        return [simplestModel?.metadata[contradiction.key], nil].map { value in
            var result = self
            result.metadata[contradiction.key] = value
            return result
        }
    }

    /// Whether choices that were to draw `target` have done so: what that leaves open, they fill in.
    fileprivate func isLike(_ target: Case) -> Bool {
        let (mine, other) = (script.options, target.script.options)
        return check == target.check && recipe == target.recipe && script.steps == target.script.steps
            && (target.transformation == nil || transformation == target.transformation)
            && (target.contradiction == nil || contradiction == target.contradiction)
            && (target.damages == nil || damages == target.damages) && adapters == target.adapters
            && (target.tokenization == nil || tokenization == target.tokenization)
            && (mine.context, mine.sequences, mine.microBatch) == (other.context, other.sequences, other.microBatch)
            && mine.cacheType == other.cacheType && mine.settings == other.settings
            && (check != .placement || script.placement == target.script.placement)
    }
}

/// Edits cases, and goes on from their choices: what none draw is no candidate.
struct RecoveringSearch: CaseSearch {
    var choices: ShrinkSearch
    let space: CaseSpace
    private(set) var best: Case

    init?(_ choices: ShrinkSearch, _ space: CaseSpace) {
        guard let best = space.replay(choices.best) else { return nil }
        (self.choices, self.space, self.best) = (choices, space, best)
    }

    var isExhausted: Bool { choices.isExhausted }

    mutating func attempt(_ candidate: Case) -> Bool {
        guard candidate != best, let recording = try? space.recover(candidate), choices.attempt(recording),
            let drawn = space.replay(choices.best)
        else { return false }
        best = drawn
        return true
    }
}

extension ShrinkPass {
    /// Edits cases instead of choices: what one edit takes away may be said by choices in many places.
    static func editing(
        _ name: String, in space: CaseSpace, _ body: @escaping @Sendable (inout RecoveringSearch) -> Void
    ) -> ShrinkPass {
        ShrinkPass(name) { search in
            guard var editing = RecoveringSearch(search, space) else { return }
            body(&editing)
            search = editing.choices
        }
    }
}

extension CaseDrawing {
    /// A case with what its check needs, where it does not say it, as choices draw it: a transformation, say.
    public func completed(_ subject: Case) -> Case {
        let isComplete = switch subject.check {
        case .metamorphic: subject.transformation != nil
        case .rejects: subject.contradiction != nil
        case .malformed: subject.damages != nil
        case .tokenizes: subject.tokenization != nil
        default: true
        }
        if isComplete { return subject }
        let space = CaseSpace(drawing: self)
        return (try? space.recover(subject)).flatMap(space.replay) ?? subject
    }
}
