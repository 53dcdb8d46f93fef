import FuzzTarget
import GGUF

@testable import Commands

/// Results files: of one that is read, each row is there.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        let results = try ResultsFile(reading: file(input))
        for index in 0..<results.rowCount {
            expect(results.row(index).count == results.width, "half a row")
            expect(results.tops(index).map { $0.count == results.width } ?? true, "half a row of tokens")
            if let position = results.position(index) { expect(results.tokens.indices.contains(position), "no token") }
        }
    }

    var seeds: [[UInt8]] {
        get throws {
            func tensor(_ name: String, _ dimensions: [Int], _ type: TensorType) -> GGUFWriter.Tensor {
                .init(
                    name: name, dimensions: dimensions, type: type,
                    bytes: (0..<dimensions.reduce(4, *)).map { UInt8($0 % 4) })
            }
            let tokens = tensor("tokens", [3], .i32), tops = tensor("top_tokens", [2, 3], .i32)
            let ours: Metadata = [
                "path_model": "m.gguf", "results.architecture": "llama", "results.engine": "builtin",
                "results.engine.version": "", "results.device": "cpu", "results.device.summary": "",
                "results.precision": #"{"accumulation":"float32","storage":"float32"}"#, "results.placement": "cpu",
                "results.cache_type": "f32", "results.context": 64, "results.pooling": 0,
            ]
            return try [
                GGUFWriter.bytes(["path_model": "m.gguf"], [tokens, tensor("logits", [3, 4], .f32)]),
                GGUFWriter.bytes(ours, [tokens, tensor("logits", [4, 3], .f32), tensor("encoder_tokens", [2], .i32)]),
                GGUFWriter.bytes(ours, [tokens, tensor("positions", [1], .i32), tensor("embeddings", [4, 1], .f32)]),
                GGUFWriter.bytes(ours, [tokens, tensor("top_logits", [2, 3], .f32), tops]),
            ]
        }
    }
}
