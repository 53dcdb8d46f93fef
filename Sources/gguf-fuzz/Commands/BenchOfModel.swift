import ArgumentParser
import Architectures
import Devices
import Foundation
import Inference

extension Bench {
    struct OfModel: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "model",
            abstract: "Measure each stage of one model from metadata to results, on each device.",
            discussion: """
                The model has embedding 256, 2 layers, feed-forward 384 and a vocabulary of 128, as the fixtures of \
                llama.cpp's own architecture test; of what else an architecture has, the simplest. Times are \
                medians of repetitions.

                Examples:
                  gguf-fuzz bench model
                  gguf-fuzz bench model --arch llama,mamba2 --device cpu --tokens 512
                """)

        @Option(help: "Architectures, separated by commas, or all.")
        var arch = NameList(names: ["llama"])
        @Option(help: "Devices, separated by commas, or all.")
        var device = NameList.all
        @Option(help: "Tokens in the batch.")
        var tokens = 128
        @Option(help: "Threads of the cpu device.")
        var threads = 1
        @Option(help: "Repetitions of each measurement.")
        var repeats = 9
        @Option(
            name: [.customShort("o"), .customLong("output")],
            help: "Also write the model to this GGUF file (one architecture only).")
        var output: String?

        func validate() throws {
            guard (1...1 << 20).contains(tokens) else {
                throw ValidationError("--tokens \(tokens): must be 1 to \(1 << 20)")
            }
            guard (1...1024).contains(threads) else { throw ValidationError("--threads \(threads): must be 1 to 1024") }
            guard (1...1_000_000).contains(repeats) else {
                throw ValidationError("--repeats \(repeats): must be 1 to 1000000")
            }
        }

        func run() throws {
            let architectures = try arch.architectures()
            let set = DeviceSet.all(threads: threads)
            let devices = try device.devices(of: set)
            if let output {
                guard architectures.count == 1 else { throw CommandError("--output \(output): several architectures") }
                try BenchModel(architectures[0], tokens: tokens).model().save(to: output)
            }
            Interrupt.watch()
            for architecture in architectures {
                if Interrupt.isRequested { break }
                let model = try CommandError.naming(architecture.name) { try BenchModel(architecture, tokens: tokens) }
                let stopwatch = Stopwatch(repeats: repeats)

                let (draw, bytes) = try model.drawWeights(stopwatch)
                let graph = try model.buildGraphs(stopwatch)
                print(
                    "\(architecture.name): \(tokens) tokens, \(Format.bytes(bytes)) of weights, "
                        + "graphs of \(graph.nodes) nodes")
                let rate = String(format: "%.0f", Double(bytes) / draw.seconds / 1e6)
                print(
                    "  draw weights \(Format.duration(draw)) (\(rate) MB/s), "
                        + "build graphs \(Format.duration(graph.duration))")
                var table = TextTable(
                    ["device", "load", "compile", "run", "all"], rightAligned: [1, 2, 3, 4], indentation: 2)
                for device in devices {
                    if Interrupt.isRequested { break }
                    Terminal.progress("\(architecture.name) on \(device.name)")
                    let stages = try model.measure(device, in: set, stopwatch)
                    table.append(
                        device.name, Format.duration(stages.load), Format.duration(stages.compile),
                        Format.duration(stages.run), Format.duration(stages.all))
                }
                Terminal.progress("")
                table.print()
            }
            print(
                "load: weights to the device; compile: graphs for it; run: one batch; "
                    + "all: metadata to results, weights drawn too")
        }
    }
}
