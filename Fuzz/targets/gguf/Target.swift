import FuzzTarget
import GGUF

/// GGUF files: all that one says lies within it, and written anew it reads as the same.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        let file = try GGUFFile(bytes: input)
        expect(file.metadata.allSatisfy { $0.value.summary.utf8.count < 4096 }, "a summary that is not short")
        for tensor in file.tensors {
            // Some types have no data in the other byte order.
            guard let doubles = try? file.doubles(of: tensor) else { continue }
            let floats = try file.floats(of: tensor)
            expect([doubles.count, floats.count] == [tensor.elementCount, tensor.elementCount], "elements are missing")
        }
        let tensors = file.tensors.map { tensor in
            GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.dimensions, type: tensor.type) { body in
                try file.withBytes(of: tensor, body)
            }
        }
        let again = try GGUFFile(bytes: GGUFWriter.bytes(file.metadata, tensors))
        expect(again.metadata == file.metadata, "other metadata")
        expect(again.tensors.map(\.dimensions) == file.tensors.map(\.dimensions), "other tensors")
    }

    var seeds: [[UInt8]] {
        get throws {
            try [ByteOrder.little, .big].map {
                try GGUFWriter.bytes(sampleMetadata, sampleTensors, byteOrder: $0)
            }
        }
    }
}
