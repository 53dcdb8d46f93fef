import Foundation
import Testing

@testable import GGUF

/// Needs a Python that has the `gguf` package: its path in `GGUF_FUZZ_PYTHON`.
private let python = ProcessInfo.processInfo.environment["GGUF_FUZZ_PYTHON"]

@Suite("The gguf Python package", .enabled(if: python != nil, "GGUF_FUZZ_PYTHON does not name a Python"), .serialized)
struct PythonPackageTests {
    private static let encodable: [TensorType] = [
        .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .tq1_0, .tq2_0, .mxfp4,
    ]

    @Test("encodes random data to the same bits", arguments: encodable)
    func encoding(type: TensorType) throws {
        try withTemporaryFolder { folder in
            var random = Random(state: UInt64(type.rawValue))
            let values = (0..<3 << 16).map { random.float(block: $0 / type.blockSize) }
            let data = try type.encoded(values)
            #expect(try run("encode", type.name, on: values.withUnsafeBytes { Data($0) }, folder) == data)
        }
    }

    /// Q1_0 and Q2_0 need ggml beside the package.
    @Test("decodes random data to the same bits", arguments: encodable + TensorType.allCases.filter(\.isQuantized))
    func decoding(type: TensorType) throws {
        try withTemporaryFolder { folder in
            var random = Random(state: UInt64(type.rawValue))
            // Any bytes are blocks, save that the payloads of NaN differ between processors.
            let bytes = (0..<type.bytesPerBlock << 12).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let decoded = try type.decoded(bytes).map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern }
            let theirs = try run("decode", type.name, on: Data(bytes), folder).withUnsafeBytes { raw in
                raw.bindMemory(to: Float.self).map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern }
            }
            #expect(decoded == theirs)
        }
    }

    @Test("writes files that we read")
    func reading() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/theirs.gguf"
            try run("write", path)
            let file = try GGUFFile(path: path)
            #expect(file.alignment == 64)
            let expected: Metadata = [
                "general.architecture": "llama", "general.alignment": 64,
                "interop.uint8": .uint8(255), "interop.int8": .int8(-128),
                "interop.uint16": .uint16(65535), "interop.int16": .int16(-32768),
                "interop.uint32": .uint32(.max), "interop.int32": .int32(.min),
                "interop.float32": .float32(0.1), "interop.bool": true, "interop.string": "süß 語",
                "interop.uint64": .uint64(.max), "interop.int64": .int64(.min), "interop.float64": .float64(0.1),
                "interop.integers": .array(.int32([1, -2, 3])), "interop.strings": .array(.string(["a", "ü", "語"])),
            ]
            #expect(file.metadata == expected)
            let values = (0..<768).map { (index: Int) in Float(index * 37 % 512 - 256) / 64 }
            for type in Self.encodable {
                let tensor = try #require(file.tensor(named: "\(type.name).weight"))
                #expect(tensor.dimensions == [256, 3])
                #expect(try file.withBytes(of: tensor) { Array($0) } == type.encoded(values), "\(type.name)")
            }
            for type in [TensorType.i8, .i16, .i32, .i64, .f64] {
                let tensor = try #require(file.tensor(named: "\(type.name).weight"))
                #expect(try file.floats(of: tensor) == [-3, -2, -1, 0, 1, 2, 3], "\(type.name)")
            }
        }
    }

    @Test("reads files that we write, in either byte order", arguments: [ByteOrder.little, .big])
    func writing(order: ByteOrder) throws {
        try withTemporaryFolder { folder in
            let values = (0..<768).map { (index: Int) in Float(index * 37 % 512 - 256) / 64 }
            // The package has another layout of Q8_1, and no Q2_0; it decodes neither Q8_K nor Q1_0.
            let unknown: [TensorType] = [.q8_1, .q2_0, .q8_K, .q1_0]
            let quantized = TensorType.allCases.filter { $0.isQuantized && !unknown.contains($0) }
            let types: [TensorType] = order == .little ? [.f32, .f16, .bf16, .f64] + quantized : [.f32, .f16]
            let tensors = try types.map {
                GGUFWriter.Tensor(name: $0.name, dimensions: [256, 3], type: $0, bytes: try $0.encoded(values))
            }
            // The package flattens arrays of arrays of one length and gives up on others.
            var metadata = sampleMetadata
            metadata["b.array"] = nil
            let path = folder + "/ours.gguf"
            try GGUFWriter.write(metadata, tensors, to: path, byteOrder: order)
            let said = String(decoding: try run("read", path), as: UTF8.self)
            #expect(said.hasSuffix(
                ": \(metadata.count) keys, \(types.count) tensors, \(types.count) decoded, all finite\n"))
        }
    }

    /// What the script makes of data, by way of files.
    private func run(_ command: String, _ type: String, on data: Data, _ folder: String) throws -> [UInt8] {
        let (input, output) = (folder + "/in", folder + "/out")
        try data.write(to: URL(fileURLWithPath: input))
        try run(command, type, input, output)
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: output)))
    }

    /// What the script prints.
    @discardableResult
    private func run(_ arguments: String...) throws -> Data {
        let script = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../CI/gguf-interop.py")
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: try #require(python))
        process.arguments = [script.standardized.path] + arguments
        process.standardOutput = output
        try process.run()
        let said = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(arguments)")
        return said
    }
}

/// SplitMix64.
private struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    /// Blocks take turns: any bits but those of a NaN, numbers of one size, and multiples of an eighth, which tie.
    mutating func float(block: Int) -> Float {
        let word = next()
        let any = Float(bitPattern: UInt32(truncatingIfNeeded: word))
        switch block % 3 {
        case 0: return any.isNaN ? 0 : any
        case 1: return Float(Int32(truncatingIfNeeded: word)) * Float(
            sign: .plus, exponent: block % 64 - 64, significand: 1)
        default: return Float(Int8(truncatingIfNeeded: word)) / 8
        }
    }
}
