import Architectures
import Devices
import Foundation
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@testable import Inference

@Suite("Models")
struct ModelTests {
    @Test(
        "a saved model loads to the same bits, and saves to the same bytes", arguments: Toy.all,
        [TensorType.f32, .q8_0])
    func roundTrip(_ toy: Toy, _ type: TensorType) throws {
        let model = try toy.model(type: type)
        let bytes = try model.savedBytes()
        let loaded = try Model(FileSource(GGUFFile(bytes: bytes)))
        #expect(loaded.metadata == model.metadata)
        #expect(loaded.weights.map(\.name) == model.weights.map(\.name))
        #expect(try loaded.savedBytes() == bytes)
        let batch = model.batch(6)
        #expect(try loaded.session().process(batch).rows == model.session().process(batch).rows)
    }

    @Test("a file on disk is the bytes that were saved")
    func file() throws {
        let model = try Toy(architecture: Llama.self, seed: 4).model()
        let path = FileManager.default.temporaryDirectory.appending(path: "gguf-fuzz-\(UUID().uuidString).gguf").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try model.save(to: path)
        #expect(try Array(Data(contentsOf: URL(filePath: path))) == model.savedBytes())
        #expect(try Model(FileSource(path: path)).weights.count == model.weights.count)
    }

    @Test("a model in several parts is the model in one, and saves to the same bytes", arguments: [2, 3, 30])
    func parts(count: Int) throws {
        let model = try Toy(architecture: Llama.self, seed: 4).model()
        let folder = FileManager.default.temporaryDirectory.appending(path: "gguf-fuzz-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func path(_ part: Int) -> String { folder + String(format: "/m-%05d-of-%05d.gguf", part + 1, count) }
        for (part, bytes) in try model.source.bytesOfParts(count).enumerated() {
            try Data(bytes).write(to: URL(filePath: path(part)))
        }
        let loaded = try Model(FileSource(path: path(1)))
        #expect(try loaded.savedBytes() == model.savedBytes())
        let batch = Batch(model.tokens(6))
        #expect(try loaded.session().process(batch).rows == model.session().process(batch).rows)
    }

    @Test("a missing tensor, a misshapen one, one of an unknown type and one that the model makes no use of are named")
    func tensors() throws {
        let source = try Toy(architecture: Llama.self, seed: 4).source()
        func load(_ change: (inout [TensorInfo]) -> Void) throws -> Model {
            var tensors = source.tensors
            change(&tensors)
            return try Model(Altered(original: source, tensors: tensors))
        }
        func index(_ tensors: [TensorInfo]) -> Int { tensors.firstIndex { $0.name == "output_norm.weight" } ?? 0 }

        let missing = #expect(throws: ModelError.self) { try load { $0.remove(at: index($0)) } }
        #expect(missing?.description.hasPrefix("output_norm.weight: is missing; expected [") == true)
        let misshapen = #expect(throws: ModelError.self) { try load { $0[index($0)].shape = [7] } }
        #expect(misshapen?.description.hasPrefix("output_norm.weight: is [7], expected [") == true)
        let unused = #expect(throws: ModelError.self) {
            try load {
                $0.append(TensorInfo(name: "blk.0.attn_q_norm.weight", shape: [256], type: .f32))
                $0.append(TensorInfo(name: "unused", shape: [256], type: .iq2_XXS))
            }
        }
        #expect(
            unused?.description
                == "blk.0.attn_q_norm.weight: llama with this metadata makes no use of this tensor, nor of 1 other")
        _ = try load { $0[index($0)].shape = Shape([1, 1, 1] + $0[index($0)].shape.dimensions) }
    }

    private struct Altered: TensorSource {
        var original: MemorySource
        var tensors: [TensorInfo]
        var metadata: Metadata { original.metadata }
        func data(of tensor: TensorInfo) throws -> TensorData { try original.data(of: tensor) }
    }

    @Test("the inventory is what a model's file holds", arguments: Toy.all)
    func inventory(_ toy: Toy) throws {
        let model = try toy.model(type: .q8_0)
        let inventory = try Inventory(
            model.metadata, optional: .only(toy.drawn().optionalTensors), recipe: WeightRecipe(seed: 0, type: .q8_0))
        let file = try GGUFFile(bytes: model.savedBytes())
        #expect(inventory.tensors.map(\.name) == file.tensors.map(\.name))
        #expect(inventory.tensors.map(\.dimensions) == file.tensors.map(\.dimensions))
        #expect(inventory.tensors.map(\.type) == file.tensors.map(\.type))

        let all = try Inventory(model.metadata), least = try Inventory(model.metadata, optional: .none)
        #expect(least.tensors.allSatisfy { !$0.isOptional })
        #expect(Set(all.tensors.map(\.name)).count == all.tensors.count)
    }

    @Test("a function may supply tensors, but only as they are asked for")
    func supply() throws {
        let drawn = try Toy(architecture: Llama.self, seed: 4).source()
        func model(_ supply: @escaping @Sendable (Inventory.Tensor) throws -> TensorData) throws -> Model {
            try Model(MemorySource(drawn.metadata, optional: .none, supply: supply))
        }
        let zeros = try model { tensor in
            TensorData(
                name: tensor.name, shape: tensor.shape, type: .f32,
                bytes: TensorBytes(count: 4 * tensor.shape.count) { $0.initializeMemory(as: UInt8.self, repeating: 0) })
        }
        #expect(try zeros.session().process(Batch([0])).rows.joined().allSatisfy { $0 == 0 })
        let wrong = try model { tensor in
            TensorData(name: tensor.name, shape: tensor.shape, type: .f32, bytes: TensorBytes(count: 4) { _ in })
        }
        #expect(throws: ModelError.self) { try wrong.session().process(Batch([0])) }
    }

    @Test("big-endian tensors are saved little-endian")
    func byteOrder() throws {
        func swapped(_ type: TensorType, _ bytes: [UInt8]) throws -> [UInt8] {
            let data = TensorData(
                name: "t", shape: [bytes.count / type.bytesPerBlock * type.blockSize], type: type, byteOrder: .big,
                bytes: TensorBytes(count: bytes.count) { $0.copyBytes(from: bytes) })
            return try data.littleEndian().withBytes { Array($0) }
        }
        #expect(try swapped(.f32, [1, 2, 3, 4, 5, 6, 7, 8]) == [4, 3, 2, 1, 8, 7, 6, 5])
        #expect(try swapped(.f16, [1, 2, 3, 4]) == [2, 1, 4, 3])
        #expect(try swapped(.q4_0, Array(1...18)) == [2, 1] + Array(3...18))
        #expect(throws: GGUFError.self) { try swapped(.q5_0, Array(repeating: 0, count: 22)) }
    }
}
