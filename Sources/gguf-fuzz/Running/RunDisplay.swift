import Foundation
import Fuzzing

/// How far a run has come: on a terminal one line that is redrawn, elsewhere a line now and then.
final class RunDisplay: @unchecked Sendable {
    private let lock = NSLock()
    private var progress: ProgressLine?
    private let start = ContinuousClock.now
    private let goal: String
    private var cases: Int
    /// Those that sessions before this one did.
    private let casesBefore: Int
    private var failures = 0
    private var discards = 0
    private var architecture = ""
    /// What is being shrunk.
    private var shrinking: [UInt64: String] = [:]

    init(_ extent: FuzzRun.Extent, shard: Shard, casesBefore: Int = 0) {
        cases = casesBefore
        self.casesBefore = casesBefore
        goal = switch extent {
        case .cases(let count) where shard.count == 1: " of \(Format.count(Int(count)))"
        default: ""
        }
        progress = ProgressLine { [weak self] in self?.line ?? "" }
    }

    func show(_ event: FuzzRun.Event) {
        lock.withLock {
            switch event {
            case .judged(let record):
                cases += 1
                architecture = record.architecture
                for verdict in record.verdicts {
                    switch verdict.outcome {
                    case .passed: break
                    case .failed: failures += 1
                    case .discarded, .known: discards += 1
                    }
                }
            case .found(let finding):
                Terminal.note("failed: \(finding.failure.signature), case \(finding.index)")
            case .shrinking(let finding): shrinking[finding.index] = finding.title
            case .shrunk(let index, let finding):
                shrinking[index] = nil
                // What is of the cause of another has been said.
                if finding.index == index { Terminal.note("case \(index): \(finding.title)") }
            }
        }
    }

    /// Nothing is drawn from now on.
    func end() { progress?.end() }

    private var line: String {
        lock.withLock {
            let elapsed = ContinuousClock.now - start
            let rate = Double(cases - casesBefore) / max(elapsed.seconds, 1e-9)
            let work = switch shrinking.count {
            case 0: architecture
            case 1: "shrinking \(shrinking.values.first ?? "")"
            default: "shrinking \(shrinking.count) findings"
            }
            return "\(Format.count(cases))\(goal) cases, \(Format.rate(rate)) cases/s, "
                + "\(Format.count(discards)) discarded, \(Format.count(failures)) failed, "
                + "\(Format.duration(elapsed)), \(work)"
        }
    }
}
