import Architectures
import Devices
import GGUF
import ModelGraph
import Testing
import VulkanDevice

@testable import Inference

/// What splitting may cost: rounding, no more.
private let rounding = 1e-9

@Suite("Sessions")
struct SessionTests {
    @Test("a batch gives the same however it is split", arguments: Toy.all)
    func chunking(_ toy: Toy) throws {
        let model = try toy.model()
        guard model.remembers else { return }
        let tokens = model.tokens(40)
        let whole = try model.session().process(Batch(tokens)).rows
        #expect(whole.allSatisfy { $0.allSatisfy { $0.isFinite || $0 == -.infinity } && $0.contains { $0.isFinite } })

        let micro = try model.session(microBatch: 7).process(Batch(tokens)).rows
        #expect(largestError(micro, whole) < rounding)

        let session = try model.session()
        var pieces: [[Double]] = []
        for range in [0..<1, 1..<2, 2..<33, 33..<40] {
            pieces += try session.process(Batch(Array(tokens[range]), from: range.lowerBound)).rows
        }
        #expect(largestError(pieces, whole) < rounding)
    }

    @Test("a model whose tokens see each other, or are pooled, keeps nothing between batches", arguments: [
        ["llama.attention.causal": MetadataValue.bool(false)], ["llama.pooling_type": 1], ["llama.pooling_type": 3],
    ])
    func wholeBatches(_ keys: [String: MetadataValue]) throws {
        let toy = Toy(architecture: Llama.self, seed: 0)
        var metadata = try toy.drawn().metadata
        for (key, value) in keys { metadata[key] = value }
        let model = try Model(MemorySource(metadata, optional: .none, recipe: WeightRecipe(seed: 0)))
        let session = try model.session()
        let (first, second) = (Batch(model.tokens(5)), Batch(model.tokens(7, seed: 1)))
        let alone = try model.session().process(second).rows
        _ = try session.process(first)
        #expect(try session.process(second).rows == alone)
        // As many embeddings as sequences, or as many logits as tokens.
        #expect(alone.count == (model.architecture.traits.pooling == .none ? 7 : 1))
        #expect(throws: SessionError.self) { try model.session(microBatch: 3).process(first) }
    }

    @Test("a centred convolution is a causal one seen from its middle", arguments: [3, 5, 9])
    func centredConvolution(_ taps: Int) throws {
        /// What a convolution of the first device's toy makes of 7 tokens of one sequence, in a batch with another.
        func convolved(isCausal: Bool) throws -> [[Double]] {
            let g = GraphBuilder(batch: BatchShape(tokens: 9, outputs: 9, cells: 0)) { _ in true }
            let x = g.model.weight("x", [32, 4], .projection).rows(g.tokens)
            let y = isCausal
                ? g.model.convolution("conv", x, taps: taps) : g.model.centredConvolution("conv", x, taps: taps)
            g.output(.logits, y)
            let graph = try g.finish()
            let device = ReferenceDevice()
            let weights = try graph.weights.map { try device.load(WeightRecipe(seed: 3).draw($0)) }
            let states = try graph.states.map { try device.allocate($0, rows: 2, type: .full) }
            let inputs: [Input: [Int32]] = [
                .tokens: [1, 2, 3, 20, 4, 5, 21, 6, 7], .positions: [0, 1, 2, 0, 3, 4, 1, 5, 6],
                .sequences: [1, 1, 1, 2, 1, 1, 2, 1, 1], .slots: [0, 0, 0, 1, 0, 0, 1, 0, 0],
            ]
            let ordered = graph.inputs.sorted { $0.value < $1.value }
            let output = try #require(graph.outputs[.logits])
            let executable = try device.compile(
                Segment(graph: graph, nodes: graph.nodes.indices, inputs: ordered.map(\.value), outputs: [output]))
            let result = try executable.run(
                weights: weights, states: states, inputs: ordered.map { .index(inputs[$0.key] ?? []) })[0].doubles
            return [0, 1, 2, 4, 5, 7, 8].map { Array(result[$0 * 4..<$0 * 4 + 4]) }
        }
        let (causal, centred) = (try convolved(isCausal: true), try convolved(isCausal: false))
        let middle = (taps - 1) / 2
        for token in 0..<7 - min(7, middle) {
            #expect(normalizedError(centred[token], causal[token + middle]) < 1e-20)
        }
    }

