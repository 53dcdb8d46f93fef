import Devices
import Engines
import Foundation
import GGUF
import Inference

/// Asks a device how it computes.
///
/// Small models show one thing at a time. Their rows are compared with those of the reference, exact and with the
/// rounding that each hypothesis stands for: what makes errors of the size that the device has is how it computes. It
/// goes through the `Engine` protocol as everything else, so that it asks any engine, and what an engine does not take
/// stays as it says of itself.
public struct Probe {
    /// What was asked, and what came of it.
    public struct Answer: Hashable, Sendable {
        public enum Outcome: Hashable, Sendable {
            /// By the name of the hypothesis.
            case computes(String)
            /// No hypothesis makes such errors.
            case unknown
            /// The device was not asked, and why.
            case notAsked(String)

            /// `8-bit blocks of 32`
            public var words: String {
                switch self {
                case .computes(let what): what
                case .unknown: "unknown: no hypothesis makes such errors"
                case .notAsked(let reason): "not asked: \(reason)"
                }
            }
        }
        /// `products, Q4_K, 2–8 rows`
        public var subject: String
        public var outcome: Outcome
        /// The greatest error of a row, as a part of its length; nil where it was not asked.
        public var error: Double?
    }

    /// What is known so far.
    public private(set) var precision: Precision
    public private(set) var answers: [Answer] = []
    private let device: ProbedDevice
    /// Makes the answers part of a precision.
    private var conclusions: [(inout Precision) -> Void] = []
    /// What explained the last question of a kind explains the next one mostly.
    private var likely: [String: Int] = [:]

    /// - Parameters:
    ///   - engine: that has the device.
    ///   - device: the one that is asked.
    ///   - oracle: that has `reference`.
    public init(_ engine: any Engine, _ device: EngineDevice, oracle: any Engine) {
        self.device = ProbedDevice(engine, device.name, oracle: oracle)
        precision = device.precision
    }

    /// Asks everything.
    /// - Throws: what the reference throws: that is a defect of this program.
    public mutating func run() throws {
        for stage in stages {
            let (start, lanes) = (Lane(self), Self.lanes(stage))
            let ends = Ends()
            try Parallel.inOrder(jobs: min(lanes.count, ProcessInfo.processInfo.activeProcessorCount)) { _ in
            } work: { number, _ -> Lane? in
                guard number < lanes.count else { return nil }
                var lane = start
                lane.probe.answers = []
                lane.probe.conclusions = []
                for question in lanes[number].questions { try lane.probe.ask(question) }
                return lane
            } consume: { _, lane, _ in
                ends.lanes.append(lane)
                return []
            }
            for lane in ends.lanes {
                answers += lane.probe.answers
                for apply in lane.probe.conclusions { apply(&precision) }
                likely = lane.probe.likely
            }
        }
    }

    mutating func ask(_ question: ProbeQuestion) throws { try explain(question, device.answer(to: question)) }

    /// Questions that are asked and explained one after the other, while other lanes are at theirs. A device's answers
    /// are explained alike however many processors there are.
    private static func lanes(_ questions: [ProbeQuestion]) -> [Questions] {
        let count = min(4, questions.count)
        return (0..<count).map { lane in
            Questions(
                questions: Array(questions[lane * questions.count / count..<(lane + 1) * questions.count / count]))
        }
    }

    // What one thread is at is given to another only once it is done with.
    private struct Questions: @unchecked Sendable { var questions: [ProbeQuestion] }
    private struct Lane: @unchecked Sendable {
        var probe: Probe
        init(_ probe: Probe) { self.probe = probe }
    }
    private final class Ends: @unchecked Sendable { var lanes: [Lane] = [] }

    /// Questions that do not build on the answers to each other; those of a stage may build on those of the ones
    /// before.
    private var stages: [[ProbeQuestion]] {
        let traits = device.traits
        let attention = traits.cacheTypes.flatMap { cache in
            // Values in blocks can be read by flash attention only.
            [false, true].filter { $0 ? traits.settings.contains(.flashAttention) : cache.blockSize == 1 }.map { (cache, $0) }
        }
        return [
            [.results()], [.subnormals()],
            WeightRecipe.drawnTypes.map { .products($0) },
            WeightRecipe.drawnTypes.map { .expertProducts($0) },
            attention.map { cache, isFlash in
                .attention(cache, isFlash: isFlash, isChosen: traits.settings.contains(.flashAttention))
            },
            Precision.Function.allCases.map { .function($0) },
            ["mamba", "mamba2", "qwen3next", "rwkv7"].map { .states(of: $0) },
        ]
    }

