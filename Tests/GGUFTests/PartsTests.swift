import Foundation
import GGUF
import Testing

@Suite("Models in several files")
struct PartsTests {
    /// Writes three parts into a folder, with tensors a and b, none, and c; `change` may alter a part's metadata and
    /// the names of its tensors.
    private func withParts(
        _ change: (Int, inout Metadata, inout [String]) -> Void = { _, _, _ in }, _ body: (String) throws -> Void
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-parts-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (index, tensors) in [["a", "b"], [], ["c"]].enumerated() {
            var metadata = Metadata(), names = tensors
            if index == 0 {
                metadata["general.architecture"] = "llama"
                metadata["llama.block_count"] = 1
            }
            metadata["split.no"] = .uint16(UInt16(index))
            metadata["split.count"] = .uint16(3)
            metadata["split.tensors.count"] = .int32(3)
            change(index, &metadata, &names)
            try GGUFWriter.write(
                metadata,
                names.map { .init(name: $0, dimensions: [1], type: .i8, bytes: [$0.utf8.first ?? 0]) },
                to: Self.path(folder.path, index))
        }
        try body(folder.path)
    }

    private static func path(_ folder: String, _ index: Int) -> String { "\(folder)/m-0000\(index + 1)-of-00003.gguf" }

    @Test("any part leads to all of them, in their order, and to the first one's metadata", arguments: 0..<3)
    func anyPart(index: Int) throws {
        try withParts { folder in
            let parts = try GGUFParts(path: Self.path(folder, index))
            #expect(parts.files.map(\.path) == (0..<3).map { Self.path(folder, $0) })
            #expect(parts.files.flatMap(\.tensors).map(\.name) == ["a", "b", "c"])
            #expect(parts.metadata == ["general.architecture": "llama", "llama.block_count": 1])
        }
    }

    @Test("a file that is not split is a model of one part, whatever its name", arguments: [nil, 0, 1])
    func single(count: UInt16?) throws {
        try withParts({ index, metadata, _ in
            metadata["split.count"] = count.map(MetadataValue.uint16)
            if index == 0 { metadata["split.tensors.count"] = nil }
        }) { folder in
            let path = folder + "/model.gguf"
            try FileManager.default.moveItem(atPath: Self.path(folder, 0), toPath: path)
            let parts = try GGUFParts(path: path)
            #expect(parts.files.count == 1 && parts.metadata["general.architecture"] == "llama")
        }
    }

    @Test("without some metadata the tensors are the same, and outlive the file that they were mapped for")
    func removedMetadata() throws {
        try withParts({ index, metadata, _ in
            // More than a page, which is not mapped once it has been read.
            if index == 0 {
                metadata["tokenizer.ggml.tokens"] = .array(.string(Array(repeating: "token", count: 5000)))
            }
        }) { folder in
            var parts = try GGUFParts(path: Self.path(folder, 0))
            parts = parts.removingMetadata { key, _ in key.hasPrefix("tokenizer.") }
            #expect(parts.metadata == ["general.architecture": "llama", "llama.block_count": 1])
            #expect(parts.files[0].metadata["tokenizer.ggml.tokens"] == nil)
            for file in parts.files {
                for tensor in file.tensors {
                    #expect(file.withBytes(of: tensor) { Array($0) } == Array(tensor.name.utf8.prefix(1)))
                }
            }
        }
    }

    private func expectError(_ reason: String, part: Int = 0, in folder: String, file: Int) {
        let error = #expect(throws: GGUFError.self) { try GGUFParts(path: Self.path(folder, part)) }
        #expect(error?.file == Self.path(folder, file), "\(error?.description ?? "")")
        #expect(error?.reason.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test("a part that is missing, cut or no GGUF file is named, with the part that asked for it")
    func missing() throws {
        try withParts { folder in
            let third = URL(fileURLWithPath: Self.path(folder, 2))
            let whole = try Data(contentsOf: third)
            try whole.prefix(40).write(to: third)
            expectError("(part 3 of the 3 that \(Self.path(folder, 0)) belongs to)", in: folder, file: 2)
            try FileManager.default.removeItem(at: third)
            expectError("cannot open: No such file or directory (part 3 of the 3", part: 1, in: folder, file: 2)
        }
    }

    @Test("a name that does not say what the metadata does is refused")
    func names() throws {
        try withParts { folder in
            for name in ["m.gguf", "m-00002-of-00003.gguf.bak", "m-00001-of-00004.gguf"] {
                try FileManager.default.copyItem(atPath: Self.path(folder, 1), toPath: folder + "/" + name)
                let error = #expect(throws: GGUFError.self) { try GGUFParts(path: folder + "/" + name) }
                #expect(error?.reason == "is part 2 of 3, so its name must end in -00002-of-00003.gguf")
            }
        }
    }

    @Test("parts that say different counts or numbers do not belong together")
    func counts() throws {
        try withParts({ index, metadata, _ in if index == 2 { metadata["split.count"] = .uint16(4) } }) { folder in
            expectError("says that it is part 3 of 4, but its name", in: folder, file: 2)
        }
        try withParts({ index, metadata, _ in if index == 1 { metadata["split.no"] = .uint16(2) } }) { folder in
            expectError("says that it is part 3 of 3, but its name", in: folder, file: 1)
        }
        try withParts({ index, metadata, _ in if index == 1 { metadata["split.count"] = nil } }) { folder in
            expectError("says that it is part 2 of 1, but its name", in: folder, file: 1)
        }
    }

    @Test("parts of different models are refused")
    func differentModels() throws {
        try withParts({ index, metadata, _ in if index == 2 { metadata["general.architecture"] = "gpt2" } }) { folder in
            expectError("is a part of another model: general.architecture is \"gpt2\"", in: folder, file: 2)
        }
        try withParts({ index, metadata, _ in
            if index == 1 { metadata["split.tensors.count"] = .int32(5) }
        }) { folder in
            expectError("split.tensors.count is 5, but the parts hold 3 tensors", in: folder, file: 1)
        }
        try withParts({ index, _, names in if index == 2 { names = ["b"] } }) { folder in
            expectError("tensor \"b\" is in \(Self.path(folder, 0)) too", in: folder, file: 2)
        }
    }

    @Test("counts that are no counts are refused", arguments: [
        MetadataValue.string("3"), .int32(-1), .uint64(.max), .float32(3),
    ])
    func hostileCounts(value: MetadataValue) throws {
        try withParts({ index, metadata, _ in if index == 0 { metadata["split.count"] = value } }) { folder in
            expectError("split.count is ", in: folder, file: 0)
        }
        try withParts({ index, metadata, _ in if index == 0 { metadata["split.no"] = value } }) { folder in
            #expect(throws: GGUFError.self) { try GGUFParts(path: Self.path(folder, 0)) }
        }
    }

    @Test("a number of parts that nobody has ends with the first that is missing")
    func manyParts() throws {
        try withParts({ index, metadata, _ in metadata["split.count"] = .uint32(2_000_000_000) }) { folder in
            let path = folder + "/m-00001-of-2000000000.gguf"
            try FileManager.default.moveItem(atPath: Self.path(folder, 0), toPath: path)
            let error = #expect(throws: GGUFError.self) { try GGUFParts(path: path) }
            #expect(error?.file == folder + "/m-00002-of-2000000000.gguf")
        }
    }
}
