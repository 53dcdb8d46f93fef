import Engines
import Inference
import ModelGraph

/// Asks of all that a cut-down case still has whether it matters to the failure.
struct CauseSearch {
    let judge: Judge
    var isCancelled: () -> Bool = { false }

    struct Answer {
        /// Without what did not matter.
        var `case`: Case
        var failure: Failure
        var cause: Cause
        /// Cases that were judged.
        var evaluations: Int
    }

    /// - Parameter subject: on the one device on which it fails, in the way of `failure`.
    func answer(_ subject: Case, _ failure: Failure) -> Answer {
        var answer = Answer(case: subject, failure: failure, cause: Cause(needs: []), evaluations: 0)
        // What is asked without tensors has nothing but what is wrong with it.
        if subject.check.isOfTensors {
            // Sizes first: what is left of them says which the rest needs.
            for peculiarity in subject.peculiarities.sorted(by: { $0.rank > $1.rank }) where !isCancelled() {
                matters(peculiarity, to: &answer)
            }
            answer.cause.needs.reverse()
        }
        answer.cause.needs += subject.contradictionTrait.map { [$0] } ?? []
        if subject.check != .agrees { answer.cause.needs.append("check \(subject.check.rawValue)") }
        if Happening(kind: failure.signature.kind) == .numbers {
            answer.cause.tensors = tensors(of: answer.case, &answer.evaluations)
            answer.cause.ops = answer.case.ops(between: answer.cause.tensors)
        }
        return answer
    }

    private func matters(_ peculiarity: Peculiarity, to answer: inout Answer) {
        let candidate = answer.case.removing(peculiarity)
        guard candidate != answer.case else { return }
        answer.evaluations += 1
        switch judge.judge(candidate).first?.outcome {
        case .failed(let failure) where failure.signature.isStill(answer.failure.signature):
            (answer.case, answer.failure) = (candidate, failure)
        case .passed, .known: answer.cause.needs += answer.case.trait(of: peculiarity).map { [$0] } ?? []
        // Without it there is no such case, which says nothing.
        case .failed, .discarded, nil: break
        }
    }

    /// The tensors, without the numbers of their blocks, with whose neutral weights a case passes.
    ///
    /// Where it fails by several parts of the model, there is none. Then it is each part by itself that is asked, all
    /// others being neutral.
    func tensors(of subject: Case, _ evaluations: inout Int) -> [String] {
        let names = Set((try? subject.source().tensors.map(\.name.withoutBlock)) ?? []).sorted()
        let inner = names.filter { !Self.ofEveryToken.contains($0) }
        func fails(_ candidate: Case) -> Bool {
            evaluations += 1
            return judge.judge(candidate).contains { $0.failure != nil }
        }
        func passing(_ subject: Case, _ names: [String]) -> [String] {
            names.filter { name in
                guard !isCancelled() else { return false }
                evaluations += 1
                if case .passed? = judge.judge(subject.neutralising([name])).first?.outcome { return true }
                return false
            }
        }
        let ofAll = passing(subject, inner)
        guard ofAll.isEmpty, !isCancelled() else { return ofAll }
        if fails(subject.neutralising(inner)) { return names.filter(Self.ofEveryToken.contains) }
        return ModelPart.allCases.flatMap { part -> [String] in
            let own = inner.filter { ModelPart(tensor: $0) == part }
            let alone = subject.neutralising(inner.filter { ModelPart(tensor: $0).map { $0 != part } ?? false })
            return own.isEmpty || !fails(alone) ? [] : passing(alone, own)
        }
    }

    /// Without these there are no outputs at all.
    static let ofEveryToken: Set = ["token_embd.weight", "output.weight", "output_norm.weight"]
}

extension Case {
    /// The same case with weights that do nothing: scales of one, all others of zero.
    /// - Parameter tensors: names without the numbers of blocks.
    func neutralising(_ tensors: [String]) -> Case {
        let patterns = tensors.map { name in
            name.split(separator: ".").map { $0 == "blk" ? #"blk\.[0-9]+"# : String($0) }.joined(separator: #"\."#)
        }
        let pattern = patterns.joined(separator: "|")
        var result = self
        result.recipe.rules.insert(
            contentsOf: [
                .init(pattern: pattern, role: .scale, distribution: .constant(value: 1), overRootFanIn: false),
                .init(pattern: pattern, distribution: .constant(value: 0), overRootFanIn: false),
            ], at: 0)
        return result
    }
}
