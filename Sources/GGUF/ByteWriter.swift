/// The counterpart of `ByteReader`: puts numbers, strings and metadata into bytes.
package struct ByteWriter {
    package private(set) var bytes: [UInt8] = []
    package let order: ByteOrder

    package init(order: ByteOrder) {
        self.order = order
    }

    package mutating func append(raw: some Sequence<UInt8>) {
        bytes.append(contentsOf: raw)
    }

    package mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: order == .host ? value : value.byteSwapped) { bytes.append(contentsOf: $0) }
    }

    package mutating func append(_ string: String) {
        append(UInt64(string.utf8.count))
        append(raw: string.utf8)
    }

    package mutating func append(_ value: MetadataValue) {
        append(value.kind.rawValue)
        switch value {
        case .uint8(let value): append(value)
        case .int8(let value): append(value)
        case .uint16(let value): append(value)
        case .int16(let value): append(value)
        case .uint32(let value): append(value)
        case .int32(let value): append(value)
        case .float32(let value): append(value.bitPattern)
        case .bool(let value): append(UInt8(value ? 1 : 0))
        case .string(let value): append(value)
        case .array(let value): append(value)
        case .uint64(let value): append(value)
        case .int64(let value): append(value)
        case .float64(let value): append(value.bitPattern)
        }
    }

    package mutating func append(_ array: MetadataArray) {
        append(array.elementKind.rawValue)
        append(UInt64(array.count))
        switch array {
        case .uint8(let elements): append(raw: elements)
        case .int8(let elements): for element in elements { append(element) }
        case .uint16(let elements): for element in elements { append(element) }
        case .int16(let elements): for element in elements { append(element) }
        case .uint32(let elements): for element in elements { append(element) }
        case .int32(let elements): for element in elements { append(element) }
        case .float32(let elements): for element in elements { append(element.bitPattern) }
        case .bool(let elements): for element in elements { append(UInt8(element ? 1 : 0)) }
        case .string(let elements): for element in elements { append(element) }
        case .array(let elements): for element in elements { append(element) }
        case .uint64(let elements): for element in elements { append(element) }
        case .int64(let elements): for element in elements { append(element) }
        case .float64(let elements): for element in elements { append(element.bitPattern) }
        }
    }
}
