/// The elements of a metadata array, all of one type.
///
/// An array of arrays may hold arrays of different element types and lengths: the format says so.
/// Equality is that of `MetadataValue`: same bytes in a file.
public enum MetadataArray: Sendable {
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
        case .uint8(let elements): elements.count
        case .int8(let elements): elements.count
        case .uint16(let elements): elements.count
        case .int16(let elements): elements.count
        case .uint32(let elements): elements.count
        case .int32(let elements): elements.count
        case .float32(let elements): elements.count
        case .bool(let elements): elements.count
        case .string(let elements): elements.count
        case .array(let elements): elements.count
        case .uint64(let elements): elements.count
        case .int64(let elements): elements.count
        case .float64(let elements): elements.count
        }
    }

    public var isEmpty: Bool { count == 0 }

    /// Deeper arrays of arrays are neither read nor written. No model nests at all; a file that nests without end would
    /// use up the stack.
    static let maximumDepth = 8

    /// 1 where there is no array in it.
    var depth: Int {
        guard case .array(let arrays) = self else { return 1 }
        return 1 + (arrays.map(\.depth).max() ?? 0)
    }

    /// The element at an index, which must lie in `0..<count`.
    public subscript(index: Int) -> MetadataValue {
        switch self {
        case .uint8(let elements): .uint8(elements[index])
        case .int8(let elements): .int8(elements[index])
        case .uint16(let elements): .uint16(elements[index])
        case .int16(let elements): .int16(elements[index])
        case .uint32(let elements): .uint32(elements[index])
        case .int32(let elements): .int32(elements[index])
        case .float32(let elements): .float32(elements[index])
        case .bool(let elements): .bool(elements[index])
        case .string(let elements): .string(elements[index])
        case .array(let elements): .array(elements[index])
        case .uint64(let elements): .uint64(elements[index])
        case .int64(let elements): .int64(elements[index])
        case .float64(let elements): .float64(elements[index])
        }
    }

    public var elements: [MetadataValue] { prefix(count) }

    /// The first elements, or all there are.
    public func prefix(_ count: Int) -> [MetadataValue] { (0..<min(count, self.count)).map { self[$0] } }

    /// The array of these values; nil where there are none, or not all are of one kind.
    public init?(_ elements: [MetadataValue]) {
        guard let first = elements.first else { return nil }
        self.init(elements, of: first.kind)
    }

    /// The array of these values; nil where not all are of that kind.
    package init?(_ elements: [MetadataValue], of kind: MetadataValue.Kind) {
        guard elements.allSatisfy({ $0.kind == kind }) else { return nil }
        self.init(elements, kind: kind)
    }

    private init(_ elements: [MetadataValue], kind: MetadataValue.Kind) {
        self = switch kind {
        case .uint8: .uint8(elements.compactMap { if case .uint8(let value) = $0 { value } else { nil } })
        case .int8: .int8(elements.compactMap { if case .int8(let value) = $0 { value } else { nil } })
        case .uint16: .uint16(elements.compactMap { if case .uint16(let value) = $0 { value } else { nil } })
        case .int16: .int16(elements.compactMap { if case .int16(let value) = $0 { value } else { nil } })
        case .uint32: .uint32(elements.compactMap { if case .uint32(let value) = $0 { value } else { nil } })
        case .int32: .int32(elements.compactMap { if case .int32(let value) = $0 { value } else { nil } })
        case .float32: .float32(elements.compactMap { if case .float32(let value) = $0 { value } else { nil } })
        case .bool: .bool(elements.compactMap(\.bool))
        case .string: .string(elements.compactMap(\.string))
        case .array: .array(elements.compactMap(\.array))
        case .uint64: .uint64(elements.compactMap { if case .uint64(let value) = $0 { value } else { nil } })
        case .int64: .int64(elements.compactMap { if case .int64(let value) = $0 { value } else { nil } })
        case .float64: .float64(elements.compactMap { if case .float64(let value) = $0 { value } else { nil } })
        }
    }
}

extension MetadataArray: Hashable {
    public static func == (a: MetadataArray, b: MetadataArray) -> Bool {
        switch (a, b) {
        case (.uint8(let a), .uint8(let b)): a == b
        case (.int8(let a), .int8(let b)): a == b
        case (.uint16(let a), .uint16(let b)): a == b
        case (.int16(let a), .int16(let b)): a == b
        case (.uint32(let a), .uint32(let b)): a == b
        case (.int32(let a), .int32(let b)): a == b
        case (.float32(let a), .float32(let b)): a.elementsEqual(b) { $0.bitPattern == $1.bitPattern }
        case (.bool(let a), .bool(let b)): a == b
        case (.string(let a), .string(let b)): a.elementsEqual(b) { $0.utf8.elementsEqual($1.utf8) }
        case (.array(let a), .array(let b)): a == b
        case (.uint64(let a), .uint64(let b)): a == b
        case (.int64(let a), .int64(let b)): a == b
        case (.float64(let a), .float64(let b)): a.elementsEqual(b) { $0.bitPattern == $1.bitPattern }
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(elementKind)
        hasher.combine(count)
        hasher.combine(prefix(8))
    }
}
