import Architectures
import GGUF
import Inference
import ModelGraph
import PropertyTesting

/// What a model can be adapted by.
struct AdaptableParts {
    /// Matrices that products of low rank can be added beside, ascending: none whose products are multiplied by a scale
    /// of their own, since no format says whether the others are too.
    let matrices: [String]
    /// Blocks after which directions can be added, ascending.
    let blocks: [Int]

    /// - Parameters:
    ///   - architecture: of the model.
    ///   - graphs: of each stage that a session runs.
    init(_ architecture: any Architecture, _ graphs: [Graph]) {
        let scales = Set(graphs.flatMap(\.weights).map(\.name).filter { $0.hasSuffix(".scale") }.map {
            String($0.dropLast("scale".count)) + "weight"
        })
        matrices = graphs.reduce(into: Set<String>()) { $0.formUnion($1.adaptableWeights) }
            .filter { name in
                graphs.allSatisfy { graph in
                    graph.adaptableWeights.contains(name) || !graph.weights.contains { $0.name == name }
                } && !scales.contains(name)
            }.sorted()
        // Blocks of an encoder and of a decoder have the same numbers; of context a draft keeps no more than keys.
        let hasOneStream = graphs.count == 1 && architecture.traits.drafting == nil
        let streams = hasOneStream ? graphs[0].residualStreams(width: architecture.dimensions.embedding) : [:]
        blocks = streams.keys.filter { (1..<architecture.dimensions.layers).contains($0) }.sorted()
    }

    init(_ drawn: DrawnModel) {
        self.init(drawn.architecture, Array(drawn.graphs.prefix(drawn.architecture.traits.stages.count)))
    }

    /// - Throws: `MetadataError` or `GraphError` where the case has no valid model.
    init(_ subject: Case) throws {
        let architecture = try ArchitectureCatalog.read(subject.metadata)
        let optional = Set(subject.optionalTensors)
        self.init(
            architecture,
            try architecture.traits.stages.map { try architecture.graph(.inventory($0), optional.contains) })
    }
}

extension Adapter {
    static let ranks = [1, 4, 8, 16, 32, 33, 64, 2]
    static let alphas = [1, 16, 32, 0.5]
    static let scales = [1, 0.5, -1, 2]
    static let types: [TensorType] = [.f32, .f16, .bf16, .q8_0]

    /// Draws what a model is adapted by, or recovers it (`like`): mostly nothing.
    /// - Parameters:
    ///   - choices: what is drawn from.
    ///   - parts: of the model.
    ///   - kinds: that engines can be asked for.
    ///   - isSure: whether it is one LoRA adapter.
    ///   - target: the outcome, where that is given.
    /// - Throws: `Unreachable` where nothing draws the target.
    static func draw(
        _ choices: inout Choices, _ parts: AdaptableParts, _ kinds: [Kind], isSure: Bool = false,
        like target: [Adapter]?
    ) throws -> [Adapter] {
        let possible = kinds.filter { kind in
            switch kind {
            case .lora: !parts.matrices.isEmpty
            case .controlVector: !parts.blocks.isEmpty && !isSure
            }
        }
        let isAny = try isSure || choices.weighted([(false, 15), (true, 1)], like: target.map { !$0.isEmpty })
        guard isAny, !possible.isEmpty else {
            if let target, !target.isEmpty { throw Unreachable("adapters") }
            return []
        }
        var rest = possible
        let most = isSure || possible == [.controlVector] ? 1 : 4
        return try choices.list(count: 1...most, usually: 3, like: target) { choices, target in
            // The residual stream is steered once.
            let kind = try choices.element(of: rest, like: target?.kind)
            if kind == .controlVector { rest.removeAll { $0 == kind } }
            switch kind {
            case .lora:
                var lora: LoRA?
                if case .lora(let wanted)? = target { lora = wanted }
                return .lora(try LoRA.draw(&choices, parts.matrices, like: lora))
            case .controlVector:
                var vector: ControlVector?
                if case .controlVector(let wanted)? = target { vector = wanted }
                return .controlVector(try ControlVector.draw(&choices, parts.blocks, like: vector))
            }
        }
    }
}

extension Adapter.LoRA {
    fileprivate static func draw(_ choices: inout Choices, _ matrices: [String], like target: Self?) throws -> Self {
        let seed = try choices.integer(in: 0...99, like: target.map { Int(exactly: $0.seed) ?? -1 })
        let rank = try choices.element(of: Adapter.ranks, like: target?.rank)
        let alpha = try choices.element(of: Adapter.alphas, like: target?.alpha)
        let scale = try choices.element(of: Adapter.scales, like: target?.scale)
        let type = try choices.element(of: Adapter.types, like: target?.type)
        // Mostly of a few, and at times of all that there are.
        let most = choices.chance(1, in: 6) ? matrices.count : 4
        // Each is any of them, so that the others stay what they are when one is taken out.
        let tensors = try choices.list(
            count: 1...matrices.count, usually: min(most, matrices.count), like: target?.tensors
        ) { choices, target in
            try choices.element(of: matrices, like: target)
        }
        return Self(
            seed: UInt64(seed), rank: rank, alpha: alpha, scale: scale, type: type, tensors: tensors.uniqued.sorted())
    }
}

extension Adapter.ControlVector {
    fileprivate static func draw(_ choices: inout Choices, _ blocks: [Int], like target: Self?) throws -> Self {
        let seed = try choices.integer(in: 0...99, like: target.map { Int(exactly: $0.seed) ?? -1 })
        let scale = try choices.element(of: Adapter.scales, like: target?.scale)
        let first = try choices.element(of: blocks, like: target?.first)
        let last = try choices.element(of: blocks.filter { $0 >= first }, like: target?.last)
        return Self(seed: UInt64(seed), scale: scale, first: first, last: last)
    }
}
