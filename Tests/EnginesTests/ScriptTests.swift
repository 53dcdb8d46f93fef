import Devices
import Engines
import Foundation
import Inference
import Testing

@Suite("Scripts")
struct ScriptTests {
    static let batch = Batch([
        .init(id: 3, position: 0), .init(id: 7, position: 1, sequences: [0, 2], wantsOutput: false),
        .init(id: 0, position: 8190, sequences: [31], order: .score),
    ])
    static let steps: [Step] = [
        .encode(Batch([1, 2])), .process(batch), .process(Batch([])), .remove(sequence: 1, from: 2, to: 5),
        .remove(sequence: 1, from: 0, to: nil), .keep(sequence: 2), .copy(source: 0, destination: 3),
        .shift(sequence: 0, from: 4, by: -2), .save(sequence: nil), .save(sequence: 1), .restore(sequence: nil),
        .restore(sequence: 2), .clear,
    ]

    @Test("read from JSON are what was written", arguments: steps)
    func stepRoundTrip(_ step: Step) throws {
        #expect(try decoded(Step.self, JSONEncoder().encode(step)) == step)
    }

    @Test("keep their options and placement in JSON")
    func scriptRoundTrip() throws {
        let script = Script(
            placement: Placement(
                "cpu", layers: [.init(first: 1, last: nil, device: "vulkan0")],
                tensors: [.init(pattern: #"output\..*"#, device: "cpu")]),
            options: .init(
                context: 33, sequences: 4, microBatch: 7, cacheType: .half,
                rounding: Rounding(seed: 5, precision: Precision(storage: .float16, accumulation: .float32))),
            steps: Self.steps)
        #expect(try decoded(Script.self, JSONEncoder().encode(script)) == script)
    }

    @Test("are what a person would write")
    func stepText() throws {
        #expect(
            try decoded(Step.self, #"{"remove": {"sequence": 0, "from": 1}}"#) == .remove(sequence: 0, from: 1, to: nil)
        )
        #expect(try decoded(Step.self, #"{"clear": {}}"#) == .clear)
        #expect(
            try decoded(Step.self, #"{"process": {"ids": [4], "positions": [9], "sequences": [[1]], "outputs": []}}"#)
                == .process(Batch([.init(id: 4, position: 9, sequences: [1], wantsOutput: false)])))
    }

    @Test(
        "that are none are refused",
        arguments: [
            #"{}"#, #"[]"#, #"{"jump": {}}"#, #"{"clear": {}, "keep": {"sequence": 1}}"#, #"{"copy": {"source": 1}}"#,
            #"{"shift": {"sequence": 0, "from": 0}}"#, #"{"keep": {"sequence": 1.5}}"#,
            #"{"keep": {"sequence": 1e30}}"#,
            #"{"process": {"ids": [1, 2], "positions": [0], "sequences": [[0], [0]], "outputs": []}}"#,
            #"{"process": {"ids": [1], "positions": [0], "sequences": [[32]], "outputs": []}}"#,
            #"{"process": {"ids": [1], "positions": [0], "sequences": [[-1]], "outputs": []}}"#,
            #"{"process": {"ids": [1], "positions": [0], "sequences": [[0]], "outputs": [1]}}"#,
            #"{"process": {"ids": [1], "positions": [0], "sequences": [[0]], "outputs": [-1]}}"#,
        ])
    func malformedStep(_ text: String) {
        #expect(throws: DecodingError.self) { try decoded(Step.self, text) }
    }

    @Test("are told apart by the names of their steps")
    func stepNames() {
        #expect(
            Set(Self.steps.map(\.name)) == [
                "encode", "process", "remove", "keep", "copy", "shift", "save", "restore", "clear",
            ])
    }
}

func decoded<Value: Decodable>(_: Value.Type, _ text: String) throws -> Value {
    try decoded(Value.self, Data(text.utf8))
}
func decoded<Value: Decodable>(_: Value.Type, _ data: Data) throws -> Value {
    try JSONDecoder().decode(Value.self, from: data)
}
