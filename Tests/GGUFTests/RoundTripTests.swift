import Foundation
import Testing

@testable import GGUF

@Suite("A file that is written and read")
struct RoundTripTests {
    @Test(
        "has the same metadata, tensors and data, in both versions and byte orders",
        arguments: [2, 3] as [UInt32], [ByteOrder.little, .big])
    func sameContent(version: UInt32, order: ByteOrder) throws {
        let bytes = try GGUFWriter.bytes(sampleMetadata, sampleTensors, version: version, byteOrder: order)
        let file = try GGUFFile(bytes: bytes)
        #expect(file.version == version)
        #expect(file.byteOrder == order)
        #expect(file.metadata == sampleMetadata)
        #expect(file.tensors.map(\.name) == sampleTensors.map(\.name))
        #expect(file.dataOffset % 32 == 0)
        for tensor in sampleTensors {
            let found = try #require(file.tensor(named: tensor.name))
            #expect(found.dimensions == tensor.dimensions)
            #expect(found.type == tensor.type)
            #expect(found.offset % 32 == 0)
            var data = try tensor.bytes()
            if order == .big { try data.withUnsafeMutableBytes { try tensor.type.swapBytes($0) } }
            #expect(file.withBytes(of: found) { Array($0) } == data, "\(tensor.name)")
        }
    }

    @Test("decodes to the same numbers in either byte order", arguments: [ByteOrder.little, .big])
    func sameNumbers(order: ByteOrder) throws {
        let values = (0..<64).map { Float($0) / 8 - 4 }
        let types: [TensorType] = [.f64, .f32, .f16, .bf16, .q8_0, .q4_0]
        let tensors = try types.map {
            GGUFWriter.Tensor(name: $0.name, dimensions: [64], type: $0, bytes: try $0.encoded(values))
        }
        let file = try GGUFFile(bytes: GGUFWriter.bytes([:], tensors, byteOrder: order))
        for (tensor, type) in zip(file.tensors, types) {
            #expect(try file.floats(of: tensor) == type.decoded(try type.encoded(values)), "\(type.name)")
        }
    }

