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
    private let engine: any Engine
    private let oracle: any Engine
    private let device: String
    /// Whether it gave no answer in time: the next one would not come either.
    private var isHung = false
    /// What explained the last question of a kind explains the next one mostly.
    private var likely: [String: Int] = [:]

    /// - Parameters:
    ///   - engine: that has the device.
    ///   - oracle: that has `reference`.
    public init(_ engine: any Engine, _ device: EngineDevice, oracle: any Engine) {
        self.engine = engine
        self.oracle = oracle
        self.device = device.name
        precision = device.precision
    }

    /// Asks everything.
    /// - Throws: what the reference throws: that is a defect of this program.
    public mutating func run() throws {
        for question in questions {
            try ask(question())
            if isHung { break }
        }
    }

    private var questions: [() -> ProbeQuestion] {
        let traits = engine.traits
        let attention = traits.cacheTypes.flatMap { cache in
            // Values in blocks can be read by flash attention only.
            [false, true].filter { $0 ? traits.choosesFlashAttention : cache.blockSize == 1 }.map { (cache, $0) }
        }
        return [ProbeQuestion.results, ProbeQuestion.subnormals]
            + WeightRecipe.drawnTypes.map { type in { .products(type) } }
            + WeightRecipe.drawnTypes.map { type in { .expertProducts(type) } }
            + attention.map { cache, isFlash in
                { .attention(cache, isFlash: isFlash, isChosen: traits.choosesFlashAttention) }
            }
            + Precision.Function.allCases.map { function in { .function(function) } }
            + ["mamba", "mamba2", "qwen3next", "rwkv7"].map { name in { .states(of: name) } }
    }

    mutating func ask(_ question: ProbeQuestion) throws {
        let measurement: ProbeMeasurement
        do {
            measurement = try ProbeMeasurement(question, engine, device, oracle)
        } catch let error as NotAsked {
            isHung = error.isHang
            answers.append(Answer(subject: question.subject, outcome: .notAsked(error.reason), error: nil))
            return
        }
        for part in question.parts {
            let found = measurement.found(part)
            var predictions: [Int: [Double]] = [:]
            func predict(_ hypothesis: Int) throws -> [Double] {
                if let known = predictions[hypothesis] { return known }
                var imitated = precision
                for part in question.parts { question.apply(question.hypotheses[hypothesis], part, &imitated) }
                let errors = try measurement.errors(of: imitated, part)
                predictions[hypothesis] = errors
                return errors
            }
            // What correct arithmetic makes in any case: errors below that say nothing.
            let least = try predict(0)
            var best: (hypothesis: Int, misfit: Double)?
            let guess = question.guess(part, precision) ?? likely[question.kind]
            for hypothesis in (guess.map { [$0] } ?? []) + question.hypotheses.indices.filter({ $0 != guess }) {
                let predicted = try predict(hypothesis)
                guard let misfit = Self.misfit(found, predicted, least: least) else { continue }
                // What explains it as well comes after what is finer or likelier.
                if best.map({ misfit < $0.misfit - Self.margin }) ?? true { best = (hypothesis, misfit) }
                // Only what is likely needs no comparison with all others.
                if hypothesis == guess, misfit < Self.fit { break }
            }
            if question.isStrict, best?.misfit ?? 0 > Self.strict { best = (0, 0) }
            if let best { likely[question.kind] = best.hypothesis }
            // What fits none is judged by the coarsest, beyond which it is.
            let answer = question.hypotheses[best?.hypothesis ?? question.hypotheses.count - 1]
            question.apply(answer, part, &precision)
            answers.append(
                Answer(
                    subject: question.subject(part), outcome: best == nil ? .unknown : .computes("\(answer)"),
                    error: found.max()))
        }
    }

    /// By how many powers of two an error may be above what a hypothesis predicts, which has errors of its own.
    private static let tolerance = 0.6
    /// By how many it is: rounding to nearest errs less than the greatest error that it may make.
    private static let usual = -0.4
    /// How far from that, for there to be no better hypothesis to look for.
    private static let fit = 0.6
    /// How far it may be where it must fit from both sides.
    private static let strict = 2.0
    /// By how much a better one must be better.
    private static let margin = 0.2

    /// How far errors are from those predicted, in powers of two; nil where one is beyond its prediction.
    /// - Parameter least: the errors that there are in any case: below them, nothing is said.
    private static func misfit(_ found: [Double], _ predicted: [Double], least: [Double]) -> Double? {
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

/// Why a device is not asked.
struct NotAsked: Error {
    var reason: String
    var isHang = false
}

/// How far a device's rows are from the exact ones, in groups of rows that show the same.
struct ProbeMeasurement {
    private let question: ProbeQuestion
    private let models: [any EngineModel]
    private let exact: [Transcript]
    private let seen: [Transcript]

    /// - Throws: `NotAsked`, and what the reference throws.
    init(_ question: ProbeQuestion, _ engine: any Engine, _ device: String, _ oracle: any Engine) throws {
        self.question = question
        let reference = question.script.on(EngineSet.reference)
        let sources = try question.models.map { try $0() }
        models = try sources.map { try oracle.load($0) }
        exact = try models.map { try $0.run(reference) }
        if let failure = exact.lazy.compactMap(\.failure).first { throw ProbeError(question.subject, failure.reason) }
        do {
            seen = try sources.map { source in
                let transcript = try engine.load(source).run(question.script.on(device))
                if let failure = transcript.failure { throw NotAsked(reason: failure.reason) }
                return transcript
            }
        } catch let refusal as Refusal {
            throw NotAsked(reason: refusal.reason)
        } catch let unsupported as Unsupported {
            throw NotAsked(reason: unsupported.reason)
        } catch let death as EngineDeath {
            if case .hang = death.cause { throw NotAsked(reason: "\(death)", isHang: true) }
            throw NotAsked(reason: "\(death)")
        }
    }

    /// The root mean square of the errors of a part's rows, as parts of their lengths, of each model and kind.
    func found(_ part: Precision.RowCount) -> [Double] { errors(seen, part) { $0 } }

    /// What these errors are of the reference that imitates a precision.
    func errors(of precision: Precision, _ part: Precision.RowCount) throws -> [Double] {
        var script = question.script.on(EngineSet.reference)
        script.options.rounding = Rounding(
            seed: 1, precision: precision, usesFlashAttention: script.options.flashAttention, rows: part)
        // Other parts' batches are run where these depend on them.
        let steps = question.rows.filter { $0.part == part }.map(\.step)
        var numbers = Dictionary(uniqueKeysWithValues: script.steps.indices.map { ($0, $0) })
        if question.hasIndependentSteps {
            let kept = script.steps.indices.filter(steps.contains)
            numbers = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
            script.steps = kept.map { script.steps[$0] }
        }
        return errors(try models.map { try $0.run(script) }, part) { numbers[$0] ?? 0 }
    }

    private func errors(
        _ transcripts: [Transcript], _ part: Precision.RowCount, _ number: (_ step: Int) -> Int
    ) -> [Double] {
        let rows = question.rows.filter { $0.part == part }
        return transcripts.indices.flatMap { model in
            Set(rows.map(\.kind)).sorted().map { kind in
                var sum = 0.0, count = 0.0
                for row in rows where row.kind == kind {
                    guard let a = transcripts[model].results[number(row.step)].rows?.row(of: row.key),
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
}

/// A defect of a probe.
struct ProbeError: Error, CustomStringConvertible {
    var description: String
    init(_ subject: String, _ reason: String) { description = "the probe of \(subject): \(reason)" }
}
