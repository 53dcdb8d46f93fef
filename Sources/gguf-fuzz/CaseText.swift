import Engines
import Fuzzing
import Inference

/// Cases as lines of text.
enum CaseText {
    /// A corpus file: what failed, the case, its metadata, and its script step by step.
    static func print(_ entry: CorpusEntry, _ file: String, full: Bool) {
        let (subject, found) = (entry.case, entry.found)
        Swift.print("\(file): \(entry.signature)")
        Swift.print("  \(entry.seen)")
        Swift.print("  \(subject.check.rawValue): \(subject.check.about)")
        let history = [
            "case \(found.index) of seed \(found.seed), version \(found.version)",
            found.evaluations.map { "shrunk in \(Format.amount($0, "run"))" },
            found.fault.map { "with the fault \($0)" },
        ]
        Swift.print("  found as \(history.compactMap { $0 }.joined(separator: ", "))")

        Swift.print("\n\(subject.summary)")
        for line in subject.peculiarityLines { Swift.print("  \(line)") }

        Swift.print("\n\(subject.metadata.count) metadata keys")
        subject.metadata.table(full: full).print()
        if let tokenization = subject.tokenization {
            Swift.print("\n\(tokenization.vocabulary.count) keys of the tokenizer")
            tokenization.vocabulary.table(full: full).print()
            let devices = subject.devices.joined(separator: ", ")
            Swift.print("\n\(Format.amount(tokenization.texts.count, "text")) on \(devices)")
            for (number, text) in tokenization.texts.enumerated() { Swift.print("  \(number)  \(text.summary)") }
            return
        }
        guard subject.check != .rejects else { return }

        let options = subject.script.options
        let place = subject.check == .placement
            ? subject.script.placement.description : subject.devices.joined(separator: ", ")
        Swift.print(
            "\nscript on \(place): context \(options.context), \(Format.amount(options.sequences, "sequence")), "
                + "micro-batches of \(options.microBatch), cache \(options.cacheType.rawValue)"
                + options.settings.all.compactMap { setting, value in
                    setting.declaration.words(value, options).map { ", \($0)" }
                }.joined())
        for (number, step) in subject.script.steps.enumerated() {
            Swift.print("  \(number)  \(step.summary)")
            switch step {
            case .encode(let batch), .process(let batch):
                // A star marks tokens whose output is wanted.
                let ids = batch.tokens.map { "\($0.id)\($0.wantsOutput ? "*" : "")" }
                Swift.print("     ids \(ids.joined(separator: " "))")
                guard batch.tokens.contains(where: { $0.order != .none }) else { continue }
                Swift.print("     orders \(batch.tokens.map { $0.order.number.description }.joined(separator: " "))")
            default: break
            }
        }
        if subject.script.steps.contains(where: { ["encode", "process"].contains($0.name) }) {
            Swift.print("  * its output is wanted")
        }
    }
}
