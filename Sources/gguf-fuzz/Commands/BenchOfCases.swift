import ArgumentParser
import Architectures
import Engines
import Foundation
import Fuzzing

extension Bench {
    struct OfCases: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cases",
            abstract: "Measure the cases of a run by stage and by device, one at a time.",
            discussion: """
                Each case is judged twice: in this process, and in a worker process as run does it. What a stage takes \
                longer in a worker is transport: the model as a GGUF file, requests and answers. A run has as many \
                jobs as there are cores, and gets through so many times more.

                draw         metadata, script and recipe, from the seed
                weights      the model's tensors, in the bytes of their types
                load         an engine takes the model, or gives it back as a file
                reference    scripts on the reference device
                noise floor  the same with every result rounded at random
                cpu ...      scripts on each device under test
                checks       all else: the inventory, changed models, comparing

                What is made once for all cases, such as the pipelines of a Vulkan device, counts with the first that \
                needs it.

                Of another engine, the reference is in this process; and the models of llama.cpp's own architecture \
                test are measured too, with what that test checks.

                Examples:
                  gguf-fuzz bench --cases 1000
                  gguf-fuzz bench --engine llama=/usr/local --device llama:CPU
                  gguf-fuzz bench --arch kimi-linear --device cpu
                """)

        @Option(help: "How many cases.")
        var cases: UInt64 = 500
        @Option(help: "Seed of the random numbers.")
        var seed: UInt64 = 1
        @Option(help: "Architectures, separated by commas, or all.")
        var arch = NameList.all
        @Option(help: "Devices, separated by commas, or all.")
        var device = NameList.all

        @OptionGroup var tested: EnginesUnderTest

        func validate() throws {
            guard (1...1 << 40).contains(cases) else {
                throw ValidationError("--cases \(cases): must be 1 to \(1 << 40)")
            }
        }

        func run() throws {
            let architectures = try arch.architectures()
            var makers = try tested.makers(fault: nil)
            // Where the builtin engine is measured, transport is: what a worker takes longer than this process.
            var columns: [(name: String, bench: CaseBench)] = []
            if makers.names == [.builtin] {
                makers.isInProcess = true
                columns.append(("in process", CaseBench(try makers.make())))
                makers.isInProcess = false
            }
            let engines = try columns.first?.bench.engines ?? makers.make()
            let devices = try device.devices(of: engines)
            makers.devices = devices
            columns.append(("in a worker", CaseBench(try columns.isEmpty ? engines : makers.make())))
            // One thread: with several, the time is that of waking them.
            var traits = engines.traits
            traits.settings.remove(.threads)
            let plan = FuzzPlan(
                seed: seed, architectures: architectures, devices: devices,
                placeable: engines.placeable(with: devices), traits: traits)

            Interrupt.watch()
            var done: UInt64 = 0
            while done < cases, !Interrupt.isRequested {
                Terminal.progress("\(Format.count(Int(done))) of \(Format.count(Int(cases))) cases")
                for column in columns { try column.bench.measure(done, of: plan) }
                done += 1
            }
            Terminal.progress("")
            if done > 0 { report(done, columns.map { ($0.name, $0.bench.times) }, devices) }
            if makers.names != [.builtin] { try measureFixtures(architectures, devices, makers) }
        }

        private func report(_ count: UInt64, _ columns: [(name: String, times: StageTimes)], _ devices: [String]) {
            print("\(Format.amount(Int(count), "case")) of seed \(seed), one at a time; the time of each")
            var table = TextTable([""] + columns.map(\.name), rightAligned: Set(1...columns.count))
            for stage in [.draw, .weights, .load, .reference, .noiseFloor] + devices.map(CaseStage.device) + [.checks] {
                table.rows.append([stage.description] + columns.map { Format.duration($0.times[stage] / count) })
            }
            table.rows.append(["all"] + columns.map { Format.duration($0.times.sum / count) })
            table.rows.append(["cases/s"] + columns.map { Format.rate(Double(count) / $0.times.sum.seconds) })
            table.print()
        }

        /// What llama.cpp's own architecture test does, with its shapes: the same model from memory and from a file,
        /// and saved and loaded again, on each device.
        private func measureFixtures(
            _ architectures: [any Architecture.Type], _ devices: [String], _ makers: EngineMakers
        ) throws {
            let bench = CaseBench(try makers.make())
            var configurations = 0, verdicts: [Verdict] = []
            for architecture in architectures where !Interrupt.isRequested {
                Terminal.progress("fixture of \(architecture.name)")
                let model = try BenchModel(architecture, tokens: 128)
                // In this order the model in memory is loaded once.
                verdicts += bench.measure(model.subject(.roundtrip, devices), [.roundtrip, .loaders])
                configurations += devices.count
            }
            Terminal.progress("")
            guard configurations > 0 else { return }
            let failures = verdicts.compactMap(\.failure)
            print(
                "\n\(Format.amount(configurations, "configuration")) with the shapes and checks of llama.cpp's "
                    + "test-llama-archs (128 tokens; roundtrip and loaders): "
                    + "\(Format.rate(Double(configurations) / bench.times.sum.seconds)) a second, "
                    + "\(failures.count) of \(verdicts.count) verdicts failed")
            for failure in failures { print("  \(failure.signature)") }
        }
    }
}
