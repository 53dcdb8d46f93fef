/// A metadata value; one case for each value type of the format.
public enum MetadataValue: Hashable, Sendable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case float32(Float)
    case bool(Bool)
    case string(String)
    case array(MetadataArray)
    case uint64(UInt64)
    case int64(Int64)
    case float64(Double)

    /// The value types, numbered as in files.
    public enum Kind: UInt32, CaseIterable, Sendable {
        case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64
    }

    public var kind: Kind {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .bool: .bool
        case .string: .string
        case .array: .array
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }

    /// The integer, of whatever width; nil for other kinds and for what `Int` cannot hold.
    public var integer: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(value)
        case .int32(let value): Int(value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(value)
        default: nil
        }
    }

    /// The floating-point number, of either width.
    public var double: Double? {
        switch self {
        case .float32(let value): Double(value)
        case .float64(let value): value
        default: nil
        }
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }

    /// The elements of an array.
    public var elements: [MetadataValue]? { if case .array(let value) = self { value.elements } else { nil } }

    /// `uint32`, `array of string`.
    public var typeName: String {
        if case .array(let array) = self { "array of \(array.elementKind)" } else { "\(kind)" }
    }

    /// The value on one short line: long strings and arrays are cut.
    public var summary: String {
        switch self {
        case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: integer.map(String.init) ?? "\(UInt64.max)"
        case .float32(let value): "\(value)"
        case .float64(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .string(let value): value.count > 60 ? "\"\(value.prefix(57))…\"" : "\"\(value)\""
        case .array(let array):
            "[\(array.prefix(8).map(\.summary).joined(separator: ", "))\(array.count > 8 ? ", … \(array.count) in all" : "")]"
        }
    }
}

/// An array of values of one kind; kept in the elements' own type, since vocabularies are long.
public enum MetadataArray: Hashable, Sendable {
    case uint8([UInt8])
    case int8([Int8])
    case uint16([UInt16])
    case int16([Int16])
    case uint32([UInt32])
    case int32([Int32])
    case float32([Float])
    case bool([Bool])
    case string([String])
    case array([MetadataArray])
    case uint64([UInt64])
    case int64([Int64])
    case float64([Double])

    public var elementKind: MetadataValue.Kind {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .bool: .bool
        case .string: .string
        case .array: .array
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }

    public var count: Int {
        switch self {
        case .uint8(let values): values.count
        case .int8(let values): values.count
        case .uint16(let values): values.count
        case .int16(let values): values.count
        case .uint32(let values): values.count
        case .int32(let values): values.count
        case .float32(let values): values.count
        case .bool(let values): values.count
        case .string(let values): values.count
        case .array(let values): values.count
        case .uint64(let values): values.count
        case .int64(let values): values.count
        case .float64(let values): values.count
        }
    }

    /// The first `count` elements, or all there are.
    public func prefix(_ count: Int) -> [MetadataValue] {
        switch self {
        case .uint8(let values): values.prefix(count).map(MetadataValue.uint8)
        case .int8(let values): values.prefix(count).map(MetadataValue.int8)
        case .uint16(let values): values.prefix(count).map(MetadataValue.uint16)
        case .int16(let values): values.prefix(count).map(MetadataValue.int16)
        case .uint32(let values): values.prefix(count).map(MetadataValue.uint32)
        case .int32(let values): values.prefix(count).map(MetadataValue.int32)
        case .float32(let values): values.prefix(count).map(MetadataValue.float32)
        case .bool(let values): values.prefix(count).map(MetadataValue.bool)
        case .string(let values): values.prefix(count).map(MetadataValue.string)
        case .array(let values): values.prefix(count).map(MetadataValue.array)
        case .uint64(let values): values.prefix(count).map(MetadataValue.uint64)
        case .int64(let values): values.prefix(count).map(MetadataValue.int64)
        case .float64(let values): values.prefix(count).map(MetadataValue.float64)
        }
    }
    public var elements: [MetadataValue] { prefix(count) }

    /// The array of these values, or nil if they are none or not all of one kind.
    public init?(_ elements: [MetadataValue]) {
        guard let first = elements.first, elements.allSatisfy({ $0.kind == first.kind }) else { return nil }
        func all<Element>(_ extract: (MetadataValue) -> Element?) -> [Element] { elements.compactMap(extract) }
        self = switch first.kind {
        case .uint8: .uint8(all { if case .uint8(let value) = $0 { value } else { nil } })
        case .int8: .int8(all { if case .int8(let value) = $0 { value } else { nil } })
        case .uint16: .uint16(all { if case .uint16(let value) = $0 { value } else { nil } })
        case .int16: .int16(all { if case .int16(let value) = $0 { value } else { nil } })
        case .uint32: .uint32(all { if case .uint32(let value) = $0 { value } else { nil } })
        case .int32: .int32(all { if case .int32(let value) = $0 { value } else { nil } })
        case .float32: .float32(all { if case .float32(let value) = $0 { value } else { nil } })
        case .bool: .bool(all { if case .bool(let value) = $0 { value } else { nil } })
        case .string: .string(all { if case .string(let value) = $0 { value } else { nil } })
        case .array: .array(all { if case .array(let value) = $0 { value } else { nil } })
        case .uint64: .uint64(all { if case .uint64(let value) = $0 { value } else { nil } })
        case .int64: .int64(all { if case .int64(let value) = $0 { value } else { nil } })
        case .float64: .float64(all { if case .float64(let value) = $0 { value } else { nil } })
        }
    }
}

/// The metadata of a model: keys and values, in the order of the file.
public struct Metadata: Hashable, Sendable, Sequence {
    public private(set) var keys: [String] = []
    private var values: [String: MetadataValue] = [:]

    public init() {}

    public var count: Int { keys.count }

    /// A new key goes to the end.
    public subscript(_ key: String) -> MetadataValue? {
        get { values[key] }
        set {
            if let newValue {
                if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
            } else if values.removeValue(forKey: key) != nil {
                keys.removeAll { $0 == key }
            }
        }
    }

    public func makeIterator() -> AnyIterator<(key: String, value: MetadataValue)> {
        var index = 0
        return AnyIterator {
            while index < keys.count {
                let key = keys[index]
                index += 1
                if let value = values[key] { return (key, value) }
            }
            return nil
        }
    }
}