    @Test("a token of a model that is not causal sees later ones")
    func laterTokens() throws {
        var metadata = try Toy(architecture: Llama.self, seed: 0).drawn().metadata
        metadata["llama.attention.causal"] = .bool(false)
        let model = try Model(MemorySource(metadata, optional: .none, recipe: WeightRecipe(seed: 0)))
        let one = try model.session().process(Batch([1, 2, 3])).rows[0]
        let other = try model.session().process(Batch([1, 2, 4])).rows[0]
        #expect(normalizedError(one, other) > 1e-6)
    }

    @Test("the residual stream after each block is what the next one begins with", arguments: Toy.few)
    func blocks(_ toy: Toy) throws {
        let model = try toy.model()
        let batch = model.batch(4)
        func output(wantsBlocks: Bool) throws -> Output {
            let session = try Session(
                model, placement: Placement("reference"), devices: DeviceSet([ReferenceDevice(), CPUDevice()]),
                options: SessionOptions(wantsBlocks: wantsBlocks))
            if model.architecture.traits.hasEncoder { try session.encode(batch) }
            return try session.process(batch)
        }
        let (plain, all) = (try output(wantsBlocks: false), try output(wantsBlocks: true))
        #expect(plain.rows == all.rows && plain.blocks.isEmpty)
        // An encoder-decoder model may have fewer blocks in its decoder.
        #expect((1...model.architecture.dimensions.layers).contains(all.blocks.count))
        for rows in all.blocks { #expect(rows.keys == [0, 1, 2, 3]) }
    }

    @Test("outputs can be wanted of any tokens", arguments: Toy.few)
    func subsets(_ toy: Toy) throws {
        let model = try toy.model()
        // Its outputs are of no tokens.
        if model.architecture.traits.decides { return }
        let all = try model.session().process(Batch(model.tokens(9)))
        var batch = Batch(model.tokens(9))
        for index in batch.tokens.indices { batch.tokens[index].wantsOutput = [0, 4, 7].contains(index) }
        let some = try model.session(microBatch: model.remembers ? 3 : 64).process(batch)
        if model.architecture.traits.pooling == .none {
            #expect((some.logits ?? some.embeddings)?.keys == [0, 4, 7])
            for token in [0, 4, 7] {
                #expect(normalizedError(try #require(some.row(token)), try #require(all.row(token))) < rounding)
            }
        }
    }

    @Test("sequences in one batch do not affect each other", arguments: Toy.all)
    func isolation(_ toy: Toy) throws {
        let model = try toy.model()
        // It takes one sequence a batch.
        if model.architecture.traits.decides { return }
        let prompts = (0..<3).map { model.tokens([9, 5, 12][$0], seed: UInt64($0)) }
        let alone = try prompts.map { try model.session().process(Batch($0)).rows }

        // Tokens of the three in turn, in one batch.
        var batch = Batch([])
        var owners: [(sequence: Int, index: Int)] = []
        for index in 0..<12 {
            for (sequence, prompt) in prompts.enumerated() where index < prompt.count {
                batch.tokens.append(.init(id: prompt[index], position: index, sequences: SequenceSet(sequence)))
                owners.append((sequence, index))
            }
        }
        let together = try model.session().process(batch)
        guard model.architecture.traits.pooling == .none else {
            #expect(largestError(together.rows, alone.flatMap { $0 }) < rounding)
            return
        }
        for (token, owner) in owners.enumerated() {
            #expect(normalizedError(try #require(together.row(token)), alone[owner.sequence][owner.index]) < rounding)
        }
    }

    @Test("any placement of layers and tensors gives the same", arguments: Toy.all)
    func placement(_ toy: Toy) throws {
        let model = try toy.model()
        let batch = model.batch(12)
        let devices: [any Device] = [CPUDevice(), OtherDevice()]
        let whole = try model.session().process(batch).rows
        for text in [
            "other", "cpu,1-=other", "other,0=cpu,2=cpu", #"cpu,.*ffn.*=other,output.*=other"#, #"other,.*attn_k.*=cpu"#
        ] {
            let session = try model.session(Placement(parsing: text), devices: devices)
            #expect(try session.process(batch).rows == whole, "\(text)")
            #expect(session.fallbacks.isEmpty)
        }
    }

    @Test("cpu, and halves of a model on cpu and reference, agree with reference", arguments: Toy.all)
    func devices(_ toy: Toy) throws {
        let model = try toy.model()
        let batch = model.batch(24)
        let devices: [any Device] = [ReferenceDevice(), CPUDevice()]
        let expected = try model.session(Placement("reference"), devices: devices).process(batch).rows
        for text in ["cpu", "reference,0=cpu", "cpu,0=reference", #"reference,.*_norm\.weight=cpu"#] {
            let rows = try model.session(Placement(parsing: text), devices: devices).process(batch).rows
            #expect(largestError(rows, expected) < 1e-8, "\(text)")
        }
    }

    @Test(
        "the first Vulkan device agrees with reference, alone and with cpu, and runs every op itself",
        .enabled(if: !VulkanDevice.all().devices.isEmpty),
        // Group norms, blocks that an indexer picks and logits that are spread over a vocabulary have no shader.
        arguments: Toy.few.filter {
            !["wavtokenizer-dec", "minimax-m3", "eagle3", "dflash"].contains($0.architecture.name)
        })
    func vulkan(_ toy: Toy) throws {
        let model = try toy.model()
        let batch = model.batch(12)
        let devices = DeviceSet.all().devices
        let expected = try model.session(Placement("reference"), devices: devices).process(batch).rows
        for text in ["vulkan0", "cpu,0=vulkan0"] {
            let rows = try model.session(Placement(parsing: text), devices: devices, isStrict: true).process(batch).rows
            #expect(largestError(rows, expected) < 1e-6, "\(text)")
        }
    }

    @Test("what a device cannot run falls back to cpu, is listed, and is an error if strict", arguments: Toy.few)
    func fallback(_ toy: Toy) throws {
        let model = try toy.model()
        let batch = model.batch(12)
        let devices: [any Device] = [CPUDevice(), OtherDevice(refusing: ["norm", "store", "matmul"])]
        let session = try model.session(Placement("other"), devices: devices)
        #expect(try session.process(batch).rows == model.session().process(batch).rows)
        #expect(session.fallbacks.contains { $0.op == "matmul" && $0.device == "other" && $0.reason == "refused" })
        #expect(throws: DeviceError.self) { try model.session(Placement("other"), devices: devices, isStrict: true) }
        #expect(throws: PlacementError.self) { try model.session(Placement("elsewhere"), devices: devices) }
        // Without a cpu the error says what it would have been for.
        let error = #expect(throws: DeviceError.self) {
            try model.session(Placement("other"), devices: [OtherDevice(refusing: ["norm", "matmul"])])
        }
        #expect(error?.reason.contains(/cannot run (norm|matmul) \(refused\), and there is no cpu/) == true)
    }

