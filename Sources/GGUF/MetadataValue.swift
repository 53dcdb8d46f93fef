/// The value of one metadata key.
///
/// Two values are equal when a file would hold the same bytes for them: types count, a NaN equals
/// itself, and strings are compared byte by byte, not by canonical equivalence.
public enum MetadataValue: Sendable {
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

    /// The value types, with the numbers that stand for them in a file.
    public enum Kind: UInt32, CaseIterable, Sendable {
        case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

        /// The fewest bytes that a value takes in a file: those of an empty string or array where the
        /// size varies.
        package var minimumByteCount: Int {
            switch self {
            case .uint8, .int8, .bool: 1
            case .uint16, .int16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64, .string: 8
            case .array: 12
            }
        }
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

    /// The value of any integer type, where it fits.
    public var integer: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(exactly: value)
        case .int32(let value): Int(exactly: value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(exactly: value)
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// The value of either float type.
    public var double: Double? {
        switch self {
        case .float32(let value): Double(value)
        case .float64(let value): value
        default: nil
        }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var array: MetadataArray? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The elements of an array, each as a value.
    public var elements: [MetadataValue]? { array?.elements }

    /// `uint32`, `array of string`.
    public var typeName: String {
        array.map { "array of \($0.elementKind)" } ?? "\(kind)"
    }

    /// The value on one short line: strings are cut after 60 characters, arrays after 8 elements. Of arrays in arrays
    /// only the number of elements is told.
    public var summary: String {
        switch self {
        case .uint8(let value): "\(value)"
        case .int8(let value): "\(value)"
        case .uint16(let value): "\(value)"
        case .int16(let value): "\(value)"
        case .uint32(let value): "\(value)"
        case .int32(let value): "\(value)"
        case .float32(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .string(let value): quoted(value)
        case .array(let value):
            "[" + value.prefix(8).map { $0.array.map { "[\($0.count) in all]" } ?? $0.summary }.joined(separator: ", ")
                + (value.count > 8 ? ", … \(value.count) in all]" : "]")
        case .uint64(let value): "\(value)"
        case .int64(let value): "\(value)"
        case .float64(let value): "\(value)"
        }
    }
}

extension MetadataValue: Hashable {
    public static func == (a: MetadataValue, b: MetadataValue) -> Bool {
        switch (a, b) {
        case (.uint8(let a), .uint8(let b)): a == b
        case (.int8(let a), .int8(let b)): a == b
        case (.uint16(let a), .uint16(let b)): a == b
        case (.int16(let a), .int16(let b)): a == b
        case (.uint32(let a), .uint32(let b)): a == b
        case (.int32(let a), .int32(let b)): a == b
        case (.float32(let a), .float32(let b)): a.bitPattern == b.bitPattern
        case (.bool(let a), .bool(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.array(let a), .array(let b)): a == b
        case (.uint64(let a), .uint64(let b)): a == b
        case (.int64(let a), .int64(let b)): a == b
        case (.float64(let a), .float64(let b)): a.bitPattern == b.bitPattern
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        switch self {
        case .float32(let value): hasher.combine(value.bitPattern)
        case .float64(let value): hasher.combine(value.bitPattern)
        case .string(let value): hasher.combine(value)
        case .array(let value): hasher.combine(value)
        case .bool(let value): hasher.combine(value)
        default: hasher.combine(integer)
        }
    }
}

extension MetadataValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// Numbers without a type are `uint32` and `float32`, the types that nearly every hyperparameter has.
extension MetadataValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    public init(integerLiteral value: UInt32) { self = .uint32(value) }
    public init(floatLiteral value: Float) { self = .float32(value) }
}
