import ArgumentParser
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

                Examples:
                  gguf-fuzz bench --cases 1000
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

        func validate() throws {
            guard (1...1 << 40).contains(cases) else {
                throw ValidationError("--cases \(cases): must be 1 to \(1 << 40)")
            }
        }

        func run() throws {
            let architectures = try arch.architectures()
            var makers = EngineMakers(names: [.builtin], isInProcess: true, limits: .init())
            let own = CaseBench(try makers.make())
            let devices = try device.devices(of: own.engines)
            makers.isInProcess = false
            makers.devices = devices
            let worker = CaseBench(try makers.make())
            let plan = FuzzPlan(
                seed: seed, architectures: architectures, devices: devices, placeable: [EngineSet.reference] + devices)

            Interrupt.watch()
            var done: UInt64 = 0
            while done < cases, !Interrupt.isRequested {
                Terminal.progress("\(Format.count(Int(done))) of \(Format.count(Int(cases))) cases")
                for bench in [own, worker] { try bench.measure(done, of: plan) }
                done += 1
            }
            Terminal.progress("")
            report(done, own.times, worker.times, devices)
        }

        private func report(_ count: UInt64, _ own: StageTimes, _ worker: StageTimes, _ devices: [String]) {
            print("\(Format.amount(Int(count), "case")) of seed \(seed), one at a time; the time of each")
            var table = TextTable(["", "in process", "in a worker"], rightAligned: [1, 2])
            for stage in [.draw, .weights, .load, .reference, .noiseFloor] + devices.map(CaseStage.device) + [.checks] {
                table.append(
                    stage.description, Format.duration(own[stage] / count), Format.duration(worker[stage] / count))
            }
            table.append("all", Format.duration(own.sum / count), Format.duration(worker.sum / count))
            table.append(
                "cases/s", Format.rate(Double(count) / own.sum.seconds),
                Format.rate(Double(count) / worker.sum.seconds))
            table.print()
        }
    }
}
