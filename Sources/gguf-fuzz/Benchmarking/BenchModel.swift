import Architectures
import Devices
import Engines
import Fuzzing
import GGUF
import Inference
import ModelGraph

/// The model that is measured.
struct BenchModel {
    private let metadata: Metadata
    private let architecture: any Architecture
    private let tokens: [Int]
    private let recipe = WeightRecipe(seed: 1)

    init(_ type: any Architecture.Type, tokens: Int) throws {
        var hyperparameters = BenchHyperparameters(
            type.name,
            sizes: [
                "vocab_size": 128, "context_length": max(256, tokens), "embedding_length": 256,
                // Every fourth layer of llama4 is another, and llama.cpp takes none without.
                "block_count": type.name == "llama4" ? 4 : 2,
                "feed_forward_length": 384, "attention.head_count": 2, "attention.head_count_kv": 2,
            ])
        architecture = try type.init(&hyperparameters)
        metadata = hyperparameters.metadata
        self.tokens = (0..<tokens).map { [vocabulary = architecture.dimensions.vocabulary] in
            ($0 * 37 + 11) % vocabulary
        }
    }

    func model() throws -> Model { try Model(MemorySource(metadata, optional: .none, recipe: recipe)) }

    /// The model as a case of a check: one batch of its tokens.
    func subject(_ check: Check, _ devices: [String]) -> Case {
        let batch = Batch(tokens)
        var steps: [Step] = architecture.traits.hasEncoder ? [.encode(batch)] : []
        steps.append(.process(batch))
        let options = Script.Options(context: max(256, tokens.count), microBatch: tokens.count)
        return Case(
            check: check, metadata: metadata, optionalTensors: [], recipe: recipe,
            script: Script(placement: Placement(devices[0]), options: options, steps: steps), devices: devices)
    }

    func drawWeights(_ stopwatch: Stopwatch) throws -> (Duration, bytes: Int) {
        let weights = try model().weights
        var bytes = 0
        let duration = try stopwatch.median {
            bytes = try weights.reduce(0) { $0 + (try recipe.draw($1).bytes.count) }
        }
        return (duration, bytes)
    }

    func buildGraphs(_ stopwatch: Stopwatch) throws -> (duration: Duration, nodes: Int) {
        var nodes = 0
        let duration = try stopwatch.median { nodes = try graphs().reduce(0) { $0 + $1.nodes.count } }
        return (duration, nodes)
    }

    private func graphs() throws -> [Graph] {
        try architecture.traits.stages.map { stage in
            let builder = GraphBuilder(
                batch: BatchShape(
                    stage: stage, tokens: tokens.count, outputs: tokens.count, cells: tokens.count,
                    encoderTokens: tokens.count, context: max(256, tokens.count)),
                hasTensor: { _ in false })
            architecture.build(builder)
            return try builder.finish()
        }
    }

    struct Stages {
        var load: Duration
        var compile: Duration
        var run: Duration
        /// From metadata to results.
        var all: Duration
    }

    func measure(_ device: any Device, in devices: DeviceSet, _ stopwatch: Stopwatch) throws -> Stages {
        let model = try model()
        let load = try stopwatch.median {
            for weight in model.weights { _ = try device.load(model.data(of: weight)) }
        }
        let graphs = try graphs()
        let compile = try stopwatch.median {
            for graph in graphs {
                _ = try device.compile(
                    Segment(
                        graph: graph, nodes: graph.nodes.indices, inputs: Array(graph.inputs.values),
                        outputs: Array(graph.outputs.values)))
            }
        }
        let session = try session(model, device, devices)
        let run = try stopwatch.median {
            try session.clear()
            try Self.process(tokens, session)
        }
        let all = try stopwatch.median {
            let session = try self.session(self.model(), device, devices)
            try Self.process(tokens, session)
        }
        return Stages(load: load, compile: compile, run: run, all: all)
    }

    private static func process(_ tokens: [Int], _ session: Session) throws {
        if session.model.architecture.traits.hasEncoder { try session.encode(Batch(tokens)) }
        try session.process(Batch(tokens))
    }

    private func session(_ model: Model, _ device: any Device, _ devices: DeviceSet) throws -> Session {
        try Session(
            model, placement: Placement(device.name), devices: devices,
            options: SessionOptions(context: max(256, tokens.count), microBatch: max(512, tokens.count)))
    }
}
