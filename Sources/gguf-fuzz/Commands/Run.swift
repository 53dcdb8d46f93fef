import ArgumentParser
import Architectures
import Devices
import Engines
import Foundation
import Fuzzing
import Inference

struct Run: ParsableCommand {
    @Option var arch = NameList.all
    @Option var device = NameList.all
    @Option var seed: UInt64 = 1
    @Option var cases: UInt64 = 100
    @Option var from: UInt64 = 0
    @Option var check: String = ""
    @Flag var inProcess = false
    @Flag var verbose = false

    func run() throws {
        let set = DeviceSet.all()
        let engine: any Engine = inProcess ? BuiltinEngine(set) : try WorkerEngine(
            WorkerCommand(executable: "/proc/self/exe", arguments: ["worker"]))
        let devices = try device.devices(of: set).map(\.name).filter { $0 != "reference" }
        let plan = FuzzPlan(
            seed: seed, architectures: try arch.architectures(),
            checks: check.isEmpty ? Check.allCases : [Check(rawValue: check)!], devices: devices,
            placeable: ["reference"] + devices)
        let judge = Judge(EngineSet(engine))
        var outcomes: [String: Int] = [:]
        var worst: [String: Double] = [:]
        var ratios: [Double] = []
        let start = ContinuousClock.now
        for index in from..<from + cases {
            let drawn: (case: Case, recording: Any)
            do { drawn = try plan.draw(index) } catch { print("\(index) \(plan.architecture(of: index).name): \(error)"); continue }
            let begin = ContinuousClock.now
            for verdict in judge.judge(drawn.case) {
                let key: String
                switch verdict.outcome {
                case .passed: key = "pass"
                case .discarded(let reason): key = "discard \(reason.prefix(60))"
                case .failed(let failure):
                    key = "fail"
                    print("\(index) \(failure.signature): \(failure.seen)")
                }
                outcomes[key, default: 0] += 1
                if let path = ProcessInfo.processInfo.environment["DUMP"], verdict.failure != nil {
                    try CorpusEntry(case: drawn.case, signature: verdict.failure!.signature, seen: verdict.failure!.seen, found: .init(seed: seed, index: index, version: "")).text().write(toFile: path, atomically: true, encoding: .utf8)
                }
                if let ratio = verdict.worst { ratios.append(ratio); worst[drawn.case.architecture] = max(worst[drawn.case.architecture] ?? 0, ratio) }
                if verbose { print(index, drawn.case.architecture, drawn.case.check, drawn.case.tokens, drawn.case.layers, verdict.worst ?? -1, key, Format.duration(.now - begin)) }
            }
        }
        let duration = ContinuousClock.now - start
        print(outcomes, Format.duration(duration), "\(Double(cases) / duration.seconds) cases/s")
        print(worst.sorted { $0.value > $1.value }.map { "\($0.key) \(String(format: "%.2f", $0.value))" }.joined(separator: ", "))
        ratios.sort()
        if !ratios.isEmpty { print([0.5, 0.9, 0.99, 0.999, 1].map { String(format: "%.2f", ratios[min(ratios.count - 1, Int($0 * Double(ratios.count)))]) }) }
    }
}

struct Worker: ParsableCommand {
    func run() throws {
        let set = DeviceSet.all()
        WorkerServer.serve(BuiltinEngine(set), version: GGUFFuzz.version, absences: set.absences)
    }
}
