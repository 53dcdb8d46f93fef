import Devices
import Foundation
import FuzzTarget
import Inference
import PropertyTesting

@testable import Architectures
@testable import Engines

/// What a worker writes, which may be anything: an answer that makes sense, or the end of the worker.
@main
struct Target: FuzzTarget {
    private let script = Script(placement: Placement("x"), steps: [.clear, .process(Batch([1, 2])), .save(sequence: 0)])
    /// Takes all that a worker is asked.
    private let request = open("/dev/null", O_WRONLY)

    func read(_ input: [UInt8]) throws {
        let answers = try TemporaryFile(bytes: input)
        let descriptor = answers.handle.fileDescriptor
        lseek(descriptor, 0, SEEK_SET)
        let conversation = WorkerConversation(writing: request, reading: descriptor, longestAnswer: 1 << 20)
        defer {
            let death = conversation.death(.exit(1), lastWords: "")
            expect(death.frames.count <= 16 && !death.frames.contains { $0.contains(where: \.isNewline) }, "\(death)")
        }
        func answer(_ request: Frame) throws -> Frame { try conversation.answer(request).expectAnswer() }
        do {
            while true {
                let description = try answer(Frame(.describe)).description()
                if let models = description.traits?.models {
                    var choices = Choices(seed: 1)
                    _ = try DrawnModel.draw(ArchitectureCatalog.all[0], &choices, within: models)
                }
                try answer(Frame(.load, LoadRequest(path: "x"))).read { _ in }
                let results = try answer(Frame(.run, script)).read {
                    try Transcript(reading: &$0, steps: script.steps.count)
                }.results
                for rows in results.compactMap(\.rows) {
                    for index in rows.keys.indices { expect(rows.row(at: index).count == rows.width, "half a row") }
                }
                _ = try answer(Frame(.differentiate, script)).read {
                    try Transcript(reading: &$0, steps: script.steps.count, isOfSteps: false)
                }
            }
        } catch is FileDescriptorStream.Ended {
            // As every worker does at last.
        } catch is WorkerConversation.ChildEnded {
        }
    }

    var seeds: [[UInt8]] {
        get throws {
            let precision = Precision(storage: .float32, accumulation: .float32)
            let models = try ModelDomain(
                keys: [.init(pattern: #"llama\..*"#, values: [nil, .number(1), .flag(true), .text("none")])],
                tensors: [.init(pattern: ".*", presence: [.never, .mixed])])
            let description = EngineDescription(
                engine: "x", version: "1", devices: [EngineDevice(name: "x:0", summary: "", precision: precision)],
                absences: ["vulkan: no driver"], refusesOnlyInvalid: true,
                traits: EngineTraits(settings: [.threads], splits: Placement.Split.allCases, models: models))
            let rows = Rows(keys: [0, 1], width: 3, elements: [1, 2, 3, 4, 5, .nan])
            let transcript = Transcript(
                results: [StepResult(), StepResult(logits: rows, embeddings: rows), StepResult(isDone: false)],
                fallbacks: ["matmul"],
                decisions: [Decision(taken: [3], least: [.init(index: 3, score: -2)], greatest: [])])
            let failure = Transcript(results: [StepResult()], failure: .init(step: 1, reason: "no"))
            let described = try Frame(.answer, json: description), loaded = Frame(.answer)
            let stack: [StackFrame] = [.function("f"), .instruction(file: "/proc/self/exe", offset: 4096)]
            let ran = Frame(.answer, writing: transcript.write)
            return [
                [described, loaded, Frame(.begin, 1), ran, ran, described],
                [described, loaded, Frame(.answer, writing: failure.write)],
                [Frame(.process, 1), described, Frame(.refused, "no key")], [described, Frame(.error, "no memory")],
                [described, loaded, Frame(.begin, 1), Frame(.stack, stack), Frame(.death, DeathNote.signal(11))],
                [described, Frame(.unsupported, "caches")],
            ].map { $0.flatMap { $0.prefix + $0.payload } }
        }
    }
}
