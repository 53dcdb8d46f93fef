import ModelGraph

/// Scores of the options of questions: which tokens are whose text, and which options are whose.
extension FaultCatalogue {
    static let decisions: [Fault] = [
        Fault(
            "option-text-one-token-late", "the text of each option begins and ends one token later", tokens: 2
        ) { site in
            guard site.op == .pool, site.isInput(1, .options) else { return nil }
            return .operand(1) { weights in weights.mapRows { $0 = [0] + $0.dropLast() } }
        },
        Fault(
            "option-summary-of-all-questions", "a question is summed up with the options of all questions", tokens: 4
        ) { site in
            guard case .attention = site.op, site.isInput(3, .ownOptions) else { return nil }
            return .operand(3) { mask in mask.map { _ in 0 } }
        },
        Fault("options-of-first-question", "all options are the first question's", tokens: 4) { site in
            guard site.op == .rows, site.isInput(1, .optionQuestions), site.shape(0)[0] > 1 else { return nil }
            return .operand(1) { questions in questions.map { _ in 0 } }
        },
        Fault("question-kind-ignored", "every question is one of yes and no", tokens: 2) { site in
            guard site.op == .rows, site.isInput(1, .questionKinds) else { return nil }
            return .operand(1) { kinds in kinds.map { _ in 0 } }
        },
        Fault("prompt-ends-one-token-early", "the end of a prompt is its last token but one", tokens: 2) { site in
            guard case .slice(axis: 0, let start, count: 1) = site.op, start > 0, start + 1 == site.shape(0)[0],
                site.graph.inputs[.questions] != nil
            else { return nil }
            return .op(.slice(axis: 0, start: start - 1, count: 1), of: site)
        },
    ]
}
