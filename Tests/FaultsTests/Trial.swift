import Architectures
import Devices
import Faults
import GGUF
import Inference
import PropertyTesting

/// A toy model and a session's script, drawn at random, with what the reference makes of it.
struct Trial {
    let architecture: String
    let model: Model
    let options: SessionOptions
    private(set) var steps: [Step] = []
    /// Rows of all outputs, in order.
    private(set) var expected: [[Double]] = []
    /// Of all batches, the encoder's included.
    private(set) var tokenCount = 0

    enum Step {
        case encode(Batch)
        case process(Batch)
        case remove(Int, Range<Int>)
        case copy(Int, to: Int)
        case shift(Int, by: Int)
        case restoreSequence(Int, to: Int)
        case restoreAll
    }

    /// - Parameter budget: the most tokens that the script may take.
    init(_ type: any Architecture.Type, seed: UInt64, budget: Int) throws {
        architecture = type.name
        var choices = Choices(seed: seed, stream: 1)
        let drawn = try DrawnModel.draw(type, &choices)
        let recipe = WeightRecipe(
            seed: seed, type: choices.element(of: [.f32, .f32, .f16, .bf16, .q8_0, .q4_0]),
            adversities: choices.integer(in: 0...3) == 3 ? [choices.element(of: Adversity.allCases)] : [])
        model = try Model(MemorySource(drawn.metadata, optional: .only(drawn.optionalTensors), recipe: recipe))

        let traits = drawn.architecture.traits
        let pooling: Pooling? =
            traits.pooling == .rank || traits.decides || choices.integer(in: 0...3) < 3
            ? nil : choices.element(of: [.mean, .cls, .last])
        let seesBatch = traits.isBidirectional || traits.hasEncoder || (pooling ?? traits.pooling) != .none
            || traits.decides
        options = SessionOptions(
            context: 64, sequences: 3, microBatch: seesBatch ? 64 : choices.element(of: [64, 1, 2, 3, 5, 16]),
            cacheType: choices.integer(in: 0...3) == 3 ? .half : .full, pooling: pooling,
            wantsEmbeddings: choices.integer(in: 0...3) == 3)

        let session = try session(on: ReferenceDevice())
        var left = budget
        if traits.hasEncoder {
            let count = choices.integer(in: 1...max(1, min(4, left - 1)))
            let sequences = (0..<count).map { _ in SequenceSet(bits: UInt32(choices.integer(in: 1...7))) }
            let batch = Batch(
                (0..<count).map {
                    Batch.Token(
                        id: choices.integer(in: 0...drawn.architecture.dimensions.vocabulary - 1), position: $0,
                        sequences: sequences[$0])
                })
            try perform(.encode(batch), in: session)
            left -= count
        }
        while left > 0 {
            if let step = drawStateStep(session, &choices) {
                try perform(step, in: session)
            } else {
                let batch = drawBatch(session, &choices, left)
                left -= batch.tokens.count
                try perform(.process(batch), in: session)
            }
        }
    }

    private mutating func perform(_ step: Step, in session: Session) throws {
        if case .encode(let batch) = step { tokenCount += batch.tokens.count }
        if case .process(let batch) = step { tokenCount += batch.tokens.count }
        expected += try Self.perform(step, in: session)
        steps.append(step)
    }

    private static func perform(_ step: Step, in session: Session) throws -> [[Double]] {
        func rows(_ output: Output) -> [[Double]] {
            [output.logits, output.embeddings].compactMap { $0 }.flatMap { rows in rows.keys.indices.map(rows.row(at:))
            }
        }
        switch step {
        case .encode(let batch): return rows(try session.encode(batch))
        case .process(let batch): return rows(try session.process(batch))
        case .remove(let sequence, let positions): try session.remove(sequence, positions)
        case .copy(let source, let target): try session.copy(source, to: target)
        case .shift(let sequence, let delta): try session.shift(sequence, by: delta)
        case .restoreSequence(let source, let target):
            try session.restoreState(session.saveState(of: source), of: target)
        case .restoreAll:
            let saved = try session.saveState()
            try session.clear()
            try session.restoreState(saved)
        }
        return []
    }

    private func drawStateStep(_ session: Session, _ choices: inout Choices) -> Step? {
        let held = (0..<options.sequences).filter { session.positions(of: $0) != nil }
        guard let sequence = held.isEmpty ? nil : choices.element(of: held),
            let range = session.positions(of: sequence),
            choices.integer(in: 0...2) == 2
        else { return nil }
        let other = choices.integer(in: 0...options.sequences - 1)
        switch choices.integer(in: 0...7) {
        case 0: return .remove(sequence, .allPositions)
        case 1: return .copy(sequence, to: other)
        case 2: return .restoreSequence(sequence, to: other)
        case 3: return .restoreAll
        // Tokens that sequences share cannot be shifted.
        case 4...6: return session.canShift && held.count == 1 ? .shift(sequence, by: choices.integer(in: 1...9)) : nil
        default: return .remove(sequence, choices.integer(in: range)..<range.upperBound + 1)
        }
    }

