import Devices
import Engines
import Fuzzing
import Inference

/// How far results may be apart that were made by correct arithmetic: the noise floors of both sides together.
///
/// The reference runs the same tokens exactly, and again with random rounding, as for a case of `run`.
struct ReferenceNoise {
    private let model: any EngineModel
    private let script: Script
    private let expected: ResultsFile
    private let exact: Transcript
    private var floors: [NoiseFloor]
    /// Step and key of each row.
    private let places: [(step: Int, key: Int)]

    /// - Throws: `CommandError` that names the model where the reference cannot run it.
    init(
        _ evaluation: Evaluation, of file: ModelFile, expected: ResultsFile, found precision: Precision
    ) throws {
        (model, script, exact, places, floors) = try CommandError.naming(file.path) {
            try ProgressLine.during("\(file.path): the reference") { _ in
                let engine = BuiltinEngine(.all { $0 == EngineSet.reference })
                let model = try engine.load(file.source)
                let script = evaluation.script(Placement(EngineSet.reference), threads: nil)
                let exact = try Self.run(script, model, expected)
                let places = exact.results.enumerated().flatMap { step, result in
                    (script.steps[step].processed != nil ? result.rows?.keys ?? [] : []).map { (step: step, key: $0) }
                }
                // One floor where both sides compute alike.
                let floors = Set([precision, expected.origin.precision]).map { precision in
                    NoiseFloor(script, exact: exact, precision: precision)
                }
                return (model, script, exact, places, floors)
            }
        }
        self.expected = expected
        isSymmetric = precision == expected.origin.precision
    }

    private let isSymmetric: Bool

    /// Whether a choice among experts was so narrow that correct arithmetic may choose otherwise.
    var hasTies: Bool { floors.contains { $0.hasNarrowDecisions } }

    /// The difference of each row as a multiple of what correct arithmetic may make.
    mutating func multiples(_ found: Results) throws -> [Double] {
        var multiples = self.multiples(of: found)
        while floors.contains(where: { $0.needsSample(for: multiples) }) {
            for floor in floors { try floor.addSample { try Self.run($0, model, expected) } }
            multiples = self.multiples(of: found)
        }
        return multiples
    }

    private func multiples(of found: Results) -> [Double] {
        places.enumerated().map { index, place in
            let other = expected.row(index).map(Double.init)
            let own = Self.kept(found.rows.row(at: index), expected.tops(index))
            let sum = floors.reduce(0) { $0 + $1.floor(step: place.step, key: place.key) } * (isSymmetric ? 2 : 1)
            // The file's own rounding to float32.
            let rounding = Precision.Format.float32.unit * other.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let difference = distance(own[...], other[...])
            return difference == 0 ? 0 : difference / max(sum, rounding, .leastNormalMagnitude)
        }
    }

    /// What a script gives on the reference, only the tokens that the file keeps.
    private static func run(_ script: Script, _ model: any EngineModel, _ expected: ResultsFile) throws -> Transcript {
        var transcript = try model.run(script)
        if let failure = transcript.failure { throw CommandError("the reference failed: \(failure.reason)") }
        guard expected.tops != nil else { return transcript }
        var index = 0
        for step in transcript.results.indices where script.steps[step].processed != nil {
            guard let rows = transcript.results[step].logits else { continue }
            var elements: [Double] = []
            for row in rows.keys.indices {
                elements += kept(rows.row(at: row), expected.tops(index))
                index += 1
            }
            transcript.results[step].logits = Rows(keys: rows.keys, width: expected.width, elements: elements)
        }
        return transcript
    }

    private static func kept(_ row: ArraySlice<Double>, _ tops: ArraySlice<Int32>?) -> [Double] {
        tops.map { $0.map { row[row.startIndex + Int($0)] } } ?? Array(row)
    }
}
