import GGUF

// What a key must be where it is there: anything else is an error, never taken for absent.
extension Metadata {
    func optional<Value>(_ key: String, _ wanted: String, _ value: (MetadataValue) -> Value?) throws -> Value? {
        try self[key].map { found in
            guard let result = value(found) else {
                throw TokenizerError(key, "must be \(wanted), but is \(found.typeName) \(found.summary)")
            }
            return result
        }
    }

    func text(_ key: String) throws -> String? { try optional(key, "a string", \.string) }
    func flag(_ key: String) throws -> Bool? { try optional(key, "a bool", \.bool) }

    /// Each up to its first NUL, where llama.cpp ends it.
    func texts(_ key: String) throws -> [ArraySlice<UInt8>]? {
        try optional(key, "an array of strings") { value in
            guard case .array(.string(let strings)) = value else { return nil }
            return strings.map { Array($0.utf8).prefix { $0 != 0 } }
        }
    }
}
