import Foundation

/// What tells a good revision from a bad one: it is built, and then something is run.
struct RevisionTest {
    var build: String
    var test: Test
    /// For each of the two.
    var timeout: Duration?

    enum Test {
        /// This program, with arguments: status 0 is good, 1 bad, and with 2 nothing can be said.
        case ours([String])
        /// A command: 0 is good, 125 says that nothing can be said, any other status is bad.
        case command(String)
    }

    enum Verdict: Equatable {
        /// With figures.
        case good(String), bad(String)
        /// Why nothing can be said of it.
        case skipped(String)
    }

    struct Interrupted: Error {}

    /// - Parameter progress: told what is being done.
    /// - Throws: `Interrupted`; `CommandError` where something cannot be started.
    func verdict(in checkout: Checkout, progress: (String) -> Void) throws -> Verdict {
        progress("building")
        let built = try ChildProcess.shell(build, in: checkout.folder, timeout: timeout)
        if built.end == .interrupted { throw Interrupted() }
        guard built.end == .exit(0) else { return .skipped("does not build: \(built.complaint)") }

        progress("testing")
        switch test {
        case .ours(let arguments):
            let tested = try ChildProcess(Worker.executable, arguments, in: checkout.folder, timeout: timeout)
            return try verdict(tested) { $0 == 0 ? .good : $0 == 1 ? .bad : .skip }
        case .command(let command):
            let tested = try ChildProcess.shell(command, in: checkout.folder, timeout: timeout)
            return try verdict(tested) { $0 == 0 ? .good : $0 == 125 ? .skip : .bad }
        }
    }

    private func verdict(_ tested: ChildProcess, _ mark: (Int32) -> Checkout.Mark) throws -> Verdict {
        switch tested.end {
        case .interrupted: throw Interrupted()
        // A crash or a hang is what a change may have brought.
        case .timedOut, .signal: return .bad(tested.complaint)
        case .exit(let status):
            let lines = tested.output.nonemptyLines
            // A failure before what passed.
            let figures = lines.first { $0.contains(": fails on ") } ?? lines.first ?? tested.complaint
            // An engine that cannot run a case has not passed it.
            if case .ours = test, status == 0, figures.contains(": discarded on ") { return .skipped(figures) }
            switch mark(status) {
            case .good: return .good(figures)
            case .bad: return .bad(figures)
            case .skip: return .skipped("cannot be tested: \(tested.complaint)")
            }
        }
    }
}
