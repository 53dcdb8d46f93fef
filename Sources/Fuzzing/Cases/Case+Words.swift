import Architectures
import Engines
import GGUF
import Inference
import PropertyTesting

/// What a person reads of a case.
extension Case {
    /// Its size and what is asked for: `2 layers, 5 tokens: process 4 tokens; save; process 1 token at 4`.
    public var summary: String {
        if check == .rejects { return contradiction.map { "metadata with \($0.summary)" } ?? "metadata" }
        if let tokenization { return tokenization.summary }
        let steps = script.steps.map(\.summary)
        // Long scripts are for `Case.script`; their ends say what they are.
        let shown = steps.count <= 8 ? steps : steps.prefix(6) + ["… \(steps.count - 7) more"] + steps.suffix(1)
        let changes = [transformation.map { "\($0.kind.rawValue) transformed" }].compactMap { $0 }
            + (damages ?? []).map(\.words)
        let size = ([amount(layers, "layer"), amount(tokens, "token")] + changes).joined(separator: ", ")
        return "\(size): \(shown.joined(separator: "; "))"
    }

    /// What is not as in the simplest model and session of the architecture, in as many lines of about 100 columns as
    /// it takes; what the summary has is not said again.
    public var peculiarityLines: [String] {
        var words = peculiarities.filter { if case .step = $0 { false } else { true } }.map { self.words(of: $0) }
        if script.options.context != Script.Options().context { words.append("context \(script.options.context)") }
        if check == .placement { words.append("placement \(script.placement)") }
        return words.reduce(into: []) { lines, peculiarity in
            if let last = lines.last, last.count + 2 + peculiarity.count <= 100 {
                lines[lines.count - 1] += ", \(peculiarity)"
            } else {
                if !lines.isEmpty { lines[lines.count - 1] += "," }
                lines.append(peculiarity)
            }
        }
    }
}

extension Contradiction {
    fileprivate var summary: String {
        value.map { "\(key) \($0.summary)" } ?? "no \(key)"
    }
}

extension Step {
    /// What it asks for, in a few words.
    public var summary: String {
        func range(_ from: Int, _ to: Int?) -> String {
            to.map { "positions \(from) to \($0 - 1)" } ?? "positions from \(from)"
        }
        return switch self {
        case .encode(let batch): "encode \(batch.summary)"
        case .process(let batch): "process \(batch.summary)"
        case .remove(let sequence, let from, let to):
            "remove \(range(from, to)) of \(sequence.map { "sequence \($0)" } ?? "all sequences")"
        case .keep(let sequence): "keep sequence \(sequence) only"
        case .copy(let source, let destination, 0, nil): "copy sequence \(source) to \(destination)"
        case .copy(let source, let destination, let from, let to):
            "copy \(range(from, to)) of sequence \(source) to \(destination)"
        case .shift(let sequence, let from, let to, let delta):
            "shift \(range(from, to)) of sequence \(sequence) by \(delta)"
        case .divide(let sequence, let from, let to, let divisor):
            "divide \(range(from, to)) of sequence \(sequence) by \(divisor)"
        case .save(let sequence): sequence.map { "save sequence \($0)" } ?? "save"
        case .restore(let sequence): sequence.map { "restore to sequence \($0)" } ?? "restore"
        case .clear: "clear"
        }
    }
}

extension Batch {
    /// `4 tokens`, `2 tokens at 4 of sequence 1`
    fileprivate var summary: String {
        let runs = ScriptDrawing.runs(of: self).map { run in
            let position = run.position == 0 ? "" : " at \(run.position)"
            let sequences = run.sequences.elements
            let names = sequences.map(String.init).joined(separator: ", ")
            let owner = sequences == [0] ? "" : " of sequence\(sequences.count == 1 ? "" : "s") \(names)"
            return amount(run.ids.count, "token") + position + owner
        }
        return runs.joined(separator: " and ")
    }
}

/// `1 layer`, `12 layers`
func amount(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

extension String {
    /// As a shell takes it for one argument.
    public var shellArgument: String {
        let isPlain = allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-/+:,=@".contains($0)) }
        if isPlain && !isEmpty { return self }
        return "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
