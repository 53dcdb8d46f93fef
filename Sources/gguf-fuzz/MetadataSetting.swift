import ArgumentParser
import GGUF

/// `KEY=VALUE` of a model's metadata.
struct MetadataSetting: ExpressibleByArgument {
    let key: String
    let text: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { return nil }
        (key, text) = (String(parts[0]), String(parts[1]))
    }

    /// Sets the key, in the type that it has there; a new key, or one in an array's place, as it reads: uint32, int32,
    /// float32, bool or else string.
    /// - Throws: `CommandError` for text that the type does not have.
    func apply(to metadata: inout Metadata) throws {
        let kind = metadata[key]?.kind
        guard let value = value(kind == .array ? nil : kind) else {
            throw CommandError("--set \(key)=\(text): is no \(kind.map { "\($0)" } ?? "value")")
        }
        metadata[key] = value
    }

    private func value(_ kind: MetadataValue.Kind?) -> MetadataValue? {
        switch kind {
        case nil, .array:
            [.uint32, .int32, .float32, .bool].lazy.compactMap(value).first ?? .string(text)
        case .uint8: UInt8(text).map(MetadataValue.uint8)
        case .int8: Int8(text).map(MetadataValue.int8)
        case .uint16: UInt16(text).map(MetadataValue.uint16)
        case .int16: Int16(text).map(MetadataValue.int16)
        case .uint32: UInt32(text).map(MetadataValue.uint32)
        case .int32: Int32(text).map(MetadataValue.int32)
        case .uint64: UInt64(text).map(MetadataValue.uint64)
        case .int64: Int64(text).map(MetadataValue.int64)
        case .float32: Float(text).map(MetadataValue.float32)
        case .float64: Double(text).map(MetadataValue.float64)
        case .bool: Bool(text).map(MetadataValue.bool)
        case .string: .string(text)
        }
    }
}
