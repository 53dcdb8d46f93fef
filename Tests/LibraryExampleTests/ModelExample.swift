import Foundation
import GGUF
import Inference
import Testing

/// The documentation's example of models and sessions, as it is there.
@Suite("Models and sessions in another program")
struct ModelExample {
    @Test("tensors are listed, a model is made and saved, and gives logits on two devices")
    func example() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }

        var metadata = Metadata()
        metadata["general.architecture"] = .string("llama")
        metadata["llama.vocab_size"] = .uint32(32)
        metadata["llama.context_length"] = .uint32(64)
        metadata["llama.embedding_length"] = .uint32(64)
        metadata["llama.block_count"] = .uint32(2)
        metadata["llama.feed_forward_length"] = .uint32(96)
        metadata["llama.attention.head_count"] = .uint32(4)
        metadata["llama.attention.layer_norm_rms_epsilon"] = .float32(1e-5)

        // Every weight tensor: name, shape, type, role, and whether a file may lack it.
        for tensor in try Inventory(metadata, optional: .none).tensors {
            print(tensor.name, tensor.dimensions, tensor.type.name, tensor.role)
        }

        // A model in memory: metadata, and a function that supplies each tensor; here, the recipe that draws toys.
        let recipe = WeightRecipe(seed: 1)
        let source = try MemorySource(metadata, optional: .none, type: recipe.type(of:)) { try recipe.draw($0.weight) }
        let model = try Model(source)                       // or Model(FileSource(path: "model.gguf"))
        try model.save(to: path)

        // Two sequences in one batch, layer 1 on another device.
        let session = try Session(
            model, placement: Placement(parsing: "cpu,1=reference"), devices: .all(),
            options: SessionOptions(sequences: 2))
        let output = try session.process(Batch(Batch([1, 2, 3]).tokens + Batch([4, 5], sequence: 1).tokens))
        print(output.logits?[4] ?? [])                      // of the second sequence's last token

        #expect(output.logits?[4]?.count == 32)
        #expect(try Model(FileSource(path: path)).metadata["general.architecture"] == .string("llama"))
    }
}
