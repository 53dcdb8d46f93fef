import Devices
import Engines
import Foundation
import GGUF
import Inference

extension Trial {
    mutating func compareWithReference(_ found: Transcript) throws {
        let expected = try reference.transcript()
        try compare(found, with: expected, isExact: true)
    }

    /// Two transcripts of the same steps.
    mutating func compare(_ found: Transcript, with expected: Transcript, isExact: Bool = false) throws {
        guard found.results.count == expected.results.count else {
            throw Wrong(
                stage: "session", kind: "mismatch",
                seen: "\(found.results.count) of \(expected.results.count) steps")
        }
        for (step, (a, b)) in zip(found.results, expected.results).enumerated() {
            guard a.isDone == b.isDone else {
                throw Wrong(
                    stage: name(ofStep: step), kind: "refused step",
                    seen: "step \(step): the \(a.isDone ? "other" : "one") session says that it cannot do this")
            }
            guard a.rows?.keys == b.rows?.keys, a.rows?.width == b.rows?.width else {
                throw Wrong(
                    stage: name(ofStep: step), kind: "wrong rows",
                    seen: "step \(step): rows \(a.rows?.keys ?? []) of \(a.rows?.width ?? 0), "
                        + "expected \(b.rows?.keys ?? []) of \(b.rows?.width ?? 0)")
            }
        }
        let rows = expected.results.enumerated().flatMap { step, result in
            (result.rows?.keys ?? []).map { (step: step, key: $0) }
        }
        try judge(
            rows.map { row in
                Pair(
                    step: row.step, key: row.key, found: found.results[row.step].rows?.row(of: row.key) ?? [],
                    expected: expected.results[row.step].rows?.row(of: row.key) ?? [])
            }, isExact: isExact)
    }

    /// Some rows of a script's outputs with those of a plain one, whose last step they are of.
    mutating func compare(
        _ found: Transcript, with plain: Transcript, rows: [(key: Int, step: Int, original: Int)]
    ) throws {
        let pairs = try rows.map { row in
            guard let a = found.results[row.step].rows?.row(of: row.original) else {
                throw Wrong(
                    stage: name(ofStep: row.step), kind: "wrong rows",
                    seen: "step \(row.step): no row \(row.original)")
            }
            let isPooled = plain.results.last?.rows?.keys == [0] && plain.results.last?.rows?.row(of: row.key) == nil
            guard let b = plain.results.last?.rows?.row(of: isPooled ? 0 : row.key) else {
                throw Wrong(stage: "process", kind: "wrong rows", seen: "no row \(row.key) of a sequence by itself")
            }
            return Pair(step: row.step, key: row.original, found: a, expected: b)
        }
        try judge(pairs, isExact: false)
    }

    /// What a result is of, for signatures: a step of the script, if it is no gradient.
    private func name(ofStep step: Int) -> String {
        subject.check == .gradients ? "gradient" : subject.script.steps[step].name
    }

    /// A row, for a person.
    private func words(_ step: Int, _ key: Int) -> String {
        guard subject.check == .gradients else { return "row \(key) of step \(step)" }
        guard step > 0 else { return "the loss" }
        let tensors = (try? loaded.source().tensors) ?? []
        return "the gradient of " + (tensors.indices.contains(step - 1) ? tensors[step - 1].name : "tensor \(step - 1)")
    }

    private struct Pair {
        var step: Int
        var key: Int
        var found: ArraySlice<Double>
        var expected: ArraySlice<Double>
    }

    /// - Parameter isExact: what is expected is the reference's; else it has errors of its own.
    private mutating func judge(_ pairs: [Pair], isExact: Bool) throws {
        let different = pairs.filter { !$0.found.isIdentical(to: $0.expected) }
        if different.isEmpty && !isExact { return }
        let noise = try reference.floor(precision)
        // Beyond what the device can hold, its infinities are right.
        guard different.allSatisfy({ $0.expected.allSatisfy { !$0.isFinite || abs($0) <= precision.storage.greatest } })
        else {
            throw Discard(reason: "beyond the device's numbers")
        }
        var ratios = try ratios(different, noise, isExact: isExact)
        func sample(_ most: Int) throws {
            while noise.needsSample(for: ratios, most: most) {
                try reference.addSample(to: noise)
                ratios = try self.ratios(different, noise, isExact: isExact)
            }
        }
        try sample(NoiseFloor.fewSamples)
        // What is far beyond the limit stays there, unless that is to be proved.
        let isCertain = ratios.max() ?? 0 > 16 * NoiseFloor.limit
        if let wrong = wrong(different, ratios), !isCertain || needsProof(wrong) {
            try sample(NoiseFloor.samples)
            if needsProof(wrong) { try sample(NoiseFloor.mostSamples) }
        }
        if let accusation = wrong(different, ratios) {
            switch try goesAnotherWay(different, ratios, noise, isExact: isExact) {
            case .wrong:
                worst = ratios.max()
                throw accusation
            case .undecided: throw Discard(reason: "ties: more than \(Ways.most) ways to choose among experts")
            case .right: ratios = ratios.filter { $0 <= NoiseFloor.limit }
            }
        }
        worst = max(worst ?? 0, ratios.max() ?? 0)
    }

