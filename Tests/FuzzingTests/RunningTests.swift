import Architectures
import Devices
import Engines
import Faults
import Foundation
import Inference
import Testing

@testable import Fuzzing

@Suite("Runs")
struct RunningTests {
    /// What is said of a case, without how long it took.
    private struct Said: Hashable {
        var index: UInt64
        var architecture: String
        var features: [String]
        var verdicts: [Verdict]
    }

    private final class Log: @unchecked Sendable {
        // Filled by one thread at a time: a run's events never come two at once.
        var said: [Said] = []
    }

    private func records(
        _ cases: UInt64, jobs: Int = 1, shard: (UInt64, UInt64) = (0, 1)
    ) throws -> (said: [Said], report: FuzzReport) {
        let plan = FuzzPlan(seed: 5, devices: ["cpu"], placeable: ["reference", "cpu"])
        var run = FuzzRun(plan, .cases(cases), jobs: jobs) { EngineSet(Toy.engine()) }
        run.shard = shard
        let log = Log()
        let report = try run.run(isCancelled: { false }) { event in
            guard case .judged(let record) = event else { return }
            log.said.append(
                Said(
                    index: record.index, architecture: record.architecture, features: record.features,
                    verdicts: record.verdicts))
        }
        return (log.said, report)
    }

    @Test("say the same of each case, in its order, whatever the number of jobs and shards")
    func jobsAndShards() throws {
        let (one, report) = try records(24)
        #expect(one.map(\.index) == Array(0..<24))
        #expect(report.cases == 24 && report.verdicts == 24 && report.failures == 0 && !report.wasInterrupted)
        #expect(try records(24, jobs: 3).said == one)
        let shards = try (0..<3).map { try records(24, shard: (UInt64($0), 3)).said }
        #expect(shards.map(\.count) == [8, 8, 8])
        #expect(shards.joined().sorted { $0.index < $1.index } == one)
    }

    @Test("end when they are told to, with what there is")
    func interruption() throws {
        let plan = FuzzPlan(seed: 5, architectures: [Llama.self], devices: ["cpu"], placeable: ["cpu"])
        let log = Log()
        let report = try FuzzRun(plan, .cases(1000), jobs: 1) { EngineSet(Toy.engine()) }
            .run(isCancelled: { log.said.count >= 3 }) { event in
                guard case .judged(let record) = event else { return }
                log.said.append(Said(index: record.index, architecture: "", features: [], verdicts: []))
            }
        #expect(report.wasInterrupted && report.cases == 3)
        let timed = try FuzzRun(plan, .time(.zero), jobs: 2) { EngineSet(Toy.engine()) }.run()
        #expect(timed.cases == 0)
    }

    @Test("end with the error that making an engine or telling of a case throws")
    func errors() throws {
        struct Failed: Error {}
        let plan = FuzzPlan(seed: 5, architectures: [Llama.self], devices: ["cpu"], placeable: ["cpu"])
        #expect(throws: Failed.self) { try FuzzRun(plan, .cases(10), jobs: 2) { throw Failed() }.run() }
        #expect(throws: Failed.self) {
            try FuzzRun(plan, .cases(10), jobs: 2) { EngineSet(Toy.engine()) }.run(isCancelled: { false }) { _ in
                throw Failed()
            }
        }
    }

    @Test("find a known fault, and cut it down to the least there can be")
    func faults() throws {
        let fault = try FaultCatalogue.named("window-off-by-one")
        let plan = FuzzPlan(
            seed: 2, architectures: [Gemma2.self], checks: [.agrees], devices: ["cpu"], placeable: ["reference", "cpu"])
        let engines = EngineSet(BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault))
        let trial = try FaultTrial(fault, plan, engines, FaultTrial.Limits(cases: 60))
        let shrunk = try #require(trial.shrunk)
        #expect(trial.cases ?? 0 > 0 && !shrunk.isFlaky)
        #expect(shrunk.case.layers == 1 && shrunk.case.tokens == fault.fewestTokens)
        if case .least? = trial.minimality {} else { Issue.record("\(String(describing: trial.minimality))") }
        // What was cut down is drawn by its own choices.
        let space = CaseSpace(drawing: plan.drawing(of: 0))
        #expect(try #require(space.replay(shrunk.recording)).metadata == shrunk.case.metadata)
    }

    @Test("do not find a fault that is not there")
    func noFault() throws {
        let plan = FuzzPlan(
            seed: 2, architectures: [GPT2.self], checks: [.agrees], devices: ["cpu"], placeable: ["reference", "cpu"])
        let fault = try FaultCatalogue.named("routing-ignores-groups")
        let engines = EngineSet(BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault))
        let trial = try FaultTrial(fault, plan, engines, FaultTrial.Limits(cases: 5))
        #expect(trial.cases == nil && trial.shrunk == nil && trial.minimality == nil)
    }

    @Test("a fuzz suite says what it cannot do")
    func suites() {
        let engine: @Sendable () -> any Engine = { Toy.engine() }
        #expect(throws: UnknownDevice.self) { try FuzzSuite(devices: ["gpu"], cases: 1, engine: engine).verify() }
        #expect(throws: MetadataError.self) {
            try FuzzSuite(architectures: ["lama"], cases: 1, engine: engine).verify()
        }
        #expect(throws: NothingChecked.self) { try FuzzSuite(cases: 0, engine: engine).verify() }
        #expect(throws: CorpusError.self) { try FuzzSuite(engine: engine).replay("/nowhere/at/all.json") }
    }
}
