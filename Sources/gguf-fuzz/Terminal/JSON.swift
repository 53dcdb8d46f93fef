import Foundation
import GGUF

/// A metadata value as JSON. Numbers that JSON lacks (NaN, infinities) are strings.
struct JSONValue: Encodable {
    var value: MetadataValue
    init(_ value: MetadataValue) { self.value = value }

    func encode(to encoder: any Encoder) throws {
        if case .array(let array) = value {
            var container = encoder.unkeyedContainer()
            for element in array.elements { try container.encode(JSONValue(element)) }
            return
        }
        var container = encoder.singleValueContainer()
        switch value {
        case .bool(let flag): try container.encode(flag)
        case .string(let text): try container.encode(text)
        case .uint64(let number): try container.encode(number)
        case .float32(let number) where number.isFinite: try container.encode(number)
        case .float64(let number) where number.isFinite: try container.encode(number)
        default:
            if let integer = value.integer {
                try container.encode(integer)
            } else {
                try container.encode(value.summary)
            }
        }
    }
}

func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}
