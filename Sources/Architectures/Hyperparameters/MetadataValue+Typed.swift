import GGUF

/// Metadata values as the types that hyperparameters have, with errors that name the key.
extension MetadataValue {
    func integer(_ key: String) throws -> Int {
        guard let integer else { throw MetadataError(keys: [key], reason: "must be an integer, not \(typeName)") }
        return integer
    }
    func real(_ key: String) throws -> Double {
        guard let double else {
            throw MetadataError(keys: [key], reason: "must be a floating-point number, not \(typeName)")
        }
        guard double.isFinite else { throw MetadataError(keys: [key], reason: "must be finite, not \(summary)") }
        return double
    }
    func boolean(_ key: String) throws -> Bool {
        guard case .bool(let value) = self else {
            throw MetadataError(keys: [key], reason: "must be true or false, not \(typeName)")
        }
        return value
    }
    /// One integer for each of `count` layers, repeated where there is one for all.
    func integers(_ key: String, count: Int) throws -> [Int] {
        try elements?.map { try $0.integer(key) } ?? Array(repeating: integer(key), count: count)
    }
    /// One number for each of `count` layers, repeated where there is one for all.
    func reals(_ key: String, count: Int) throws -> [Double] {
        try elements?.map { try $0.real(key) } ?? Array(repeating: real(key), count: count)
    }
    func flags(_ key: String, count: Int) throws -> [Bool] {
        try elements?.map { try $0.boolean(key) } ?? Array(repeating: boolean(key), count: count)
    }
    /// Flags may be booleans or integers, as engines take them.
    func pattern(_ key: String, count: Int) throws -> LayerPattern {
        guard let elements else { return .period(try integer(key)) }
        return .flags(try elements.map { try $0.integer.map { $0 != 0 } ?? $0.boolean(key) })
    }
}
