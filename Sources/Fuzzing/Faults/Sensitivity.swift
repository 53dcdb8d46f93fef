import Devices
import Engines
import Faults
import GGUF
import Inference

/// How small an error is still caught: of weights of one type, the results of one tensor's products multiplied by
/// `1 + ε`.
///
/// A row's error grows as ε does, so that one run of a case with a fault of some ε says at which the case would begin
/// to fail.
public struct Sensitivity: Sendable {
    public var type: TensorType
    /// Cases that have such a tensor.
    public private(set) var cases = 0
    /// At which ε each of them begins to fail, ascending; those that do not at 1 are left out.
    public private(set) var thresholds: [Double] = []

    /// The least ε that one of the cases catches; nil: none.
    public var least: Double? { thresholds.first }
    /// Which half of the cases catch.
    public var median: Double? { 2 * thresholds.count > cases ? thresholds[cases / 2] : nil }

    /// The errors that are tried, until one is far enough above the limit to be measured.
    private static let errors = [0x1p-8, 0x1p-4, 1]

    /// - Parameters:
    ///   - type: of the weights.
    ///   - plan: what cases are drawn from.
    ///   - cases: that are drawn; those whose model has no rows of whole blocks of the type are left out.
    ///   - isCancelled: asked before each case.
    ///   - engines: makes engines whose device `cpu` has a fault.
    /// - Throws: `MetadataError` or `GraphError` for a defect of an architecture's domains, and what making engines
    ///   throws.
    public init(
        _ type: TensorType, _ plan: FuzzPlan, cases: UInt64, isCancelled: () -> Bool = { false },
        engines: (Fault) throws -> EngineSet
    ) throws {
        self.type = type
        var plan = plan
        plan.checks = [.agrees]
        for index in 0..<cases {
            if isCancelled() { return }
            var subject = try plan.draw(index).case
            subject.recipe = WeightRecipe(seed: subject.recipe.seed, type: type)
            guard subject.check == .agrees, let tensor = try Self.tensor(of: type, in: subject) else { continue }
            self.cases += 1
            for error in Self.errors {
                let verdict = Judge(
                    try engines(.scaling(tensor, by: 1 + error)), provesFailures: false).judge(subject)[0]
                // Just above the limit, the device's own error counts as well.
                guard let worst = verdict.worst, worst > 2 * NoiseFloor.limit else { continue }
                thresholds.append(error * NoiseFloor.limit / worst)
                break
            }
        }
        thresholds.sort()
    }

    /// The first tensor of a type that activations are multiplied with.
    private static func tensor(of type: TensorType, in subject: Case) throws -> String? {
        try Inventory(subject.metadata, optional: .only(Set(subject.optionalTensors)), recipe: subject.recipe).tensors
            .first { $0.type == type && $0.role == .projection && $0.shape.rank > 1 }?.name
    }
}
