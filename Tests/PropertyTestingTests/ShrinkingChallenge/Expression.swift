import PropertyTesting

/// An expression of the calculator.
indirect enum Expression: Equatable {
    case number(Int)
    case sum(Expression, Expression)
    case quotient(Expression, Expression)

    init(_ choices: inout Choices, depth: Int = 0) {
        self = choices.span("expression") { choices in
            func operand() -> Expression { Expression(&choices, depth: depth + 1) }
            return switch choices.element(of: depth < 5 ? [0, 1, 2] : [0]) {
            case 0: .number(choices.integer(in: int32, simplest: 0))
            case 1: .sum(operand(), operand())
            default: .quotient(operand(), operand())
            }
        }
    }

    struct DivisionByZero: Error {}

    func value() throws -> Int {
        switch self {
        case .number(let number): return number
        case .sum(let a, let b): return try a.value() &+ b.value()
        case .quotient(let a, let b):
            let (dividend, divisor) = (try a.value(), try b.value())
            guard divisor != 0 else { throw DivisionByZero() }
            return dividend / divisor
        }
    }

    /// It divides by the number zero as such.
    var dividesByLiteralZero: Bool {
        switch self {
        case .number: false
        case .sum(let a, let b): a.dividesByLiteralZero || b.dividesByLiteralZero
        case .quotient(let a, let b): b == .number(0) || a.dividesByLiteralZero || b.dividesByLiteralZero
        }
    }
}
