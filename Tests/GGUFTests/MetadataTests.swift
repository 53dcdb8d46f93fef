import Foundation
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
        #expect(MetadataValue.string("a\nb\u{2028}c\u{2029}d").summary == "\"a\u{FFFD}b\u{FFFD}c\u{FFFD}d\"")
        #expect(MetadataValue.string(String(repeating: "x", count: 61)).summary.count == 63)
        #expect(MetadataValue.array(.string([])).typeName == "array of string")
        // Arrays of eight arrays, eight deep, are sixteen million numbers.
        let nested = (0..<8).reduce(MetadataArray.uint8([1, 2])) { array, _ in .array([array, array, .array([])]) }
        #expect(MetadataValue.array(nested).summary == "[[3 in all], [3 in all], [0 in all]]")
    }
}

@Suite("Metadata as JSON")
struct MetadataJSONTests {
    @Test(
        "reads as what was written",
        arguments: [
            MetadataValue.uint8(255), .int8(-128), .uint16(65535), .int16(-32768), .uint32(.max), .int32(.min),
            .uint64(.max), .int64(.min), .bool(false), .string(""), .string("\"\u{0}\u{1F600}"), .float32(0.1),
            .float32(.nan), .float32(-.nan),
            .float32(-.infinity), .float32(.leastNonzeroMagnitude), .float32(.greatestFiniteMagnitude), .float32(-0.0),
            .float64(.pi), .float64(.infinity), .float64(-.greatestFiniteMagnitude), .float64(-0.0), .array(.uint8([])),
            .array(.float32([1, .nan, -.infinity])), .array(.bool([true, false])), .array(.string(["a", ""])),
            .array(.int64([.min, .max])), .array(.array([])),
            .array(.array([.uint8([1]), .string(["x"]), .array([.float64([.nan]), .array([])])])),
        ])
    func roundTrip(_ value: MetadataValue) throws {
        let metadata: Metadata = ["z": 1, "value": value, "a": "b"]
        let again = try JSONDecoder().decode(Metadata.self, from: JSONEncoder().encode(metadata))
        #expect(again == metadata && again.keys == ["z", "value", "a"])
    }

    @Test(
        "that is none is refused",
        arguments: [
            #"{}"#, #"[{"key": "a", "type": "uint8"}]"#, #"[{"key": "a", "type": "uint8", "value": 256}]"#,
            #"[{"key": "a", "type": "uint8", "value": -1}]"#, #"[{"key": "a", "type": "uint8", "value": 1.5}]"#,
            #"[{"key": "a", "type": "byte", "value": 1}]"#, #"[{"key": "a", "type": "array", "value": [1]}]"#,
            #"[{"key": "a", "type": "array of", "value": [1]}]"#,
            #"[{"key": "a", "type": "array of byte", "value": []}]"#,
            #"[{"key": "a", "type": "array of uint8", "value": 1}]"#,
            #"[{"key": "a", "type": "array of uint8", "value": ["1"]}]"#,
            #"[{"key": "a", "type": "array of array", "value": [{"type": "uint8", "value": 1}]}]"#,
            #"[{"key": "a", "type": "float32", "value": "seven"}]"#,
            #"[{"key": "a", "type": "float32", "value": 1e99}]"#,
            #"[{"key": "a", "type": "bool", "value": 1}]"#, #"[{"key": 1, "type": "bool", "value": true}]"#,
            #"[{"key": "a", "type": "bool", "value": true}, {"key": "a", "type": "bool", "value": true}]"#,
        ])
    func malformed(_ text: String) {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Metadata.self, from: Data(text.utf8)) }
    }

    @Test("and as files, nests arrays as deep as is read from files, and no deeper")
    func depth() throws {
        let arrays = (0..<8).reduce(into: [MetadataArray.uint8([1])]) { all, index in all.append(.array([all[index]])) }
        for (value, isLegal) in [(arrays[7], true), (arrays[8], false)] {
            let metadata: Metadata = ["k": .array(value)]
            let json = try JSONEncoder().encode(metadata)
            if isLegal {
                #expect(try JSONDecoder().decode(Metadata.self, from: json) == metadata)
                #expect(try GGUFFile(bytes: GGUFWriter.bytes(metadata, [])).metadata == metadata)
            } else {
                #expect(throws: DecodingError.self) { try JSONDecoder().decode(Metadata.self, from: json) }
                let error = #expect(throws: GGUFError.self) { try GGUFWriter.bytes(metadata, []) }
                #expect(error?.reason == "key \"k\" nests arrays more than 8 deep")
            }
        }
    }
}
