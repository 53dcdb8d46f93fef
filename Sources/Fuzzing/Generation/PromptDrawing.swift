import Inference
import PropertyTesting

/// Draws prompts that ask questions, or recovers the choices of one (`like`): one at least, with an option at least.
struct PromptDrawing {
    /// What is not drawn yet, of the tokens that there may be.
    private var room: Int
    private let vocabulary: Int

    /// - Parameters:
    ///   - room: tokens that a prompt may have, two at least.
    ///   - vocabulary: of the model.
    init(room: Int, vocabulary: Int) {
        self.room = max(2, room)
        self.vocabulary = vocabulary
    }

    typealias Token = (id: Int, order: DecisionOrder)

    /// The text of a question or an option, and what comes before it.
    private struct Part {
        var before: [Int]
        var text: [Int]
        var order: DecisionOrder
        /// Of a question.
        var options: [Part] = []
    }

    mutating func draw(_ choices: inout Choices, like target: Batch?) throws -> [Token] {
        let target = try target.map(Self.parts)
        var drawing = self
        let asked = try choices.list(count: 1...4, usually: 2, like: target?.questions) { choices, question in
            try drawing.drawQuestion(&choices, like: question)
        }
        let end = try drawing.drawText(&choices, least: 0, reserved: 0, like: target?.end)
        self = drawing
        return asked.joined() + end.map { ($0, .none) }
    }

    private mutating func drawQuestion(_ choices: inout Choices, like target: Part?) throws -> [Token] {
        // A question and an option.
        guard room >= 2 else { return [] }
        let before = try drawText(&choices, least: 0, reserved: 2, like: target?.before)
        let order = try choices.element(of: [DecisionOrder.noul, .choice, .score], like: target?.order)
        let text = try drawText(&choices, least: 1, reserved: 1, like: target?.text)
        var drawing = self
        var isFirst = true
        let options = try choices.list(count: 1...6, usually: 3, like: target?.options) { choices, option in
            defer { isFirst = false }
            // What is between two of them tells them apart.
            let least = isFirst ? 0 : 1
            guard drawing.room > least else { return [Token]() }
            let before = try drawing.drawText(&choices, least: least, reserved: 1, like: option?.before)
            let text = try drawing.drawText(&choices, least: 1, reserved: 0, like: option?.text)
            return before.map { ($0, .none) } + text.map { ($0, .option) }
        }
        self = drawing
        return before.map { ($0, .none) } + text.map { ($0, order) } + options.joined()
    }

    /// - Parameter reserved: of the room, for what must follow.
    private mutating func drawText(
        _ choices: inout Choices, least: Int, reserved: Int, like target: [Int]?
    ) throws -> [Int] {
        let most = max(least, room - reserved)
        let usually = choices.chance(1, in: 40) ? most : min(most, 3)
        let ids = try choices.list(count: least...most, usually: usually, like: target) { choices, id in
            try choices.integer(in: 0...(vocabulary - 1), like: id)
        }
        room -= ids.count
        return ids
    }

    // MARK: Recovering

    private static func parts(of batch: Batch) throws -> (questions: [Part], end: [Int]) {
        var next = 0
        func part(_ range: Range<Int>, _ order: DecisionOrder) -> Part {
            defer { next = range.upperBound }
            return Part(
                before: batch.tokens[next..<range.lowerBound].map(\.id), text: batch.tokens[range].map(\.id),
                order: order)
        }
        let questions = try Questions(batch.tokens).all.map { question in
            var asked = part(question.text, question.order)
            asked.options = question.options.map { part($0, .option) }
            return asked
        }
        return (questions, batch.tokens[next...].map(\.id))
    }
}
