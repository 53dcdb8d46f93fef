// As JSON, for files that a person reads: a list of `{"key": …, "type": …, "value": …}` in the order of the keys.
// Numbers that JSON lacks (NaN, infinities) are strings.

extension Metadata: Codable {
    private struct Entry: Codable {
        var key: String
        var value: MetadataValue

        private enum CodingKeys: CodingKey { case key }

        init(key: String, value: MetadataValue) {
            self.key = key
            self.value = value
        }
        init(from decoder: any Decoder) throws {
            key = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .key)
            value = try MetadataValue(from: decoder)
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(key, forKey: .key)
            try value.encode(to: encoder)
        }
    }

    public init(from decoder: any Decoder) throws {
        self.init()
        var container = try decoder.unkeyedContainer()
        while !container.isAtEnd {
            let entry = try container.decode(Entry.self)
            guard self[entry.key] == nil else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(entry.key) occurs twice")
            }
            self[entry.key] = entry.value
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        for (key, value) in self { try container.encode(Entry(key: key, value: value)) }
    }
}

extension MetadataValue: Codable {
    private enum CodingKeys: CodingKey { case type, value }
    private static let arrayPrefix = "array of "

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(typeName, forKey: .type)
        if case .array(.array(let arrays)) = self {
            try container.encode(arrays.map(MetadataValue.array), forKey: .value)
        } else if case .array(let array) = self {
            try container.encode(array.elements.map(Scalar.init), forKey: .value)
        } else {
            try container.encode(Scalar(value: self), forKey: .value)
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let type = try container.decode(String.self, forKey: .type)
        func kind(_ name: some StringProtocol) throws -> Kind {
            guard let kind = Kind.allCases.first(where: { "\($0)" == name }) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .type, in: container, debugDescription: "\(quoted(type)) is no type of metadata")
            }
            return kind
        }
        guard type.hasPrefix(Self.arrayPrefix) else {
            var value = try container.superDecoder(forKey: .value).singleValueContainer()
            self = try Scalar.decode(kind(type), from: &value)
            return
        }
        let element = try kind(type.dropFirst(Self.arrayPrefix.count))
        var values = try container.nestedUnkeyedContainer(forKey: .value)
        var elements: [MetadataValue] = []
        while !values.isAtEnd {
            if element == .array {
                elements.append(try values.decode(MetadataValue.self))
            } else {
                var value = try values.superDecoder().singleValueContainer()
                elements.append(try Scalar.decode(element, from: &value))
            }
        }
        guard let array = MetadataArray(elements, of: element) else {
            throw DecodingError.dataCorruptedError(in: values, debugDescription: "elements of several types")
        }
        guard array.depth <= MetadataArray.maximumDepth else {
            throw DecodingError.dataCorruptedError(
                in: values, debugDescription: "nests arrays more than \(MetadataArray.maximumDepth) deep")
        }
        self = .array(array)
    }
}

/// A value that is no array, without its type.
private struct Scalar: Encodable {
    var value: MetadataValue

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch value {
        case .uint8(let number): try container.encode(number)
        case .int8(let number): try container.encode(number)
        case .uint16(let number): try container.encode(number)
        case .int16(let number): try container.encode(number)
        case .uint32(let number): try container.encode(number)
        case .int32(let number): try container.encode(number)
        case .uint64(let number): try container.encode(number)
        case .int64(let number): try container.encode(number)
        case .bool(let flag): try container.encode(flag)
        case .string(let text): try container.encode(text)
        case .float32(let number):
            if number.isFinite { try container.encode(number) } else { try container.encode("\(number)") }
        case .float64(let number):
            if number.isFinite { try container.encode(number) } else { try container.encode("\(number)") }
        case .array: break
        }
    }

    static func decode(
        _ kind: MetadataValue.Kind, from container: inout any SingleValueDecodingContainer
    ) throws -> MetadataValue {
        // The decoder does not say where a number stands that does not fit.
        func number<Number: Decodable>() throws -> Number {
            do {
                return try container.decode(Number.self)
            } catch let error as DecodingError {
                throw error
            } catch {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "is no \(kind)")
            }
        }
        func real<Real: BinaryFloatingPoint & LosslessStringConvertible & Decodable>() throws -> Real {
            guard let text = try? container.decode(String.self) else { return try number() }
            guard let number = Real(text) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(quoted(text)) is no number")
            }
            return number
        }
        return switch kind {
        case .uint8: .uint8(try number())
        case .int8: .int8(try number())
        case .uint16: .uint16(try number())
        case .int16: .int16(try number())
        case .uint32: .uint32(try number())
        case .int32: .int32(try number())
        case .uint64: .uint64(try number())
        case .int64: .int64(try number())
        case .bool: .bool(try container.decode(Bool.self))
        case .string: .string(try container.decode(String.self))
        case .float32: .float32(try real())
        case .float64: .float64(try real())
        case .array:
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "an array without the type of its elements")
        }
    }
}