    @Test("with a Vulkan device comes the cpu, which runs what it has no shader for", arguments: ["vulkan0", "vulkan3"])
    func fallbackDevice(_ wanted: String) {
        let found = DeviceSet.all { $0 == wanted }.devices.map(\.name)
        #expect(found == [CPUDevice.name] + found.filter { $0 == wanted })
        #expect(DeviceSet.all { $0 == "reference" }.devices.map(\.name) == ["reference"])
    }

    @Test(
        "on a Vulkan device alone, what it has no shader for is listed and right",
        .enabled(if: !VulkanDevice.all().devices.isEmpty), arguments: ["eagle3", "minimax-m3", "wavtokenizer-dec"])
    func vulkanAlone(_ name: String) throws {
        var fallbacks = 0
        for seed in 0..<6 as Range<UInt64> {
            let model = try Toy(architecture: ArchitectureCatalog.named(name), seed: seed).model()
            let batch = model.batch(6)
            let devices = DeviceSet.all { $0 == "vulkan0" }.devices
            let session = try model.session(Placement("vulkan0"), devices: devices)
            #expect(largestError(try session.process(batch).rows, try model.session().process(batch).rows) < 1e-6)
            fallbacks += session.fallbacks.filter { $0.device == "vulkan0" }.count
        }
        #expect(fallbacks > 0)
    }

