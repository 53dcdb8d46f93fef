import Architectures
import Engines
import Faults
import Foundation
import PropertyTesting

/// How soon a known fault is found, and how small the case that shows it becomes.
public struct FaultTrial: Sendable {
    public var fault: Fault
    /// Cases until it was found, the one that found it included; nil: it was not.
    public var cases: UInt64?
    public var shrunk: ShrunkCase?
    /// What shrinking took.
    public var duration = Duration.zero
    /// The fewest layers and tokens with which this fault can show in a model of the architecture that showed it.
    public var fewest: (layers: Int, tokens: Int)?

    /// Whether no case of fewer layers or tokens could have shown the fault.
    public var isSmallest: Bool {
        guard let shrunk, let fewest else { return false }
        return shrunk.case.layers <= fewest.layers && shrunk.case.tokens <= fewest.tokens
    }

    /// Runs the cases of a plan, one after the other, on a device with the fault until it is found, and shrinks that case.
    /// - Parameters:
    ///   - engines: with the fault in the device under test.
    ///   - limit: the most cases that are judged.
    /// - Throws: `MetadataError` or `GraphError` for a defect of an architecture's domains.
    public init(
        _ fault: Fault, _ plan: FuzzPlan, _ engines: EngineSet, limit: UInt64, budget: Int = 1000,
        isCancelled: @escaping () -> Bool = { false }
    ) throws {
        self.fault = fault
        let judge = Judge(engines)
        for index in 0..<limit {
            if isCancelled() { return }
            let (subject, recording) = try plan.draw(index)
            guard let failure = judge.judge(subject).compactMap(\.failure).first else { continue }
            cases = index + 1
            let start = ContinuousClock.now
            shrunk = CaseShrinker(plan.drawing(of: index), judge, budget: budget).shrink(recording, failure, isCancelled: isCancelled)
            duration = .now - start
            let layers = try Self.fewestLayers(plan.architecture(of: index))
            fewest = (layers + fault.extraLayers, fault.fewestTokens)
            return
        }
    }

    private static func fewestLayers(_ architecture: any Architecture.Type) throws -> Int {
        var choices = Choices(replaying: [])
        return try DrawnModel.draw(architecture, &choices).architecture.dimensions.layers
    }
}