    private mutating func explain(_ question: ProbeQuestion, _ answer: ProbedDevice.Answer) throws {
        let measurement: ProbeMeasurement
        switch answer {
        case .rows(let rows): measurement = rows
        case .notAsked(let reason):
            answers.append(Answer(subject: question.subject, outcome: .notAsked(reason), error: nil))
            return
        }
        // Of a hypothesis and a model: of all parts at once.
        var predictions: [[Int]: [Precision.RowCount: [Double]]] = [:]
        func predict(_ hypothesis: Int, _ model: Int, _ part: Precision.RowCount) throws -> [Double] {
            if predictions[[hypothesis, model]] == nil {
                var imitated = precision
                for part in question.parts { question.apply(question.hypotheses[hypothesis], part, &imitated) }
                predictions[[hypothesis, model]] = try measurement.errors(of: imitated, model)
            }
            return predictions[[hypothesis, model]]?[part] ?? []
        }
        for part in question.parts {
            let found = measurement.found.map { $0[part] ?? [] }
            /// How far a hypothesis is from what was found; nil where that is no less than `bound`, which is seen from
            /// the first model that shows it.
            func misfit(_ hypothesis: Int, below bound: Double) throws -> Double? {
                var worst = 0.0
                for model in found.indices {
                    guard let misfit = Self.misfit(
                        found[model], try predict(hypothesis, model, part),
                        // What correct arithmetic makes in any case: errors below that say nothing.
                        least: try predict(0, model, part), usual: question.hypotheses[hypothesis].usualError)
                    else { return nil }
                    worst = max(worst, misfit)
                    if worst >= bound { return nil }
                }
                return worst
            }
            var best: (hypothesis: Int, misfit: Double)?
            let guess = question.guess(part, precision) ?? likely[question.kind]
            for hypothesis in (guess.map { [$0] } ?? []) + question.hypotheses.indices.filter({ $0 != guess }) {
                // What explains it as well comes after what is finer or likelier.
                let bound = best.map { $0.misfit - Self.margin } ?? .infinity
                // Nothing can be that much better.
                if bound <= 0 { break }
                guard let misfit = try misfit(hypothesis, below: bound) else { continue }
                best = (hypothesis, misfit)
                // Only what is likely needs no comparison with all others.
                if hypothesis == guess, misfit < Self.fit { break }
            }
            if question.isStrict, best?.misfit ?? 0 > Self.strict { best = (0, 0) }
            if let best { likely[question.kind] = best.hypothesis }
            // What fits none is judged by the coarsest, beyond which it is.
            let answer = question.hypotheses[best?.hypothesis ?? question.hypotheses.count - 1]
            conclusions.append { question.apply(answer, part, &$0) }
            question.apply(answer, part, &precision)
            answers.append(
                Answer(
                    subject: question.subject(part), outcome: best == nil ? .unknown : .computes("\(answer)"),
                    error: found.joined().max()))
        }
    }

    /// By how many powers of two an error may be above what a hypothesis predicts, which has errors of its own.
    private static let tolerance = 0.6
    /// How far from what is usual, for there to be no better hypothesis to look for.
    private static let fit = 0.6
    /// How far it may be where it must fit from both sides.
    private static let strict = 2.0
    /// By how much a better one must be better.
    private static let margin = 0.2

    /// How far errors are from those predicted, in powers of two; nil where one is beyond its prediction.
    /// - Parameters:
    ///   - least: the errors that there are in any case: below them, nothing is said.
    ///   - usual: by how many powers of two they are above the predictions mostly.
    private static func misfit(_ found: [Double], _ predicted: [Double], least: [Double], usual: Double) -> Double? {
        var worst = 0.0
        for ((a, b), c) in zip(zip(found, predicted), least) {
            let (a, b) = (max(a, c), max(b, c))
            if !a.isFinite && !b.isFinite { continue }
            guard a.isFinite else { return nil }
            // Where infinities are predicted, finite numbers are better than that.
            guard b.isFinite else {
                worst = max(worst, 8)
                continue
            }
            let ratio = log2(a / max(b, .leastNormalMagnitude))
            if ratio > tolerance { return nil }
            // Where both are but the error that there is in any case, that says nothing.
            worst = max(worst, a <= c && b <= c ? 0 : abs(ratio - usual))
        }
        return worst
    }
}

/// How far a device's rows are from the exact ones, in groups of rows that show the same.
struct ProbeMeasurement {
    private let question: ProbeQuestion
    private let models: [any EngineModel]
    private let exact: [Transcript]
    /// The root mean square of the errors of a part's rows, as parts of their lengths: of each model, by part, of each
    /// kind.
    private(set) var found: [[Precision.RowCount: [Double]]] = []

    /// - Parameters:
    ///   - sources: the models.
    ///   - seen: what the device made of each.
    /// - Throws: what the reference throws.
    init(
        _ question: ProbeQuestion, _ sources: [any TensorSource], _ seen: [Transcript], _ oracle: any Engine
    ) throws {
        self.question = question
        models = try sources.map { try oracle.load($0) }
        exact = try models.map { try $0.run(question.script.on(EngineSet.reference)) }
        if let failure = exact.lazy.compactMap(\.failure).first { throw ProbeError(question.subject, failure.reason) }
        found = seen.indices.map { errors(seen[$0], $0) }
    }

    /// What these errors are of one model and the reference that imitates a precision.
    func errors(of precision: Precision, _ model: Int) throws -> [Precision.RowCount: [Double]] {
        var script = question.script.on(EngineSet.reference)
        script.options.rounding = Rounding(
            seed: 1, precision: precision, usesFlashAttention: script.options.usesFlashAttention, rows: nil)
        return errors(try models[model].run(script), model)
    }

    private func errors(_ transcript: Transcript, _ model: Int) -> [Precision.RowCount: [Double]] {
        Dictionary(uniqueKeysWithValues: question.parts.map { ($0, errors(transcript, model, $0)) })
    }

    private func errors(_ transcript: Transcript, _ model: Int, _ part: Precision.RowCount) -> [Double] {
        let rows = question.rows.filter { $0.part == part }
        return Set(rows.map(\.kind)).sorted().map { kind in
            var sum = 0.0, count = 0.0
            for row in rows where row.kind == kind {
                guard let a = transcript.results[row.step].rows?.row(of: row.key),
                    let b = exact[model].results[row.step].rows?.row(of: row.key)
                else { return .infinity }
                let length = b.reduce(0) { $0 + $1 * $1 }, error = distance(a, b)
                sum += error * error / max(length, .leastNormalMagnitude)
                count += 1
            }
            return (sum / max(count, 1)).squareRoot()
        }
    }
}

/// A defect of a probe.
struct ProbeError: Error, CustomStringConvertible {
    var description: String
    init(_ subject: String, _ reason: String) { description = "the probe of \(subject): \(reason)" }
}
