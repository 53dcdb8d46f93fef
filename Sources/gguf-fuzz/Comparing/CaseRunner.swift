import Architectures
import GGUF
import Inference

/// What came of one case.
struct CaseResult: Sendable {
    var architecture: String
    var index: UInt64
    /// One for each device; the first is the reference. Fewer where the reference itself failed.
    var measurements: [Measurement]
}

/// One case on one device.
struct Measurement: Sendable {
    var device: String
    /// From drawing the weights to the results.
    var duration: Duration
    /// NMSE of the worst row against the reference.
    var error: Double
    /// Why the case failed here.
    var failure: String?
    var fallbacks: [String]
}

/// Runs cases on every device and compares with the first.
struct CaseRunner: Sendable {
    var seed: UInt64
    var type: TensorType
    var adversities: [Adversity]
    var tolerance: Double
    var devices: DeviceSet
    /// The first is the reference's.
    var placements: [Placement]
    var isStrict: Bool

    func run(_ architecture: any Architecture.Type, _ index: UInt64) -> CaseResult {
        var result = CaseResult(architecture: architecture.name, index: index, measurements: [])
        var expected: Evaluation?
        for placement in placements {
            Terminal.progress("\(architecture.name), case \(index), \(placement.defaultDevice)")
            var measurement = Measurement(device: placement.defaultDevice, duration: .zero, error: 0, fallbacks: [])
            let start = ContinuousClock.now
            do {
                let toy = try Toy(architecture, seed: seed, index: index, type: type, adversities: adversities)
                let session = try Session(
                    toy.model, placement: placement, devices: devices, options: SessionOptions(isStrict: isStrict))
                measurement.fallbacks = session.fallbacks.map(\.description)
                let found = try Evaluation(session, tokens: toy.tokens, encoderTokens: toy.tokens)
                measurement.duration = .now - start
                if let expected {
                    compare(found, expected, &measurement)
                } else {
                    expected = found
                    if found.rows.elements.doubles.contains(where: { !$0.isFinite }) {
                        measurement.failure = "\(found.kind.rawValue) are not finite"
                    }
                }
            } catch {
                measurement.duration = .now - start
                measurement.failure = "\(error)"
            }
            result.measurements.append(measurement)
            if expected == nil { break }
        }
        return result
    }

    private func compare(_ found: Evaluation, _ expected: Evaluation, _ measurement: inout Measurement) {
        guard found.kind == expected.kind, found.rows.keys == expected.rows.keys else {
            measurement.failure = "gives other rows than the reference"
            return
        }
        let comparison = RowComparison(expected: expected.values, found: found.values)
        measurement.error = comparison.worstError
        if comparison.worstError > tolerance {
            measurement.failure = "NMSE \(Format.error(comparison.worstError)) in row \(comparison.worst) of \(comparison.errors.count)"
        }
    }
}
