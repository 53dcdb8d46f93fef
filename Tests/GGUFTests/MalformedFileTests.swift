import Testing

@testable import GGUF

@Suite("A malformed file")
struct MalformedFileTests {
    @Test("is an error wherever it is cut short", arguments: [ByteOrder.little, .big])
    func cut(order: ByteOrder) throws {
        let bytes = try GGUFWriter.bytes(sampleMetadata, sampleTensors, byteOrder: order)
        let whole = try GGUFFile(bytes: bytes)
        // What follows the last tensor is padding only.
        let end = whole.dataOffset + (whole.tensors.map { $0.offset + $0.byteCount }.max() ?? 0)
        for count in 0..<end {
            #expect(throws: GGUFError.self, "\(count) bytes") { try GGUFFile(bytes: Array(bytes[..<count])) }
        }
        for count in end...bytes.count {
            #expect(throws: Never.self, "\(count) bytes") { try GGUFFile(bytes: Array(bytes[..<count])) }
        }
    }

    @Test("reads within its bounds or is an error, whichever byte of its header is another",
        arguments: [ByteOrder.little, .big])
    func flipped(order: ByteOrder) throws {
        let bytes = try GGUFWriter.bytes(sampleMetadata, sampleTensors, byteOrder: order)
        let dataOffset = try GGUFFile(bytes: bytes).dataOffset
        var errors = 0
        for position in 0..<dataOffset {
            for mask in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] as [UInt8] {
                var changed = bytes
                changed[position] ^= mask
                do {
                    let file = try GGUFFile(bytes: changed)
                    for tensor in file.tensors {
                        let count = file.withBytes(of: tensor) { $0.reduce(into: 0) { count, _ in count += 1 } }
                        #expect(count == tensor.byteCount)
                    }
                } catch let error as GGUFError {
                    errors += 1
                    #expect(error.file == "memory")
                    #expect(error.offset.map { (0...bytes.count).contains($0) } == true, "\(error)")
                    #expect(!error.description.contains("\n"))
                }
            }
        }
        #expect(errors > dataOffset)
    }

    /// A file made by hand, and what is wrong with it.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let offset: Int
        let reason: String
        let bytes: [UInt8]

        /// The tensor count and the key count, then what follows them.
        init(
            _ description: String, _ offset: Int, _ reason: String, version: UInt32 = 3, magic: String = "GGUF",
            tensors: UInt64 = 0, keys: UInt64 = 0, _ rest: (inout ByteWriter) -> Void = { _ in }
        ) {
            var writer = ByteWriter(order: .little)
            writer.append(raw: magic.utf8)
            writer.append(version)
            writer.append(tensors)
            writer.append(keys)
            rest(&writer)
            testDescription = description
            self.offset = offset
            self.reason = reason
            bytes = writer.bytes
        }
    }

    static let headers: [Case] = [
        Case("another magic", 0, "not a GGUF file", magic: "GGML"),
        Case("version 1", 4, "GGUF version 1 is not supported", version: 1),
        Case("version 4", 4, "GGUF version 4 is not supported", version: 4),
        Case("version 0", 4, "GGUF version 0 is not supported", version: 0),
        Case("too many tensors", 8, "the tensor count is 18446744073709551615", tensors: .max),
        Case("too many keys", 16, "the metadata key count is 9223372036854775808", keys: 1 << 63),
        Case("one key more than there are", 38, "key 1 is", keys: 2) {
            $0.append("k")
            $0.append(.uint8(1))
            // Enough for a count of two keys to be possible, not enough for the second.
            $0.append(UInt64(99))
            $0.append(raw: [0, 0, 0, 0])
        },
    ]

    static let values: [Case] = [
        Case("an unknown value type", 33, "key \"k\" has the unknown type 13", keys: 1) {
            $0.append("k")
            $0.append(UInt32(13))
        },
        Case("a bool that is neither", 37, "key \"k\" is 2, but a bool is 0 or 1", keys: 1) {
            $0.append("k")
            $0.append(UInt32(7))
            $0.append(UInt8(2))
        },
        Case("a key twice", 38, "key \"k\" occurs twice", keys: 2) {
            $0.append("k")
            $0.append(.uint8(1))
            $0.append("k")
            $0.append(.uint8(1))
        },
        Case("a key that is not UTF-8", 24, "key 0 is not valid UTF-8", keys: 1) {
            $0.append(UInt64(2))
            $0.append(raw: [0xC3, 0x28])
            $0.append(.uint8(1))
        },
        Case("a string that is not UTF-8", 37, "the string of key \"k\" is not valid UTF-8", keys: 1) {
            $0.append("k")
            $0.append(UInt32(8))
            $0.append(UInt64(3))
            $0.append(raw: [0xED, 0xA0, 0x80])
        },
        Case("a string in an array that is not UTF-8", 57, "element 1 of key \"k\" is not valid UTF-8", keys: 1) {
            $0.append("k")
            $0.append(UInt32(9))
            $0.append(UInt32(8))
            $0.append(UInt64(2))
            $0.append("")
            $0.append(UInt64(1))
            $0.append(raw: [0xFF])
        },
        Case("a string of absurd length", 37, "is 18446744073709551615 bytes long", keys: 1) {
            $0.append("k")
            $0.append(UInt32(8))
            $0.append(UInt64.max)
        },
        Case("an array whose size overflows", 41, "the element count of key \"k\" is 2305843009213693952", keys: 1) {
            $0.append("k")
            $0.append(UInt32(9))
            $0.append(UInt32(10))
            $0.append(UInt64(1) << 61)
        },
        Case("an array of an unknown type", 37, "the elements of key \"k\" has the unknown type 99", keys: 1) {
            $0.append("k")
            $0.append(UInt32(9))
            $0.append(UInt32(99))
            $0.append(UInt64(0))
        },
        Case("arrays without end", 133, "nests arrays more than 8 deep", keys: 1) {
            $0.append("k")
            $0.append(UInt32(9))
            for _ in 0..<10_000 {
                $0.append(UInt32(9))
                $0.append(UInt64(1))
            }
        },
        Case("an alignment of zero", 24, "general.alignment is 0", keys: 1) {
            $0.append("general.alignment")
            $0.append(.uint32(0))
        },
        Case("an odd alignment", 24, "general.alignment is 3", keys: 1) {
            $0.append("general.alignment")
            $0.append(.uint32(3))
        },
        Case("an alignment of another type", 24, "general.alignment is uint64, but must be uint32", keys: 1) {
            $0.append("general.alignment")
            $0.append(.uint64(32))
        },
    ]

    static let tensors: [Case] = [
        Case("an unknown tensor type", 45, "tensor \"t\" has the unknown type 43", tensors: 1) {
            $0.append(tensor: "t", [1], 43, 0)
        },
        Case("a removed tensor type", 45, "tensor \"t\" has the unknown type 4", tensors: 1) {
            $0.append(tensor: "t", [1], 4, 0)
        },
        Case("too many dimensions", 33, "tensor \"t\" has 5 dimensions; at most 4 are allowed", tensors: 1) {
            $0.append(tensor: "t", [1, 1, 1, 1, 1], 0, 0)
        },
        Case("a negative dimension", 24, "a dimension of tensor \"t\" is too large", tensors: 1) {
            $0.append(tensor: "t", [1 << 63], 24, 0)
        },
        Case("an element count that overflows", 24, "overflows", tensors: 1) {
            $0.append(tensor: "t", [1 << 32, 1 << 31], 24, 0)
        },
        Case("an element count that overflows beside a zero", 24, "overflows", tensors: 1) {
            $0.append(tensor: "t", [1 << 32, 1 << 31, 0], 24, 0)
        },
        Case(
            "a byte count that overflows", 24, "the size in bytes of [2305843009213693952] F32 overflows", tensors: 1) {
            $0.append(tensor: "t", [1 << 61], 0, 0)
        },
        Case("a row that is not whole blocks", 24, "rows of 31 elements are not whole blocks of Q4_0", tensors: 1) {
            $0.append(tensor: "t", [31, 32], 2, 0)
        },
        Case("an offset that overflows", 24, "the offset of tensor \"t\" is too large", tensors: 1) {
            $0.append(tensor: "t", [1], 24, .max)
        },
        Case("an offset beyond the file", 24, "does not lie within the data section of 64 bytes", tensors: 1) {
            $0.append(tensor: "t", [1], 24, 1 << 62)
            $0.append(data: 64)
        },
        Case("data beyond the file", 24, "of 65 bytes at 0 does not lie within the data section of 64", tensors: 1) {
            $0.append(tensor: "t", [65], 24, 0)
            $0.append(data: 64)
        },
        Case("an offset that is not aligned", 24, "tensor \"t\" at 8 is not aligned to 32 bytes", tensors: 1) {
            $0.append(tensor: "t", [1], 24, 8)
            $0.append(data: 64)
        },
        Case("a tensor twice", 57, "tensor \"t\" occurs twice", tensors: 2) {
            $0.append(tensor: "t", [1], 24, 0)
            $0.append(tensor: "t", [1], 24, 32)
            $0.append(data: 64)
        },
        Case("tensors that overlap", 24, "tensors \"u\" and \"t\" overlap", tensors: 2) {
            $0.append(tensor: "t", [1], 24, 32)
            $0.append(tensor: "u", [33], 24, 0)
            $0.append(data: 64)
        },
        Case("a name that is not UTF-8", 24, "the name of tensor 0 is not valid UTF-8", tensors: 1) {
            $0.append(UInt64(1))
            $0.append(raw: [0x80])
            $0.append(data: 64)
        },
        Case("no data section", 57, "the data section starts at 64, but the file ends at 57", tensors: 1) {
            $0.append(tensor: "t", [0], 24, 0)
        },
    ]

    @Test("is named with offset and reason", arguments: headers + values + tensors)
    func named(example: Case) throws {
        let error = #expect(throws: GGUFError.self) { try GGUFFile(bytes: example.bytes, name: "x.gguf") }
        #expect(error?.file == "x.gguf")
        #expect(error?.offset == example.offset, "\(error?.description ?? "")")
        #expect(error?.reason.contains(example.reason) == true, "\(error?.description ?? "")")
    }

    @Test("that claims as much as its size lets through is refused before that is made")
    func absurdCounts() throws {
        // Each count is as large as the file's size lets through; none is backed by data.
        var writer = ByteWriter(order: .little)
        writer.append(raw: Header.magic)
        writer.append(UInt32(3))
        writer.append(UInt64(1 << 20) / 24 - 4)
        writer.append(UInt64(1 << 20) / 13 - 4)
        writer.append(raw: repeatElement(0xFF, count: 1 << 20))
        let bytes = writer.bytes
        #expect(throws: GGUFError.self) { try GGUFFile(bytes: bytes) }
    }

    @Test("may leave gaps between tensors, order them freely and omit the padding at its end")
    func unusualButValid() throws {
        let example = Case("valid", 0, "", tensors: 3) {
            $0.append(tensor: "last", [3], 24, 128)
            $0.append(tensor: "none", [0], 24, 0)
            $0.append(tensor: "first", [2], 24, 0)
            $0.append(data: 131)
        }
        let file = try GGUFFile(bytes: example.bytes)
        #expect(file.tensors.map(\.name) == ["last", "none", "first"])
        #expect(file.tensors.map(\.byteCount) == [3, 0, 2])
    }
}

extension ByteWriter {
    fileprivate mutating func append(tensor name: String, _ dimensions: [UInt64], _ type: UInt32, _ offset: UInt64) {
        append(name)
        append(UInt32(dimensions.count))
        for dimension in dimensions { append(dimension) }
        append(type)
        append(offset)
    }

    /// A data section, and the padding before it.
    fileprivate mutating func append(data count: Int) {
        append(raw: repeatElement(0, count: (-bytes.count & 31) + count))
    }
}