    @Test("is the same bytes every time, and again when what was read is written")
    func deterministic() throws {
        let first = try GGUFWriter.bytes(sampleMetadata, sampleTensors)
        #expect(try GGUFWriter.bytes(sampleMetadata, sampleTensors) == first)
        let file = try GGUFFile(bytes: first)
        let again = file.tensors.map { tensor in
            GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.dimensions, type: tensor.type) {
                try file.withBytes(of: tensor, $0)
            }
        }
        #expect(try GGUFWriter.bytes(file.metadata, again) == first)
    }

    @Test("gives the bytes of the whole file, also where its header is mapped no more", arguments: [1, 100_000])
    func wholeFile(textLength: Int) throws {
        let metadata: Metadata = ["text": .string(String(repeating: "x", count: textLength))]
        let bytes = try GGUFWriter.bytes(metadata, sampleTensors)
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).gguf").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        #expect(try GGUFFile(path: path).withBytes { Array($0) } == bytes)
        #expect(try GGUFFile(bytes: bytes).withBytes { Array($0) } == bytes)
    }

    @Test("aligns tensors as its metadata says", arguments: [1, 8, 64, 4096] as [UInt32])
    func alignment(alignment: UInt32) throws {
        let file = try GGUFFile(
            bytes: GGUFWriter.bytes(["general.alignment": .uint32(alignment)], sampleTensors))
        #expect(file.alignment == Int(alignment))
        #expect(file.dataOffset % Int(alignment) == 0)
        #expect(file.tensors.allSatisfy { $0.offset % Int(alignment) == 0 })
        for tensor in sampleTensors {
            let found = try #require(file.tensor(named: tensor.name))
            #expect(try file.withBytes(of: found) { Array($0) } == tensor.bytes())
        }
    }

    @Test("is the same on disk as in memory, and leaves nothing else there")
    func onDisk() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/model.gguf"
            for metadata in [[:], sampleMetadata] as [Metadata] {
                try GGUFWriter.write(metadata, sampleTensors, to: path)
                #expect(try GGUFFile(path: path).metadata == metadata)
            }
            let written = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(try [UInt8](written) == GGUFWriter.bytes(sampleMetadata, sampleTensors))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.gguf"])
        }
    }

    @Test("stays as it was where writing fails")
    func failedWrite() throws {
        struct Refusal: Error {}
        try withTemporaryFolder { folder in
            let path = folder + "/model.gguf"
            try GGUFWriter.write(["a": 1], [], to: path)
            let bad = GGUFWriter.Tensor(name: "x", dimensions: [1], type: .f32) { _ in throw Refusal() }
            #expect(throws: Refusal.self) { try GGUFWriter.write(["a": 2], [bad], to: path) }
            #expect(try GGUFFile(path: path).metadata == ["a": 1])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.gguf"])
        }
    }

    @Test("removes what a process left that was killed, and nothing that another still writes")
    func abandonedFiles() throws {
        try withTemporaryFolder { folder in
            let names = [".gguf-fuzz-abandoned", ".gguf-fuzz-locked"]
            for name in names { try Data([1]).write(to: URL(fileURLWithPath: folder + "/" + name)) }
            let locked = open(folder + "/" + names[1], O_WRONLY)
            defer { close(locked) }
            #expect(flock(locked, LOCK_EX | LOCK_NB) == 0)
            try GGUFWriter.write(["a": 1], [], to: folder + "/model.gguf")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [names[1], "model.gguf"])
        }
    }

    @Test("takes the place of what a link leads to, and of no device")
    func linksAndDevices() throws {
        try withTemporaryFolder { folder in
            try GGUFWriter.write(["a": 1], [], to: folder + "/model.gguf")
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/link.gguf", withDestinationPath: "model.gguf")
            try GGUFWriter.write(["a": 2], [], to: folder + "/link.gguf")
            #expect(try GGUFFile(path: folder + "/model.gguf").metadata == ["a": 2])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["link.gguf", "model.gguf"])
        }
        #expect(reason { try GGUFWriter.write([:], [], to: "/dev/null") } == "/dev/null: not a regular file")
    }

    @Test("is an error with path and reason where it cannot be opened or created")
    func unreachable() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/missing/model.gguf"
            #expect(reason { _ = try GGUFFile(path: path) } == "\(path): cannot open: No such file or directory")
            #expect(
                reason { try GGUFWriter.write(
                    [:], [], to: path) } == "\(path): cannot create: No such file or directory")
            #expect(reason { _ = try GGUFFile(path: folder) } == "\(folder): not a regular file")
            try Data().write(to: URL(fileURLWithPath: folder + "/empty"))
            #expect(reason { _ = try GGUFFile(path: folder + "/empty") }
                == "\(folder)/empty: offset 0: the magic needs 4 bytes, but the file ends after 0")
        }
    }

    @Test("is refused where other readers would refuse it")
    func refusedToWrite() throws {
        func tensor(_ name: String, _ dimensions: [Int], _ type: TensorType, _ count: Int) -> GGUFWriter.Tensor {
            .init(name: name, dimensions: dimensions, type: type, bytes: [UInt8](repeating: 0, count: count))
        }
        func message(_ metadata: Metadata, _ tensors: [GGUFWriter.Tensor], version: UInt32 = 3) -> String {
            reason { _ = try GGUFWriter.bytes(metadata, tensors, version: version) }
        }
        #expect(message([:], [], version: 1) == "cannot write GGUF version 1")
        #expect(message(["general.alignment": 24], []).contains("powers of two"))
        #expect(message(["general.alignment": .int32(32)], []) == "general.alignment is int32, but must be uint32")
        #expect(message([:], [tensor("a", [1], .i8, 1), tensor("a", [1], .i8, 1)]) == "tensor \"a\" occurs twice")
        #expect(message([:], [tensor(String(repeating: "a", count: 64), [1], .i8, 1)]).contains("longer than 63 bytes"))
        #expect(message([:], [tensor("a", [3], .i8, 2)]) == "tensor \"a\" has 2 bytes of data where its shape needs 3")
        #expect(message([:], [tensor("a", [48], .q8_0, 51)]).contains("not whole blocks of Q8_0"))
        #expect(message([:], [tensor("a", [1, 1, 1, 1, 1], .i8, 1)]).contains("5 dimensions; at most 4"))
        #expect(message([:], [tensor("a", [-1], .i8, 1)]) == "tensor \"a\": dimension -1 is negative")
        #expect(message([:], [tensor("a", [.max, 2], .i8, 1)]).contains("overflows"))
        #expect(message([:], [tensor("a", [.max], .i8, 1), tensor("b", [.max], .i8, 1)]).contains("overflows"))
        let silent = GGUFWriter.Tensor(name: "a", dimensions: [1], type: .i8) { _ in }
        #expect(message([:], [silent]) == "tensor \"a\" has 0 bytes of data where its shape needs 1")
        let halves = GGUFWriter.Tensor(name: "a", dimensions: [2], type: .i8) { write in
            for byte: UInt8 in [7, 8] { try withUnsafeBytes(of: byte, write) }
        }
        let whole = GGUFWriter.Tensor(name: "a", dimensions: [2], type: .i8, bytes: [7, 8])
        #expect(try GGUFWriter.bytes([:], [halves]) == GGUFWriter.bytes([:], [whole]))
    }
}

/// The description of the error that a body throws.
func reason(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        return "\(error)"
    }
}

func withTemporaryFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
}
