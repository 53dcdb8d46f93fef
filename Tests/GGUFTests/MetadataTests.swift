import Testing

import GGUF

@Suite("Metadata")
struct MetadataTests {
    @Test("keeps the order of its keys")
    func order() {
        var metadata: Metadata = ["z": 1, "a": 2, "m": 3]
        metadata["a"] = "two"
        metadata["b"] = true
        #expect(metadata.keys == ["z", "a", "m", "b"])
        #expect(metadata.remove("a") == "two")
        #expect(metadata.remove("a") == nil)
        metadata["z"] = nil
        #expect(metadata.keys == ["m", "b"])
        #expect(metadata["m"] == 3)
        #expect(metadata["b"] == true)
        #expect(metadata.map(\.key) == ["m", "b"])
        #expect(metadata != ["b": true, "m": 3])
        #expect(metadata == ["m": 3, "b": true])
    }

    @Test("gives an integer of any width, where it fits")
    func integers() {
        #expect(MetadataValue.uint8(255).integer == 255)
        #expect(MetadataValue.int64(.min).integer == .min)
        #expect(MetadataValue.uint64(.max).integer == nil)
        #expect(MetadataValue.float32(1).integer == nil)
        #expect(MetadataValue.bool(true).integer == nil)
    }

    @Test("gives a float of either width, a bool, a string and an array as they are")
    func others() {
        let metadata: Metadata = ["f": 0.5, "b": true, "s": "text", "a": .array(.int32([1, 2]))]
        #expect(metadata.double("f") == 0.5)
        #expect(MetadataValue.float64(0.1).double == 0.1)
        #expect(metadata.double("b") == nil)
        #expect(metadata.bool("b") == true)
        #expect(metadata.string("s") == "text")
        #expect(metadata.array("a")?.elements == [.int32(1), .int32(2)])
        #expect(metadata.integer("absent") == nil)
    }

    @Test("is equal where a file would hold the same bytes")
    func equality() {
        #expect(MetadataValue.float32(.nan) == .float32(.nan))
        #expect(MetadataValue.float32(0) != .float32(-0.0))
        #expect(MetadataValue.uint32(1) != .int32(1))
        #expect(MetadataValue.array(.float64([.nan])) == .array(.float64([.nan])))
        #expect(MetadataValue.array(.int8([])) != .array(.uint8([])))
        // One composed, one decomposed: the same to a reader, other bytes in a file.
        #expect(MetadataValue.string("\u{E9}") != .string("e\u{301}"))
        #expect(Set([MetadataValue.float32(.nan), .float32(.nan), .string("a"), .string("a")]).count == 2)
    }

    @Test("makes an array of values of one kind only")
    func arrays() {
        #expect(MetadataArray([.int32(1), .int32(2)]) == .int32([1, 2]))
        #expect(MetadataArray(["a", "b"]) == .string(["a", "b"]))
        #expect(MetadataArray([.int32(1), .uint32(2)]) == nil)
        #expect(MetadataArray([]) == nil)
    }

    @Test("is summed up on one short line")
    func summaries() {
        #expect(MetadataValue.array(.uint32(Array(0..<10))).summary == "[0, 1, 2, 3, 4, 5, 6, 7, … 10 in all]")
        #expect(MetadataValue.string("a\nb").summary == "\"a\u{FFFD}b\"")
        #expect(MetadataValue.string(String(repeating: "x", count: 61)).summary.count == 63)
        #expect(MetadataValue.array(.string([])).typeName == "array of string")
    }
}
