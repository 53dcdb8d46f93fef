import Devices
import ModelGraph

/// What a token of a prompt is part of, where a model decides on questions: llama.cpp's decision order.
public enum DecisionOrder: String, Hashable, Sendable, Codable, CaseIterable {
    /// Of no question and no option.
    case none
    /// Of the text of a question that is answered by yes or no.
    case noul
    /// Of one that is answered by an option.
    case choice
    /// Of one whose options are degrees.
    case score
    /// Of the text of an option.
    case option

    /// As llama.cpp counts them.
    public var number: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    public var isQuestion: Bool { self != .none && self != .option }
}

/// The questions that a prompt asks: runs of tokens of one order are the texts of questions and options, and an option
/// belongs to the last question before it.
public struct Questions: Hashable, Sendable {
    public struct Question: Hashable, Sendable {
        public var order: DecisionOrder
        /// Indices of its tokens, from 0.
        public var text: Range<Int>
        /// The same of each of its options, of which there is one at least.
        public var options: [Range<Int>]
    }
    /// At least one.
    public private(set) var all: [Question] = []

    /// - Throws: `SessionError` where tokens ask nothing that could be decided.
    public init(_ tokens: some Collection<Batch.Token>) throws {
        let tokens = Array(tokens)
        guard Set(tokens.map(\.sequences)).count <= 1, tokens.first?.sequences.count ?? 1 == 1 else {
            throw SessionError("a prompt of several sequences, of which one is decided on")
        }
        for run in Self.runs(of: tokens.map(\.order)) {
            let order = tokens[run.lowerBound].order
            if order.isQuestion {
                all.append(Question(order: order, text: run, options: []))
            } else if order == .option {
                guard !all.isEmpty else { throw SessionError("token \(run.lowerBound) is an option of no question") }
                all[all.count - 1].options.append(run)
            }
        }
        guard !all.isEmpty else { throw SessionError("a prompt without a question") }
        if let number = all.firstIndex(where: { $0.options.isEmpty }) {
            throw SessionError("question \(number) has no option")
        }
    }

    private static func runs(of orders: [DecisionOrder]) -> [Range<Int>] {
        orders.indices.reduce(into: []) { runs, index in
            if let last = runs.last, orders[last.lowerBound] == orders[index] {
                runs[runs.count - 1] = last.lowerBound..<index + 1
            } else {
                runs.append(index..<index + 1)
            }
        }
    }

    /// Options of all questions, in their order.
    public var options: [Range<Int>] { all.flatMap(\.options) }

    /// What a graph is told of them.
    /// - Parameter tokens: of the prompt.
    func inputs(tokens: Int) -> [Input: HostTensor] {
        func means(_ texts: [Range<Int>]) -> HostTensor {
            .double(texts.flatMap { text in
                (0..<tokens).map { text.contains($0) ? 1 / Double(text.count) : 0 }
            })
        }
        let owners = all.enumerated().flatMap { number, question in question.options.map { _ in number } }
        return [
            .questions: means(all.map(\.text)), .options: means(options),
            .questionKinds: .index(all.map { Int32($0.order.number - DecisionOrder.noul.number) }),
            .optionQuestions: .index(owners.map { Int32($0) }),
            .ownOptions: .double(all.indices.flatMap { number in owners.map { $0 == number ? 0 : -.infinity } }),
        ]
    }
}
