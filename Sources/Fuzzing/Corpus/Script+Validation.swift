import Engines
import Inference

extension Script {
    /// What no session can be asked for, whatever its model, as a file edited by hand may have it; nil where there is
    /// nothing of the kind.
    var absurdity: String? {
        guard (1...SequenceSet.capacity).contains(options.sequences) else {
            return "options.sequences: must be 1 to \(SequenceSet.capacity)"
        }
        let sizes = 1...(1 << 24)
        guard sizes.contains(options.context) else { return "options.context: must be 1 to \(sizes.upperBound)" }
        guard sizes.contains(options.microBatch) else { return "options.microBatch: must be 1 to \(sizes.upperBound)" }
        for (number, step) in steps.enumerated() {
            if let reason = absurdity(of: step) { return "steps[\(number)].\(step.name): \(reason)" }
        }
        return nil
    }

    private func absurdity(of step: Step) -> String? {
        let numbers = 0...Int(Int32.max)
        func check(_ sequence: Int?, _ positions: Int?...) -> String? {
            if let sequence, !(0..<options.sequences).contains(sequence) { return "there is no sequence \(sequence)" }
            let areLegal = positions.compactMap { $0 }.allSatisfy(numbers.contains)
            return areLegal ? nil : "a position must be 0 to \(numbers.upperBound)"
        }
        switch step {
        case .encode(let batch), .process(let batch):
            for token in batch.tokens {
                guard numbers.contains(token.number) else {
                    return "there is no token \(token.id)"
                }
                guard !token.sequences.elements.isEmpty else { return "a token of no sequence" }
                for sequence in token.sequences.elements {
                    if let reason = check(sequence, token.position) { return reason }
                }
            }
            return nil
        case .remove(let sequence, let from, let to): return check(sequence, from, to)
        case .keep(let sequence): return check(sequence)
        case .copy(let source, let destination, let from, let to):
            return check(source, from, to) ?? check(destination)
        case .shift(let sequence, let from, let to, let delta):
            let isFar = !(-numbers.upperBound...numbers.upperBound).contains(delta)
            return check(sequence, from, to) ?? (isFar ? "by \(delta): is too far" : nil)
        case .divide(let sequence, let from, let to, let divisor):
            let isLegal = (1...numbers.upperBound).contains(divisor)
            return check(sequence, from, to) ?? (isLegal ? nil : "by \(divisor): must be 1 to \(numbers.upperBound)")
        case .save(let sequence), .restore(let sequence): return check(sequence)
        case .clear: return nil
        }
    }
}
