import Inference
import Testing

@testable import Engines

@Suite("Sessions among others")
struct SessionAmongOthersTests {
    /// What sessions do, in the order in which they do it, each by the number in which it was opened.
    private final class Log {
        var lines: [String] = []
        var opened = 0
        var states: [[UInt8]] = []
        /// The least that a state must have to be taken.
        var leastState = 4
    }

    private final class Recorder: ScriptSession {
        struct TooShort: Error {}
        let log: Log
        let number: Int

        init(_ log: Log) {
            self.log = log
            log.opened += 1
            number = log.opened
        }

        func encode(_ batch: Batch) -> StepResult { StepResult() }
        func process(_ batch: Batch) -> StepResult {
            log.lines.append("\(number) process")
            return StepResult(logits: Rows(keys: [0], width: 1, elements: [Double(number)]))
        }
        func remove(_ sequence: Int?, _ positions: Range<Int>) -> Bool { true }
        func keep(_ sequence: Int) {}
        func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) -> Bool { true }
        func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) {}
        func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) {}
        func save(_ sequence: Int?) -> [UInt8] { [1, 2, 3, 4] }
        func restore(_ state: [UInt8], _ sequence: Int?) throws {
            log.lines.append("\(number) restore \(state.count)")
            log.states.append(state)
            if state.count < log.leastState { throw TooShort() }
        }
        func clear() {}
    }

    private func play(
        _ setting: Setting, _ value: Setting.Value, _ log: Log, restoring sequence: Int?
    ) throws -> Transcript {
        var script = Script(
            placement: Placement("x"),
            steps: [
                .process(Batch([1])), .save(sequence: sequence), .restore(sequence: sequence), .process(Batch([2])),
            ])
        script.options.settings[setting] = value
        return try script.play { try SessionAmongOthers.open(script) { Recorder(log) } }
    }

    @Test("another session does all of it before this one, or each step a little earlier", arguments: [
        ("none", 1, ["1 process", "1 restore 4", "1 process"]),
        ("before", 2, ["1 process", "1 restore 4", "1 process", "2 process", "2 restore 4", "2 process"]),
        ("beside", 2, ["1 process", "2 process", "1 restore 4", "2 restore 4", "1 process", "2 process"]),
    ])
    func others(_ which: String, sessions: Int, lines: [String]) throws {
        let log = Log()
        let transcript = try play(.otherSessions, .name(which), log, restoring: nil)
        #expect(log.lines == lines)
        #expect(transcript.failure == nil && transcript.results.last?.rows?.elements == [Double(sessions)])
    }

    @Test("all of a state is restored into a session that was opened for it, one sequence's is not")
    func newSession() throws {
        let (all, one) = (Log(), Log())
        _ = try play(.restoresAnew, .flag(true), all, restoring: nil)
        #expect(all.lines == ["1 process", "2 restore 4", "2 process"])
        _ = try play(.restoresAnew, .flag(true), one, restoring: 0)
        #expect(one.lines == ["1 process", "1 restore 4", "1 process"])
    }

    @Test("states that are cut short are tried first, and it is a failure if one is taken")
    func cutStates() throws {
        let log = Log()
        #expect(try play(.cutStates, .flag(true), log, restoring: 0).failure == nil)
        #expect(log.lines == ["1 process"] + [2, 3, 4].map { "1 restore \($0)" } + ["1 process"])
        let careless = Log()
        careless.leastState = 3
        let failure = try #require(try play(.cutStates, .flag(true), careless, restoring: nil).failure)
        #expect(failure.step == 2 && failure.reason == "restores a state of 4 bytes from the first 3")
    }

    @Test("a state is damaged for a session of its own, which goes on with it if it takes it", arguments: [
        (1, [255, 255, 255, 255]), (2, [2, 2, 3, 4]), (3, [0, 0, 0, 0]), (5, [2, 2, 3, 4]),
    ] as [(Int, [UInt8])])
    func damagedStates(_ number: Int, state: [UInt8]) throws {
        let log = Log()
        #expect(try play(.damagedStates, .number(number), log, restoring: 0).failure == nil)
        #expect(log.lines == ["1 process", "2 restore 4", "1 restore 4", "2 process", "1 process"])
        #expect(log.states == [state, [1, 2, 3, 4]])
        let refusing = Log()
        refusing.leastState = 5
        _ = try play(.damagedStates, .number(number), refusing, restoring: 0)
        #expect(refusing.lines == ["1 process", "2 restore 4", "1 restore 4"])
    }

    @Test("what fails in the session before is told of the step at which it fails in this one")
    func failureBefore() throws {
        let log = Log()
        log.leastState = 5
        let failure = try #require(try play(.otherSessions, .name("before"), log, restoring: nil).failure)
        #expect(failure.step == 2 && log.lines.count == 4)
    }

    @Test("a state that is empty cannot be cut short")
    func emptyState() throws {
        let log = Log()
        log.leastState = 0
        var cutting = Script(placement: Placement("x"), steps: [.restore(sequence: nil)])
        cutting.options.settings[.cutStates] = .flag(true)
        #expect(try cutting.play { try SessionAmongOthers.open(cutting) { Recorder(log) } }.failure == nil)
        #expect(log.lines == ["1 restore 0"])
    }
}