    /// Whether rows beyond the limit are right for another way in which narrow decisions may go: of two runs of a
    /// device, each for a way of its own.
    private func goesAnotherWay(
        _ pairs: [Pair], _ ratios: [Double], _ noise: NoiseFloor, isExact: Bool
    ) throws -> Ways.Answer {
        guard noise.hasNarrowDecisions else { return .wrong }
        let beyond = zip(pairs, ratios).filter { $0.1 > NoiseFloor.limit }.map(\.0)
        let exact = try reference.transcript()
        var rows = beyond.map { Ways.Row(step: $0.step, key: $0.key, found: $0.found) }
        if !isExact { rows += beyond.map { Ways.Row(step: $0.step, key: $0.key, found: $0.expected) } }
        let wrong = rows.filter { row in
            guard let right = exact.results[row.step].rows?.row(of: row.key) else { return true }
            return distance(row.found, right) > NoiseFloor.limit * noise.floor(step: row.step, key: row.key)
        }
        guard !wrong.isEmpty else { return .right }
        return try reference.explain(wrong, noise)
    }

    /// What does not hold where the worst row's error, as a multiple of its noise floor, is beyond the limit.
    private func wrong(_ pairs: [Pair], _ ratios: [Double]) -> Wrong? {
        let limit = NoiseFloor.limit
        guard let failed = zip(pairs, ratios).map({ (pair: $0, ratio: $1) }).max(by: { $0.ratio < $1.ratio }),
            failed.ratio > limit
        else { return nil }
        let isFinite = failed.pair.found.allSatisfy(\.isFinite)
        let (step, key) = (failed.pair.step, failed.pair.key)
        return Wrong(
            stage: name(ofStep: step),
            kind: isFinite || !failed.pair.expected.allSatisfy(\.isFinite) ? "mismatch" : "not finite",
            seen: isFinite
                ? "\(words(step, key)): error \(Self.text(failed.ratio)) times its noise floor, "
                    + "limit \(Int(limit)); \(Self.text(relativeError(failed.pair))) of the row's length"
                : "\(words(step, key)): not finite")
    }

    /// The error of each row, as a multiple of its noise floor: of twice that, where what is expected has an error too.
    private func ratios(_ pairs: [Pair], _ noise: NoiseFloor, isExact: Bool) throws -> [Double] {
        try pairs.map { pair in
            let floor = noise.floor(step: pair.step, key: pair.key) * (isExact ? 1 : 2)
            guard floor.isFinite else { throw Discard(reason: "no noise floor: results overflow") }
            return distance(pair.found, pair.expected) / max(floor, .leastNormalMagnitude)
        }
    }

    private func relativeError(_ pair: Pair) -> Double {
        distance(pair.found, pair.expected)
            / max(length(pair.expected), .leastNormalMagnitude)
    }

    private static func text(_ number: Double) -> String {
        number.isFinite ? String(format: number < 1e4 && number > 0.01 ? "%.3g" : "%.1e", number) : "\(number)"
    }

    /// Whether each sequence holds what it should, where the engine says what it holds.
    func expectExtents(of transcript: Transcript, _ script: Script) throws {
        guard transcript.results.contains(where: { $0.extents != nil }) else { return }
        let traits = try loaded.sessionTraits()
        var state = ScriptState(traits, script.options)
        // What lies before a window need not be saved, so that it is not there after a removal of what was.
        var isOfWindows = false
        for (number, (step, result)) in zip(script.steps, transcript.results).enumerated() {
            if result.isDone { state.apply(step) }
            if case .restore = step { isOfWindows = traits.hasWindows }
            if isOfWindows { return }
            for (sequence, extent) in (result.extents ?? []).enumerated() where sequence < state.histories.count {
                let positions = state.histories[sequence].map(\.position)
                // What lies before a window, and before the last token of a recurrent state, may be forgotten.
                let isForgetful = traits.hasWindows || traits.isRecurrent
                let expected = StepResult.Extent(
                    least: isForgetful ? extent.least : positions.min() ?? -1, greatest: positions.max() ?? -1)
                guard extent == expected else {
                    throw Wrong(
                        stage: step.name, kind: "wrong positions",
                        seen: "step \(number): sequence \(sequence) holds positions \(extent.least) to "
                            + "\(extent.greatest), expected \(expected.least) to \(expected.greatest)")
                }
            }
        }
    }

    func expectIdentical(_ first: Transcript, _ second: Transcript, _ what: String) throws {
        for (step, (a, b)) in zip(first.results, second.results).enumerated() {
            let isSame = switch (a.rows, b.rows) {
            case (nil, nil): a.isDone == b.isDone
            case (let a?, let b?): a.isIdentical(to: b)
            default: false
            }
            guard isSame else {
                throw Wrong(
                    stage: name(ofStep: step), kind: "other bits",
                    seen: "\(what) gives other bits in step \(step)")
            }
        }
    }

    func expectSame(_ file: GGUFFile, as source: any TensorSource) throws {
        // What has numbers of its own for what a file says may say them in another way: its outputs tell.
        for (key, value) in source.metadata where refusesOnlyInvalid && file.metadata[key] != value {
            throw Wrong(
                stage: "save", kind: "other metadata",
                seen: "\(key) is \(file.metadata[key]?.summary ?? "missing"), was \(value.summary)")
        }
        for tensor in source.tensors {
            guard let found = file.tensor(named: tensor.name) else {
                throw Wrong(stage: "save", kind: "other tensors", seen: "\(tensor.name) is missing")
            }
            let isSame = try source.data(of: tensor).littleEndian().withBytes { bytes in
                file.withBytes(of: found) { $0.isIdentical(to: bytes) }
            }
            guard found.type == tensor.type, isSame else {
                throw Wrong(stage: "save", kind: "other tensors", seen: "\(tensor.name) has changed")
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The same bytes, compared by the library's routine: a loop over them takes as long as loading the model.
    fileprivate func isIdentical(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count, let start = baseAddress, let otherStart = other.baseAddress else {
            return count == other.count
        }
        return memcmp(start, otherStart, count) == 0
    }
}
