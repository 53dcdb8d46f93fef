import Architectures
import Engines
import Faults
import Foundation
import PropertyTesting

/// How soon a known fault is found, and how small the case that shows it becomes.
public struct FaultTrial: Sendable {
    public var fault: Fault
    /// Cases until it was found, the one that found it included; nil: it was not.
    public private(set) var cases: UInt64?
    /// The same without steering, of a plan that steers.
    public private(set) var unsteeredCases: UInt64?
    public private(set) var shrunk: ShrunkCase?
    /// What shrinking took.
    public private(set) var duration = Duration.zero
    /// How it is known that no case of fewer layers or tokens shows the fault; nil: one does, or the fault was not
    /// found.
    public private(set) var minimality: Minimality?

    public enum Minimality: Sendable {
        /// No case of any architecture can have fewer.
        case least
        /// Of so many random cases of the architecture and check that have fewer, none fails.
        case noneSmaller(Int)
    }

    public struct Limits: Sendable {
        /// The most cases that are judged to find a fault.
        public var cases: UInt64
        /// The most cases that shrinking may judge.
        public var shrinking = 1000
        /// Cases that are drawn to see whether a smaller one fails, and of them the most that are judged.
        public var draws = 20_000
        public var judged = 400

        public init(cases: UInt64 = 2000) { self.cases = cases }
    }

    /// Runs the cases of a plan, one after the other, on a device with the fault until it is found, and shrinks that
    /// case.
    /// - Parameters:
    ///   - fault: what is looked for.
    ///   - plan: the cases.
    ///   - engines: with the fault in the device under test.
    ///   - limits: how many cases are judged.
    ///   - isCancelled: asked before each case.
    /// - Throws: `MetadataError` or `GraphError` for a defect of an architecture's domains.
    public init(
        _ fault: Fault, _ plan: FuzzPlan, _ engines: EngineSet, _ limits: Limits = Limits(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws {
        self.fault = fault
        let judge = Judge(engines)
        var plan = plan
        if fault.isOfGradients { plan.checks = [.gradients] }
        if plan.isSteered {
            var plain = plan
            plain.isSteered = false
            unsteeredCases = try Self.firstFailure(of: plain, judge, limits, isCancelled).map { $0.index + 1 }
        }
        let found = try Self.firstFailure(of: plan, judge, limits, isCancelled)
        guard let (index, recording, failure) = found else { return }
        cases = index + 1
        let start = ContinuousClock.now
        let drawing = plan.drawing(of: index)
        shrunk = CaseShrinker(drawing, judge, budget: limits.shrinking)
            .shrink(recording, failure, isCancelled: isCancelled)
        duration = .now - start
        if let shrunk {
            minimality = try Self.minimality(of: shrunk.case, fault, drawing, judge, limits, isCancelled)
        }
    }

    /// - Throws: as `init`.
    private static func firstFailure(
        of plan: FuzzPlan, _ judge: Judge, _ limits: Limits, _ isCancelled: () -> Bool
    ) throws -> (index: UInt64, recording: Choices.Recording, failure: Failure)? {
        for index in 0..<limits.cases {
            if isCancelled() { return nil }
            let (subject, recording) = try plan.draw(index)
            if let failure = judge.judge(subject).compactMap(\.failure).first { return (index, recording, failure) }
        }
        return nil
    }

    /// - Throws: as `init`.
    private static func minimality(
        of found: Case, _ fault: Fault, _ drawing: CaseDrawing, _ judge: Judge, _ limits: Limits,
        _ isCancelled: () -> Bool
    ) throws -> Minimality? {
        var simplest = Choices(replaying: [])
        let layers = try DrawnModel.draw(drawing.architecture, &simplest).architecture.dimensions.layers
        if found.layers <= layers + fault.extraLayers, found.tokens <= fault.fewestTokens { return .least }

        // What can show depends on architecture and check too; a search of its own says what is there.
        var narrow = drawing
        narrow.checks = [found.check]
        var judged = 0
        for index in 0..<limits.draws where judged < limits.judged {
            if isCancelled() { return nil }
            var choices = Choices(seed: 0x5EED, stream: UInt64(index))
            var other = try narrow.draw(&choices)
            guard other.check == found.check, other.layers <= found.layers, other.tokens <= found.tokens,
                other.layers < found.layers || other.tokens < found.tokens
            else { continue }
            judged += 1
            other.devices = found.devices
            if judge.judge(other).contains(where: { $0.failure != nil }) { return nil }
        }
        return .noneSmaller(judged)
    }

    /// Tries faults side by side.
    /// - Parameters:
    ///   - faults: what is looked for.
    ///   - plan: the cases, the same for each.
    ///   - limits: how many cases are judged for each.
    ///   - jobs: how many are tried at a time.
    ///   - isCancelled: asked before each case.
    ///   - engines: makes engines with a fault.
    ///   - handle: told of each trial, in the order of the faults.
    public static func run(
        _ faults: [Fault], _ plan: FuzzPlan, _ limits: Limits = Limits(), jobs: Int,
        isCancelled: @escaping @Sendable () -> Bool = { false },
        engines: @escaping @Sendable (Fault) throws -> EngineSet,
        _ handle: @escaping @Sendable (FaultTrial) throws -> Void
    ) throws {
        try Parallel.inOrder(jobs: jobs) { _ in
        } work: { number, _ -> FaultTrial? in
            guard number < faults.count, !isCancelled() else { return nil }
            return try FaultTrial(faults[number], plan, engines(faults[number]), limits, isCancelled: isCancelled)
        } consume: { _, trial, _ in
            try handle(trial)
            return []
        }
    }
}
