import Architectures
import Devices
import GGUF
import ModelGraph
import Testing

@testable import Inference

@Suite("Adapters")
struct AdapterTests {
    /// Of a drawn model, what each stage of its sessions is.
    private func graphs(_ drawn: DrawnModel) -> [Graph] {
        Array(drawn.graphs.prefix(drawn.architecture.traits.stages.count))
    }

    private func rows(_ model: Model) throws -> [[Double]] {
        let session = try model.session(Placement("reference"), devices: [ReferenceDevice()])
        return try session.process(model.batch(5)).rows
    }

    /// A model whose matrices are those of another one, with the products of adapters added.
    private struct ChangedWeights: TensorSource {
        let base: any TensorSource
        let adapters: [(lora: Adapter.LoRA, source: any TensorSource)]
        var metadata: Metadata { base.metadata }
        var tensors: [TensorInfo] { base.tensors }

        func data(of tensor: TensorInfo) throws -> TensorData {
            let original = try base.data(of: tensor)
            var elements = original.floats
            for (lora, source) in adapters where lora.tensors.contains(tensor.name) {
                func part(_ ending: String) throws -> [Float] {
                    let name = tensor.name + ending
                    let info = try #require(source.tensors.first { $0.name == name })
                    return try source.data(of: info).floats
                }
                let (a, b) = try (part(".lora_a"), part(".lora_b"))
                let (rows, columns, rank) = (tensor.shape[tensor.shape.rank - 2], tensor.shape.last, lora.rank)
                let isOfEmbedding = tensor.name == Adaptation.embedding
                for matrix in 0..<tensor.shape.count / (rows * columns) {
                    for row in 0..<rows {
                        for column in 0..<columns {
                            let sum = (0..<rank).reduce(0.0) { sum, inner in
                                sum
                                    + (isOfEmbedding
                                        ? Double(a[row * rank + inner]) * Double(b[column * rank + inner])
                                        : Double(b[(matrix * rows + row) * rank + inner])
                                            * Double(a[(matrix * rank + inner) * columns + column]))
                            }
                            elements[(matrix * rows + row) * columns + column] +=
                                Float(lora.scale * lora.alpha / Double(rank) * sum)
                        }
                    }
                }
            }
            return TensorData(
                name: tensor.name, shape: original.shape, type: .f32,
                bytes: TensorBytes(count: 4 * elements.count) { bytes in
                    elements.withUnsafeBytes { bytes.copyMemory(from: $0) }
                })
        }
    }

