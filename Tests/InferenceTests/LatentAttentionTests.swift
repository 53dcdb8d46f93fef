import Architectures
import Devices
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@testable import Inference

@Suite("Multi-head latent attention")
struct LatentAttentionTests {
    private static let (heads, content, latent, positional, value) = (3, 16, 24, 8, 10)

    private func metadata(_ keys: [String: MetadataValue]) throws -> Metadata {
        var choices = Choices(replaying: [])
        var metadata = try DrawnModel.draw(DeepSeek2.self, &choices).metadata
        let common: [String: MetadataValue] = [
            "attention.head_count": .uint32(UInt32(Self.heads)), "attention.kv_lora_rank": .uint32(UInt32(Self.latent)),
            "attention.q_lora_rank": 0, "rope.dimension_count": .uint32(UInt32(Self.positional)), "block_count": 2,
            "rope.scaling.type": .string("yarn"), "rope.scaling.factor": .float32(4),
            "rope.scaling.original_context_length": 16,
        ]
        for (key, value) in common.merging(keys, uniquingKeysWith: { $1 }) { metadata["deepseek2.\(key)"] = value }
        return metadata
    }

    private func logits(_ source: MemorySource) throws -> [Double] {
        let model = try Model(source)
        let session = try model.session(Placement("reference"), devices: [ReferenceDevice()])
        let tokens = model.tokens(9)
        // The second batch reads what the first has cached.
        let first = try session.process(Batch(Array(tokens[..<5])))
        let second = try session.process(Batch(Array(tokens[5...]), from: 5))
        return [first, second].flatMap { $0.logits?.elements.doubles ?? [] }
    }

    @Test("the absorbed and the expanded form of one model give the same logits")
    func formsAgree() throws {
        let recipe = WeightRecipe(seed: 3)
        let row = UInt32(Self.latent + Self.positional), key = UInt32(Self.content + Self.positional)
        let absorbed = try MemorySource(
            metadata([
                "attention.key_length_mla": .uint32(key), "attention.value_length_mla": .uint32(UInt32(Self.value)),
                "attention.head_count_kv": 1, "attention.key_length": .uint32(row),
                "attention.value_length": .uint32(UInt32(Self.latent)),
            ]), optional: .none, recipe: recipe)
        let expanded = try MemorySource(
            metadata(["attention.key_length": .uint32(key), "attention.value_length": .uint32(UInt32(Self.value))]),
            optional: .none, type: recipe.type(of:)
        ) { tensor in
            guard tensor.name.hasSuffix("attn_kv_b.weight") else { return try recipe.draw(tensor.weight) }
            func part(_ name: String, _ shape: Shape) throws -> [Float] {
                var weight = tensor.weight
                weight.name = tensor.name.replacing("attn_kv_b", with: name)
                weight.shape = shape
                return try recipe.draw(weight).bytes.withBytes { Array($0.bindMemory(to: Float.self)) }
            }
            let (heads, content, latent, value) = (Self.heads, Self.content, Self.latent, Self.value)
            let keys = try part("attn_k_b", [heads, latent, content]), values = try part(
                "attn_v_b", [heads, value, latent])
            var rows: [Float] = []
            for head in 0..<heads {
                for i in 0..<content {
                    for j in 0..<latent { rows.append(keys[(head * latent + j) * content + i]) }
                }
                let size = value * latent
                rows += Array(values[head * size ..< (head + 1) * size])
            }
            return TensorData(
                name: tensor.name, shape: tensor.shape, type: .f32,
                bytes: TensorBytes(count: rows.count * 4) { $0.copyBytes(from: rows.withUnsafeBytes(Array.init)) })
        }
        let (a, b) = (try logits(absorbed), try logits(expanded))
        #expect(a.count == b.count && !a.isEmpty)
        let error = zip(a, b).map { $0 - $1 }.reduce(0.0) { $0 + $1 * $1 }
        let square = b.reduce(0.0) { $0 + $1 * $1 }
        #expect(error < 1e-20 * square)
    }
}
