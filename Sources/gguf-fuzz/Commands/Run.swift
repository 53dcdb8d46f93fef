import ArgumentParser
import Faults
import Foundation
import Fuzzing

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw random cases, check them on every device, and shrink what fails.",
        discussion: """
            Case I of seed S is the same on every machine, whatever the number of jobs or shards. A failure is kept as \
            a file of the corpus folder, which replay runs again; of failures that are alike, the simplest.

            Cases run in worker processes: one that crashes, hangs or takes too much memory is a failure like any other.

            A profile is a YAML file whose keys are the names of these options; quick, nightly and one-architecture \
            are in the program. What is given here goes before what the profile says.

            With --run, a run is a folder: its plan, a log with a line for each case, and the corpus. However it ends, \
            by an interrupt, by kill -9, for want of disk, the same command goes on with it: what the log has is not \
            done again. Shards have a folder each; merge makes one of them.

            Exit status: 0 nothing failed, 1 something did, 2 bad input or usage, or what cannot be written. An \
            interrupt ends the run with the summary of what there is: status 1 if something failed, else 130 (143 \
            where it was asked to terminate). Cases that run have a second to finish, and none after a second interrupt.

            Examples:
              gguf-fuzz run
              gguf-fuzz run --arch kimi-linear,llama --device cpu --time 30m
              gguf-fuzz run --check chunking,state --cases 500 --seed 7
              gguf-fuzz run --profile nightly --shard 2/8 --run night/2
              gguf-fuzz run --inject window-off-by-one --corpus /tmp/corpus
              gguf-fuzz run --engine worker=./my-engine --arch llama
            """)

    @OptionGroup var options: RunOptions
    @Option(help: ArgumentHelp(
        "A file with values of these options, or the name of one in the folder Fuzz or in the program.",
        valueName: "file"))
    var profile: String?

    func run() throws {
        var options = options
        if let profile { options.fill(from: try Profile.options(profile)) }

        let architectures = try (options.arch ?? .all).architectures()
        let checks = try (options.check ?? .all).checks()
        let fault = try options.inject.map(FaultCatalogue.named)
        var makers = try options.engines.makers(fault: fault)
        let shard = options.shard ?? .whole
        let extent = options.time.map { .time($0.duration) } ?? FuzzRun.Extent.cases(options.cases ?? 1000)
        let known = try KnownFindings(options.known)
        let (plan, absences, isShared, runPlan) = try {
            // Made and let go: each thread of the run makes its own.
            let engines = try makers.make()
            let devices = try (options.device ?? .all).devices(of: engines)
            var plan = FuzzPlan(
                seed: options.seed ?? 1, architectures: architectures, checks: checks, devices: devices,
                placeable: engines.placeable(with: devices), traits: engines.traits)
            plan.isSteered = options.steer
            let isShared = engines.devices.contains { devices.contains($0.name) && $0.isAccelerator ?? false }
            let runPlan = try options.run.map { _ in
                try RunPlan(options, plan, extent, shard, makers, engines, known: known)
            }
            return (plan, engines.absences, isShared, runPlan)
        }()
        makers.devices = plan.devices
        var fuzzing = FuzzRun(
            plan, extent, jobs: options.jobs ?? ProcessInfo.processInfo.activeProcessorCount, version: GGUFFuzz.version,
            engines: { [makers] in try makers.make() })
        fuzzing.measuresJobs = options.jobs == nil && isShared
        fuzzing.shard = (shard.number - 1, shard.count)
        fuzzing.fault = fault?.name
        fuzzing.known = known
        if let limit = options.shrinkTime { fuzzing.patience = limit.duration }

        let folder = options.run.map { RunFolder($0) }
        fuzzing.corpus = Corpus(folder: folder?.corpusPath ?? options.corpus ?? "Corpus")
        if let folder, let runPlan { fuzzing.log = try folder.open(runPlan) }
        if let log = fuzzing.log, log.casesBefore > 0 {
            let done = log.wasComplete ? "is done" : "goes on"
            Terminal.note("\(log.folder.path): \(done) after \(Format.amount(log.casesBefore, "case"))")
        }
        Interrupt.watch(.endingEngines)
        let log = try options.json.map { try CaseLog($0, seed: plan.seed) }
        let before = fuzzing.log.map { (cases: $0.casesBefore, duration: $0.durationBefore) } ?? (0, .zero)
        let display = RunDisplay(extent, shard: shard, jobs: fuzzing.jobs, before: before)
        defer { display.end() }
        fuzzing.watch = { display.show($0) }
        let report = try fuzzing.run(isCancelled: { Interrupt.isRequested }) { event in
            display.show(event)
            if case .judged(let record) = event { log?.append(record) }
        }
        display.end()
        let changes = try fuzzing.changesOfKnown { Interrupt.isRequested }
        RunText(report: report, shard: shard, absences: absences, changesOfKnown: changes).print()
        if let problem = fuzzing.log?.problem {
            throw CommandError("\(problem); what it has stays, and the same command goes on from there")
        }
        if log?.failure != nil || report.findings.contains(where: { $0.problem != nil }) { throw ExitStatus.badInput }
        if !report.findings.isEmpty { throw ExitStatus.propertyFailed }
        if report.wasInterrupted, let status = Interrupt.status { throw ExitCode(status) }
    }
}
