extension KeyedDecodingContainer where Key: CaseIterable & RawRepresentable<String> {
    /// The one key of an object that is named by it.
    /// - Parameter what: the object is, as an error says it: `an adapter`.
    /// - Throws: `DecodingError` that lists the keys, where there is none or another one besides.
    package func onlyKey(of what: String) throws -> Key {
        guard allKeys.count == 1, let key = allKeys.first else {
            throw DecodingError.dataCorrupted(.init(
                codingPath: codingPath,
                debugDescription: "\(what) has one key: \(Key.allCases.map(\.rawValue).joined(separator: ", "))"))
        }
        return key
    }
}
