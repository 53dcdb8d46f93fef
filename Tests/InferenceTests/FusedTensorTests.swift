import Architectures
import Devices
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@testable import Inference

/// The same model with its matrices side by side in one tensor, or interleaved as older files have them.
@Suite("Fused tensors")
struct FusedTensorTests {
    /// Logits of a model whose tensors are those that the recipe draws, or put together from them.
    private func logits(
        _ metadata: Metadata, has: Set<String>, rows: @escaping @Sendable (String) -> [(tensor: String, row: Int)]?
    ) throws -> [[Double]] {
        let recipe = WeightRecipe(seed: 5)
        let source = try MemorySource(metadata, optional: .only(has), type: recipe.type(of:)) { tensor in
            guard let rows = rows(tensor.name) else { return try recipe.draw(tensor.weight) }
            // As if the rows' own tensors were drawn: an element depends on its tensor's name and place only.
            let width = tensor.shape.last
            let parts = try Dictionary(grouping: rows, by: \.tensor).mapValues { rows in
                var part = tensor.weight
                part.name = rows[0].tensor
                part.shape = [(rows.map(\.row).max() ?? 0) + 1, width]
                return try recipe.draw(part).bytes.withBytes { Array($0) }
            }
            let stride = width * MemoryLayout<Float>.size
            return TensorData(
                name: tensor.name, shape: tensor.shape, type: .f32,
                bytes: TensorBytes(count: rows.count * stride) { bytes in
                    for (index, row) in rows.enumerated() {
                        bytes[index * stride..<(index + 1) * stride].copyBytes(
                            from: parts[row.tensor, default: []][row.row * stride..<(row.row + 1) * stride])
                    }
                })
        }
        let session = try Model(source).session(Placement("reference"), devices: [ReferenceDevice()])
        return try session.process(Batch([3, 1, 4, 1, 5, 9])).rows
    }

    private func simplest(
        _ architecture: any Architecture.Type, _ changes: [String: MetadataValue]
    ) throws -> Metadata {
        var choices = Choices(replaying: [])
        var metadata = try DrawnModel.draw(architecture, &choices).metadata
        for (key, value) in changes { metadata["\(architecture.name).\(key)"] = value }
        return metadata
    }

    @Test("Kimi's queries, keys and values in one tensor are those of three")
    func deltaAttention() throws {
        let metadata = try simplest(
            KimiLinear.self,
            ["block_count": 1, "attention.head_count_kv": 0, "attention.head_count": 2, "kda.head_dim": 8])
        let apart = try logits(metadata, has: []) { _ in nil }
        let fused = try logits(metadata, has: ["blk.0.attn_qkv.weight"]) { name in
            name == "blk.0.attn_qkv.weight"
                ? ["q", "k", "v"].flatMap { part in (0..<16).map { ("blk.0.attn_\(part).weight", $0) } } : nil
        }
        #expect(fused == apart)
    }

    @Test("Qwen3-Next's older tensor, interleaved by key head, is its two newer ones")
    func deltaNet() throws {
        let metadata = try simplest(Qwen3Next.self, [
            "block_count": 1, "attention.recurrent_layers": .array(.bool([true])),
            "ssm.state_size": 2, "ssm.time_step_rank": 6, "ssm.group_count": 3, "ssm.inner_size": 12,
        ])
        let (qkv, gate) = ("blk.0.attn_qkv.weight", "blk.0.attn_gate.weight")
        let newer = try logits(metadata, has: [qkv]) { _ in nil }
        // Three key heads of two elements, two value heads each: queries, keys, values and gates of one, then of the
        // next.
        let older = try logits(metadata, has: []) { name in
            guard name == "blk.0.ssm_in.weight" else { return nil }
            return (0..<3).flatMap { head -> [(tensor: String, row: Int)] in
                (0..<2).map { (qkv, 2 * head + $0) } + (0..<2).map { (qkv, 6 + 2 * head + $0) }
                    + (0..<4).map { (qkv, 12 + 4 * head + $0) } + (0..<4).map { (gate, 4 * head + $0) }
            }
        }
        #expect(older == newer)
    }
}
