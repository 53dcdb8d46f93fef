extension ByteReader {
    mutating func keyAndValue(index: Int) throws -> (key: String, value: MetadataValue) {
        let key = try string(for: "key \(index)")
        return (key, try value(for: "key \(quoted(key))"))
    }

    private mutating func kind(for purpose: @autoclosure () -> String) throws -> MetadataValue.Kind {
        let number = try integer(UInt32.self, for: "the type of " + purpose())
        guard let kind = MetadataValue.Kind(rawValue: number) else {
            throw failure(at: offset - 4, "\(purpose()) has the unknown type \(number)")
        }
        return kind
    }

    private mutating func value(for purpose: @autoclosure () -> String) throws -> MetadataValue {
        switch try kind(for: purpose()) {
        case .uint8: .uint8(try integer(for: purpose()))
        case .int8: .int8(try integer(for: purpose()))
        case .uint16: .uint16(try integer(for: purpose()))
        case .int16: .int16(try integer(for: purpose()))
        case .uint32: .uint32(try integer(for: purpose()))
        case .int32: .int32(try integer(for: purpose()))
        case .float32: .float32(Float(bitPattern: try integer(for: purpose())))
        case .bool: .bool(try bool(for: purpose()))
        case .string: .string(try string(for: "the string of " + purpose()))
        case .array: .array(try array(for: purpose(), depth: 1))
        case .uint64: .uint64(try integer(for: purpose()))
        case .int64: .int64(try integer(for: purpose()))
        case .float64: .float64(Double(bitPattern: try integer(for: purpose())))
        }
    }

    private mutating func array(for purpose: @autoclosure () -> String, depth: Int) throws -> MetadataArray {
        guard depth <= MetadataArray.maximumDepth else {
            throw failure("\(purpose()) nests arrays more than \(MetadataArray.maximumDepth) deep")
        }
        let kind = try kind(for: "the elements of " + purpose())
        let count = try count(of: kind.minimumByteCount, for: "the element count of " + purpose())
        switch kind {
        case .uint8: return .uint8(try integers(count, for: purpose()))
        case .int8: return .int8(try integers(count, for: purpose()))
        case .uint16: return .uint16(try integers(count, for: purpose()))
        case .int16: return .int16(try integers(count, for: purpose()))
        case .uint32: return .uint32(try integers(count, for: purpose()))
        case .int32: return .int32(try integers(count, for: purpose()))
        case .float32: return .float32(try integers(count, for: purpose()).map(Float.init(bitPattern:)))
        case .bool: return .bool(try elements(count) { try $0.bool(for: "element \($1) of " + purpose()) })
        case .string: return .string(try elements(count) { try $0.string(for: "element \($1) of " + purpose()) })
        case .array:
            return .array(try elements(count) { reader, _ in try reader.array(for: purpose(), depth: depth + 1) })
        case .uint64: return .uint64(try integers(count, for: purpose()))
        case .int64: return .int64(try integers(count, for: purpose()))
        case .float64: return .float64(try integers(count, for: purpose()).map(Double.init(bitPattern:)))
        }
    }

    /// Grows with what was read instead of reserving what the file claims.
    private mutating func elements<T>(_ count: Int, _ read: (inout ByteReader, Int) throws -> T) rethrows -> [T] {
        var elements: [T] = []
        for index in 0..<count { elements.append(try read(&self, index)) }
        return elements
    }
}