    @Test("are the same as their products added to the weights", arguments: [
        "llama", "qwen3moe", "deepseek2", "gemma", "mamba", "t5", "bert", "gpt2", "kimi-linear",
    ])
    func products(_ name: String) throws {
        for seed in UInt64(0)..<3 {
            let toy = Toy(architecture: try ArchitectureCatalog.named(name), seed: seed)
            let matrices = try graphs(toy.drawn()).reduce(into: Set<String>()) { $0.formUnion($1.adaptableWeights) }
            let source = try toy.source()
            let adapters = [
                Adapter.LoRA(seed: 1, rank: 3, alpha: 2, scale: -0.5, tensors: matrices.sorted()),
                Adapter.LoRA(seed: 2, rank: 1, alpha: 0.5, tensors: Array(matrices.sorted().prefix(2))),
            ].map { (lora: $0, source: try? Adapter.lora($0).source(for: source)) }
            let files = try adapters.map { (lora: $0.lora, source: try #require($0.source)) }
            let adapted = try Model(source).adapted(
                by: files.map { AppliedAdapter($0.source, scale: $0.lora.scale) })
            let changed = try Model(ChangedWeights(base: source, adapters: files))
            let (found, expected, plain) = try (rows(adapted), rows(changed), rows(Model(source)))
            #expect(largestError(found, expected) < 1e-8, "seed \(seed)")
            #expect(largestError(plain, expected) > 1e-6, "seed \(seed)")
        }
    }

    @Test("of the residual stream are added after their blocks")
    func directions() throws {
        var metadata = try Toy(architecture: ArchitectureCatalog.named("llama"), seed: 0).drawn().metadata
        metadata["llama.block_count"] = 3
        let source = try MemorySource(metadata, optional: .none, recipe: WeightRecipe(seed: 1))
        let vector = Adapter.controlVector(.init(seed: 5, scale: 2, first: 1, last: 2))
        let file = try vector.source(for: source)
        #expect(file.tensors.map(\.name) == ["direction.1", "direction.2"])
        let direction = try file.data(of: file.tensors[0]).floats.map { 2 * Double($0) }

        func blocks(_ model: Model) throws -> [Output.Rows] {
            let session = try Session(
                model, placement: Placement("reference"), devices: DeviceSet([ReferenceDevice()]),
                options: SessionOptions(context: 64, wantsBlocks: true))
            return try session.process(Batch([1, 2, 3])).blocks
        }
        let plain = try blocks(Model(source))
        let steered = try blocks(
            Model(source).adapted(by: [AppliedAdapter(file, scale: 2, layers: 1...1)]))
        #expect(steered[0].row(at: 2) == plain[0].row(at: 2))
        for (number, element) in steered[1].row(at: 2).enumerated() {
            #expect(abs(element - plain[1].row(at: 2)[number] - direction[number]) < 1e-12)
        }
        #expect(steered[2].row(at: 2) != plain[2].row(at: 2))
        let last = try blocks(Model(source).adapted(by: [AppliedAdapter(file, scale: 2, layers: 2...2)]))
        #expect(last[1].row(at: 0) == plain[1].row(at: 0) && last[2].row(at: 0) != plain[2].row(at: 0))
    }

    // MARK: What is no adapter

    private struct Edited: TensorSource {
        var metadata: Metadata
        var tensors: [TensorInfo]
        let base: any TensorSource
        init(_ base: any TensorSource) { (metadata, tensors, self.base) = (base.metadata, base.tensors, base) }
        func data(of tensor: TensorInfo) throws -> TensorData { try base.data(of: tensor) }
    }

    @Test("that do not fit the model are refused by the name of a key or tensor")
    func refusals() throws {
        let source = try Toy(architecture: ArchitectureCatalog.named("llama"), seed: 0).source()
        let model = try Model(source)
        let lora = Adapter.lora(.init(rank: 4, tensors: ["blk.0.attn_output.weight"]))
        let file = Edited(try lora.source(for: source))
        func refusal(_ change: (inout Edited) -> Void) -> String? {
            var edited = file
            change(&edited)
            do { _ = try model.adapted(by: [AppliedAdapter(edited)]) } catch { return "\(error)" }
            return nil
        }
        let name = "blk.0.attn_output.weight"
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.metadata["general.architecture"] = "qwen3" }
            == "general.architecture: is \"qwen3\"; expected \"llama\"")
        #expect(refusal { $0.metadata["general.type"] = nil } == "general.type: is missing; expected \"adapter\"")
        #expect(refusal { $0.metadata["adapter.type"] = 1 } == "adapter.type: is 1; expected \"lora\"")
        #expect(refusal { $0.metadata["adapter.lora.alpha"] = nil }?.hasPrefix("adapter.lora.alpha: ") ?? false)
        #expect(refusal { $0.metadata["adapter.lora.alpha"] = .float32(.nan) }?.hasPrefix("adapter.lora") ?? false)
        #expect(refusal { $0.tensors.removeFirst() } == "\(name).lora_a: is missing")
        #expect(refusal { $0.tensors.removeLast() }?.hasPrefix("\(name).lora_b: is missing; expected [4, ") ?? false)
        #expect(refusal { $0.tensors[0].name = "x.lora_a" } == "x.lora_a: is beside no tensor of the model")
        #expect(refusal { $0.tensors[0].name = name } == "\(name): is beside no tensor of the model")
        #expect(refusal { $0.tensors[1].shape = [3, 4] }?.hasPrefix("\(name).lora_b: is [4, 3], expected ") ?? false)
        #expect(refusal { $0.tensors[0].shape = [7] }?.hasPrefix("\(name).lora_a: is [7], expected ") ?? false)
        #expect(refusal {
            $0.tensors[0].name = "output_norm.weight.lora_a"
            $0.tensors[1].name = "output_norm.weight.lora_b"
        }?.hasPrefix("output_norm.weight: ") ?? false)
    }

    @Test("leave the model as it was to others")
    func originals() throws {
        let source = try Toy(architecture: ArchitectureCatalog.named("llama"), seed: 0).source()
        let model = try Model(source)
        let before = try rows(model)
        let lora = try Adapter.lora(.init(tensors: ["blk.0.attn_output.weight"])).source(for: source)
        let adapted = try model.adapted(by: [AppliedAdapter(lora)])
        #expect(try rows(adapted) != before)
        #expect(try rows(model) == before)
        #expect(try rows(adapted.adapted(by: [])) == before)
    }
}

extension TensorData {
    /// Of F32.
    fileprivate var floats: [Float] {
        bytes.withBytes { Array($0.bindMemory(to: Float.self)) }
    }
}