    private func drawBatch(_ session: Session, _ choices: inout Choices, _ left: Int) -> Batch {
        if model.architecture.traits.decides { return drawPrompt(session, &choices, max(2, left)) }
        let whole = choices.integer(in: 0...2) == 2
        let count = whole ? left : choices.integer(in: 1...left)
        let isMixed = choices.boolean()
        let (start, wants) = (choices.integer(in: 0...2), choices.integer(in: 0...2))
        var next = (0..<3).map {
            model.architecture.traits.isBidirectional ? 0 : (session.positions(of: $0)?.upperBound ?? -1) + 1
        }
        return Batch(
            (0..<count).map { index in
                let sequence = isMixed ? choices.integer(in: 0...2) : start
                defer { next[sequence] += 1 }
                return Batch.Token(
                    id: choices.integer(in: 0...model.architecture.dimensions.vocabulary - 1), position: next[sequence],
                    sequences: SequenceSet(sequence),
                    wantsOutput: wants == 0 || wants == 1 && index == count - 1 || wants == 2 && choices.boolean())
            })
    }

    /// Two questions with two options each, as far as tokens suffice, at random places.
    private func drawPrompt(_ session: Session, _ choices: inout Choices, _ count: Int) -> Batch {
        let sequence = choices.integer(in: 0...2)
        let first = choices.integer(in: 0...count - 2)
        let kinds = [DecisionOrder.noul, .choice, .score]
        return Batch(
            (0..<count).map { index in
                let place = index - first
                let order: DecisionOrder = switch place {
                case ..<0: .none
                // What comes last asks nothing.
                case 0, 4 where index + 1 < count: choices.element(of: kinds)
                case 1, 3, 5: .option
                default: choices.integer(in: 0...1) == 0 ? .none : .option
                }
                return Batch.Token(
                    id: choices.integer(in: 0...model.architecture.dimensions.vocabulary - 1), position: index,
                    sequences: SequenceSet(sequence), order: order)
            })
    }

    private func session(on device: any Device) throws -> Session {
        try Session(model, placement: Placement(device.name), devices: DeviceSet([device]), options: options)
    }

    /// Rows of all outputs, in order.
    func rows(on device: any Device) throws -> [[Double]] {
        let session = try session(on: device)
        return try steps.flatMap { try Self.perform($0, in: session) }
    }

    /// The greatest relative error of a row on a device; infinite for NaN that the reference lacks, and errors.
    func error(on device: any Device) -> Double {
        guard let found = try? rows(on: device), found.count == expected.count else { return .infinity }
        return zip(found, expected).map { Self.error($0, $1) }.max() ?? 0
    }

    private static func error(_ found: [Double], _ expected: [Double]) -> Double {
        // Tokens that cannot be chosen have no logit.
        let power = expected.reduce(0) { $1 == -.infinity ? $0 : $0 + $1 * $1 }
        guard power.isFinite else { return 0 }
        let error = zip(found, expected).reduce(0) { $1.0 == $1.1 ? $0 : $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        return error.isFinite ? (error == 0 ? 0 : (error / power).squareRoot()) : .infinity
    }
}

/// Looks for trials in which faults show.
struct Search {
    /// Of the trials in which each fault has shown.
    private(set) var fewestTokens: [String: Int] = [:]
    private let devices: [(fault: Fault, device: FaultyDevice)]
    private let cpu = CPUDevice()

    init(_ faults: [Fault]) {
        // One device for all trials: what a race does depends on what a device did before.
        devices = faults.map { [cpu] in ($0, FaultyDevice(cpu, $0)) }
    }

    /// Faults that have not shown.
    var missing: [String] { devices.map(\.fault.name).filter { fewestTokens[$0] == nil } }

    /// Tries the faults that have not shown with so few tokens, or should not.
    mutating func run(_ trial: Trial) {
        let clean = trial.error(on: cpu)
        // Ill-conditioned, or a tie.
        guard clean < 3e-6 else { return }
        for (fault, device) in devices {
            let fewest = fewestTokens[fault.name] ?? .max
            guard trial.tokenCount < fewest else { continue }
            let error = trial.error(on: device)
            if error > 1e-5, error > 10 * clean { fewestTokens[fault.name] = trial.tokenCount }
        }
    }
}
