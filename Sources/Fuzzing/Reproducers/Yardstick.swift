import Devices
import Engines
import Inference

/// What a device's rows are held to: the reference's, and how far from them correct arithmetic may be.
final class Yardstick {
    private let reference: Reference
    private let precision: Precision
    /// What computes with it.
    private let device: String
    /// Whether any row was asked about.
    private(set) var isUsed = false
    /// Whether correct arithmetic has no bound for some row.
    private(set) var lacksFloors = false

    /// - Parameter device: what computes with this precision.
    init(_ subject: Case, _ precision: Precision, of device: String) {
        reference = Reference(LoadedCase(subject), BuiltinEngine(DeviceSet([ReferenceDevice()])))
        self.precision = precision
        self.device = device
    }

    /// - Throws: `ModelError` where the reference cannot play the script.
    func transcript() throws -> Transcript { try orModelError { try reference.transcript() } }

    /// How far a row may be from the expected one, as a part of the reference's row's length; nil: any distance.
    /// - Parameter isExact: whether the expected one is the reference's; else it has errors of its own.
    func limit(step: Int, key: Int, isExact: Bool) throws -> Double? {
        isUsed = true
        let noise = try floor()
        let row = try transcript().results[step].rows?.row(of: key) ?? []
        let floor = noise.floor(step: step, key: key) * (isExact ? 1 : 2)
        guard floor.isFinite, row.allSatisfy({ abs($0) <= precision.storage.greatest }) else {
            lacksFloors = true
            return nil
        }
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? NoiseFloor.limit * floor / length : 0
    }

    /// What the limits are, as a comment of C++.
    func limits(isExact: Bool) -> String {
        let multiple = Int(NoiseFloor.limit) * (isExact ? 1 : 2)
        return """
            The last number is a limit of the error, as a part of the row's length: \(multiple) times the noise floor\(
                isExact ? "" : ", since both rows have errors"). That is the largest error of \(NoiseFloor.samples) \
            computations in which each result is rounded at random, as far as \(device) rounds.
            """.comment
    }

    private func floor() throws -> NoiseFloor {
        try orModelError {
            let floor = try reference.floor(precision)
            while floor.sampleCount < NoiseFloor.samples { try reference.addSample(to: floor) }
            return floor
        }
    }

    private func orModelError<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let wrong as Wrong {
            throw ModelError(subject: "the script", reason: wrong.seen)
        }
    }
}