    @Test("a cache of half precision is close, and not the same", arguments: Toy.few)
    func halfCache(_ toy: Toy) throws {
        let model = try toy.model()
        let full = try model.session()
        guard full.hasCache else { return }
        let batch = model.batch(16)
        let error = largestError(
            try model.session(cacheType: .half).process(batch).rows, try full.process(batch).rows)
        #expect(error < 1e-2)
        #expect(error > 0)
    }

    @Test("two sessions share weights, and the same work twice gives the same bits", arguments: Toy.few)
    func determinism(_ toy: Toy) throws {
        let model = try toy.model()
        let batch = model.batch(20)
        let first = try model.session()
        let expected = try first.process(batch).rows
        #expect(try model.session().process(batch).rows == expected)
        let devices = first.devices
        let second = try Session(
            model, placement: Placement("cpu"), devices: devices, options: first.options, weights: first.weights)
        if model.architecture.traits.hasEncoder { second.encoded = first.encoded }
        #expect(try second.process(batch).rows == expected)
        if model.remembers {
            try first.remove(0)
            #expect(try first.process(batch).rows == expected)
        }
    }

    @Test("a batch that breaks a rule is refused with nothing changed", arguments: Toy.few)
    func rules(_ toy: Toy) throws {
        let model = try toy.model()
        let session = try model.session(context: 32)
        let vocabulary = model.architecture.dimensions.vocabulary
        func refused(_ tokens: [Batch.Token], _ comment: Comment) {
            let before = session.cells
            #expect(throws: SessionError.self, comment) { try session.process(Batch(tokens)) }
            #expect(session.cells == before)
        }
        refused([], "no tokens")
        refused([.init(id: vocabulary, position: 0)], "outside the vocabulary")
        // Elsewhere it is an embedding.
        if !model.architecture.traits.takesEmbeddings {
            refused([.init(id: -1, position: 0)], "outside the vocabulary")
        }
        refused([.init(id: 0, position: -1)], "a negative position")
        refused([.init(id: 0, position: Int(Int32.max) + 1)], "a position out of range")
        refused([.init(id: 0, position: 0, sequences: [])], "no sequence")
        refused([.init(id: 0, position: 0, sequences: [4])], "a sequence that is not there")
        if let limit = session.positionLimit { refused([.init(id: 0, position: limit)], "no such learned position") }
        guard model.remembers else { return }
        try session.process(Batch([0, 1, 2]))
        refused([.init(id: 0, position: 2)], "a position that is taken")
        refused([.init(id: 0, position: 4), .init(id: 0, position: 3)], "descending positions")
        if session.hasCache { refused((3..<33).map { .init(id: 0, position: $0) }, "more tokens than cells") }
        if session.isRecurrent {
            refused([.init(id: 0, position: 4)], "a gap in recurrent state")
            refused([.init(id: 0, position: 3, sequences: [0, 1])], "recurrent state of two sequences")
        }
        try session.process(Batch([3], from: 3))
    }
}
