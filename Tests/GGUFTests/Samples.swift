@testable import GGUF

/// Metadata with every kind of value and of array, at the edges of their ranges.
let sampleMetadata: Metadata = [
    "general.architecture": "llama",
    "a.uint8": .uint8(255), "a.int8": .int8(-128), "a.uint16": .uint16(65535), "a.int16": .int16(-32768),
    "a.uint32": .uint32(.max), "a.int32": .int32(.min), "a.float32": .float32(-0.0), "a.bool": true,
    "a.string": .string("é\u{0}語"), "a.uint64": .uint64(.max), "a.int64": .int64(.min),
    "a.float64": .float64(.nan), "a.empty": .string(""),
    "b.uint8": .array(.uint8([0, 255])), "b.int8": .array(.int8([-128, 127])),
    "b.uint16": .array(.uint16([1, 65535])), "b.int16": .array(.int16([-32768, 1])),
    "b.uint32": .array(.uint32([.max, 1])), "b.int32": .array(.int32([.min, 1])),
    "b.float32": .array(.float32([.nan, .infinity, -0.0])), "b.bool": .array(.bool([true, false])),
    "b.string": .array(.string(["", "a", "ü"])), "b.uint64": .array(.uint64([.max, 1])),
    "b.int64": .array(.int64([.min, 1])), "b.float64": .array(.float64([1.5, -.infinity])),
    "b.empty": .array(.string([])),
    "b.array": .array(.array([.int32([1, 2]), .string(["x"]), .array([.bool([true]), .array([])])])),
]

/// Tensors of several ranks and types, an empty one among them, with data that differs from place to place.
var sampleTensors: [GGUFWriter.Tensor] {
    func tensor(_ name: String, _ dimensions: [Int], _ type: TensorType, _ byteCount: Int) -> GGUFWriter.Tensor {
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ name.utf8.count) }
        return GGUFWriter.Tensor(name: name, dimensions: dimensions, type: type, bytes: bytes)
    }
    return [
        tensor("scalar", [], .f32, 4), tensor("half", [3, 5], .f16, 30), tensor("empty", [4, 0], .f32, 0),
        tensor("blocks", [64, 2, 1, 3], .q8_0, 408), tensor("bytes", [7], .i8, 7),
    ]
}

extension GGUFWriter.Tensor {
    func bytes() throws -> [UInt8] {
        var result: [UInt8] = []
        try withBytes { result = Array($0) }
        return result
    }
}

extension TensorType {
    /// Tensor data for elements.
    func encoded(_ values: [Float], order: ByteOrder = .little) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: byteCount(elements: values.count) ?? 0)
        try values.withUnsafeBufferPointer { source in
            try bytes.withUnsafeMutableBytes { try encode(source, order: order, into: $0) }
        }
        return bytes
    }

    /// Elements of tensor data.
    func decoded(_ bytes: [UInt8], order: ByteOrder = .little) throws -> [Float] {
        var values = [Float](repeating: .nan, count: bytes.count / bytesPerBlock * blockSize)
        try bytes.withUnsafeBytes { source in
            try values.withUnsafeMutableBufferPointer { try decode(source, order: order, into: $0) }
        }
        return values
    }
}

/// Bytes from hexadecimal digits.
func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
