import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference
import Testing

@Suite("Playing scripts")
struct ScriptPlayingTests {
    /// Says what it is asked for.
    private final class Recorder: ScriptSession {
        var log: [String] = []
        struct Failed: Error {}

        func encode(_ batch: Batch) -> StepResult { StepResult(embeddings: Rows(keys: [0], width: 1, elements: [1])) }
        func process(_ batch: Batch) throws -> StepResult {
            if batch.tokens.isEmpty { throw Failed() }
            if batch.tokens[0].id == 99 { throw Unsupported("token 99") }
            return StepResult(logits: Rows(keys: [0], width: 2, elements: [1, 2]))
        }
        func remove(_ sequence: Int?, _ positions: Range<Int>) -> Bool {
            log.append("remove \(sequence ?? -1) \(positions)")
            return false
        }
        func keep(_ sequence: Int) { log.append("keep \(sequence)") }
        func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) -> Bool {
            log.append("copy \(source) \(destination) \(positions.lowerBound)")
            return true
        }
        func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) {
            log.append("divide \(sequence) \(positions) \(divisor)")
        }
        func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) {
            log.append("shift \(sequence) \(positions.lowerBound) \(delta)")
        }
        func save(_ sequence: Int?) -> [UInt8] { [UInt8(sequence ?? 255)] }
        func restore(_ state: [UInt8], _ sequence: Int?) { log.append("restore \(state) \(sequence ?? -1)") }
        func clear() { log.append("clear") }
        var fallbacks: [String] { ["rope on cpu"] }
    }

    @Test("does each step in turn, and hands on what was saved last")
    func steps() throws {
        let session = Recorder()
        let script = Script(
            placement: Placement("x"),
            steps: [
                .encode(Batch([1])), .process(Batch([1])), .remove(sequence: 1, from: 2, to: 5), .keep(sequence: 0),
                .copy(source: 0, destination: 1, from: 2), .shift(sequence: 0, from: 3, by: 2), .save(sequence: 4),
                .save(sequence: nil), .restore(sequence: nil), .divide(sequence: 1, from: 2, to: 4, by: 2),
                .remove(sequence: nil, from: 0, to: 1), .clear,
            ])
        var begun: [Int] = []
        let transcript = try script.play(willBegin: { begun.append($0) }) { session }
        #expect(begun == Array(0..<12) && transcript.results.count == 12 && transcript.failure == nil)
        #expect(
            session.log == [
                "remove 1 2..<5", "keep 0", "copy 0 1 2", "shift 0 3 2", "restore [255] -1", "divide 1 2..<4 2",
                "remove -1 0..<1", "clear",
            ])
        #expect(transcript.results[0].rows?.elements == [1] && transcript.results[1].rows?.elements == [1, 2])
        #expect(!transcript.results[2].isDone && transcript.results[4].isDone)
        #expect(transcript.fallbacks == ["rope on cpu"])
    }

    @Test("an error ends the script and is part of the transcript; what is unsupported is thrown")
    func failures() throws {
        let failing = Script(placement: Placement("x"), steps: [.clear, .process(Batch([])), .clear])
        let transcript = try failing.play { Recorder() }
        #expect(transcript.results.count == 1 && transcript.failure?.step == 1)

        let unopened = try failing.play { throw Recorder.Failed() }
        #expect(unopened.results.isEmpty && unopened.failure != nil && unopened.failure?.step == nil)

        #expect(throws: Unsupported.self) {
            try Script(placement: Placement("x"), steps: [.process(Batch([99]))]).play { Recorder() }
        }
    }

    /// Scripts come from files that people edit.
    @Test(
        "whatever a script asks for, the builtin engine fails by an error at most",
        arguments: [
            Script(placement: Placement("cpu"), options: .init(context: 0), steps: []),
            Script(placement: Placement("cpu"), options: .init(context: .max), steps: []),
            Script(placement: Placement("cpu"), options: .init(context: -1), steps: []),
            Script(placement: Placement("cpu"), options: .init(sequences: 0), steps: []),
            Script(placement: Placement("cpu"), options: .init(sequences: .max), steps: []),
            Script(placement: Placement("cpu"), options: .init(microBatch: 0), steps: []),
            Script(placement: Placement("cpu"), options: .init(microBatch: .min), steps: []),
            Script(placement: Placement("nowhere"), steps: []),
            Script(placement: Placement("cpu", tensors: [.init(pattern: "(", device: "cpu")]), steps: []),
            Script(placement: Placement("cpu"), steps: [.process(Batch([]))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([.max]))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1], from: .max))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1], from: -1))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1], sequence: 1))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([.init(id: 1, position: 0, sequences: [])]))]),
            Script(placement: Placement("cpu"), steps: [.encode(Batch([1]))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch(Array(repeating: 1, count: 65)))]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1])), .process(Batch([1]))]),
            Script(placement: Placement("cpu"), steps: [.keep(sequence: 1)]),
            Script(placement: Placement("cpu"), steps: [.copy(source: 0, destination: -1)]),
            Script(placement: Placement("cpu"), steps: [.copy(source: .max, destination: 0)]),
            Script(placement: Placement("cpu"), steps: [.save(sequence: 9)]),
            Script(placement: Placement("cpu"), steps: [.restore(sequence: nil)]),
            Script(placement: Placement("cpu"), steps: [.restore(sequence: 0)]),
            Script(placement: Placement("cpu"), steps: [.remove(sequence: -1, from: 0, to: nil)]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1])), .shift(sequence: 0, from: 0, by: .max)]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1])), .shift(sequence: 9, from: 0, by: 1)]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1])), .divide(sequence: 0, from: 0, by: 0)]),
            Script(placement: Placement("cpu"), steps: [.process(Batch([1])), .divide(sequence: 0, from: 0, by: -2)]),
        ])
    func absurdScripts(_ script: Script) throws {
        let transcript = try Toy.engine.load(Toy.source()).run(script)
        #expect(transcript.failure != nil)
    }

    @Test(
        "bounds that no position reaches are no error",
        arguments: [
            Step.remove(sequence: 0, from: .max, to: .min), .remove(sequence: 0, from: .min, to: .max),
            .remove(sequence: 0, from: .max, to: nil), .shift(sequence: 0, from: .max, by: .max),
            .shift(sequence: 0, from: .min, by: .min),
        ])
    func absurdBounds(_ step: Step) throws {
        let script = Script(placement: Placement("cpu"), steps: [.process(Batch([1])), step])
        let transcript = try Toy.engine.load(Toy.source()).run(script)
        #expect(transcript.results.count == 2 || transcript.failure?.step == 1)
    }
}

/// A llama of a few kilobytes.
enum Toy {
    static var engine: BuiltinEngine { BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()])) }

    static let metadata: Metadata = [
        "general.architecture": "llama", "llama.vocab_size": 32, "llama.context_length": 64,
        "llama.embedding_length": 32,
        "llama.block_count": 1, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.feed_forward_length": 32,
    ]

    static func source(_ metadata: Metadata = metadata) throws -> MemorySource {
        try MemorySource(metadata, optional: .only([]), recipe: WeightRecipe(seed: 1))
    }
}
