import Engines
import Inference

extension Judge {
    /// A failure under the simplest check that shows it, and the case that does.
    ///
    /// What is wrong by the reference is wrong whatever else it is compared with, and is met under many checks. Of
    /// checks that compare two runs of a device, the case is that of the run that is wrong.
    func simplest(_ failure: Failure, of subject: Case) -> (failure: Failure, case: Case) {
        guard subject.check != .agrees, subject.check.isOfTensors else { return (failure, subject) }
        let happening = Happening(kind: failure.signature.kind)
        for candidate in subject.comparedRuns {
            guard case .failed(let other)? = judge(candidate).first?.outcome else { continue }
            let isSame = happening == .numbers
                ? Happening(kind: other.signature.kind) == .numbers : other.signature.isStill(failure.signature)
            if isSame { return (other, candidate) }
        }
        return (failure, subject)
    }
}

extension Case {
    /// The runs that the check compares, each as a case of its own.
    fileprivate var comparedRuns: [Case] {
        var first = self
        first.check = .agrees
        first.transformation = nil
        first.damages = nil
        first.script = script.on(devices[0])
        var runs = [first]
        if check.comparesHistories, let traits = try? sessionTraits() {
            for plain in History(script, traits).plain {
                var other = first
                other.script = plain.script
                runs.append(other)
            }
        }
        if check == .settings, let traits = try? sessionTraits() {
            var other = first
            other.script = first.script.withPlainSettings(traits)
            runs.append(other)
        }
        if check == .metamorphic {
            var other = first
            other.transformation = transformation
            runs.append(other)
        }
        return runs
    }

    /// The simplest case of the architecture on the case's device: one batch of so many tokens.
    func simplestOfArchitecture(tokens count: Int) -> Case {
        var result = removing(peculiarities)
        result.check = .agrees
        result.transformation = nil
        result.damages = nil
        // Types that rows of other sizes had no whole blocks of would come out.
        result.recipe = WeightRecipe(seed: recipe.seed)
        let tokens = (0..<max(2, count)).map { $0 % 8 }
        let hasEncoder = script.steps.contains { $0.name == "encode" }
        result.script.steps = (hasEncoder ? [.encode(Batch(tokens))] : []) + [.process(Batch(tokens))]
        result.script.options.sequences = 1
        result.script.options.microBatch = max(64, tokens.count)
        return result
    }
}
