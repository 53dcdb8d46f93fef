/// The metadata of a model: keys and their values, in the order in which the file has them.
///
/// Setting a key that is there already keeps its place; a new key goes to the end. Two metadata are
/// equal when they would be written as the same bytes, so the order counts.
public struct Metadata: Sendable {
    public private(set) var keys: [String] = []
    private var values: [MetadataValue] = []
    private var indices: [String: Int] = [:]

    public init() {}

    public subscript(key: String) -> MetadataValue? {
        get { indices[key].map { values[$0] } }
        set {
            guard let newValue else {
                remove(key)
                return
            }
            if let index = indices[key] {
                values[index] = newValue
            } else {
                indices[key] = keys.count
                keys.append(key)
                values.append(newValue)
            }
        }
    }

    /// Removes a key and returns its value; nil where there was none.
    @discardableResult
    public mutating func remove(_ key: String) -> MetadataValue? {
        guard let index = indices.removeValue(forKey: key) else { return nil }
        keys.remove(at: index)
        for (moved, key) in keys.enumerated().dropFirst(index) { indices[key] = moved }
        return values.remove(at: index)
    }

    /// Without the keys and values that a condition holds for.
    func removing(where isRemoved: (String, MetadataValue) -> Bool) -> Metadata {
        var rest = Metadata()
        for (key, value) in self where !isRemoved(key, value) { rest[key] = value }
        return rest
    }

    /// With other values too, which stand for those that have the same keys.
    public func merging(_ others: some Sequence<(key: String, value: MetadataValue)>) -> Metadata {
        var result = self
        for (key, value) in others { result[key] = value }
        return result
    }

    /// The value of a key that has any integer type, where it fits; nil otherwise.
    public func integer(_ key: String) -> Int? { self[key]?.integer }

    /// The value of a key that has either float type; nil otherwise.
    public func double(_ key: String) -> Double? { self[key]?.double }

    public func bool(_ key: String) -> Bool? { self[key]?.bool }
    public func string(_ key: String) -> String? { self[key]?.string }
    public func array(_ key: String) -> MetadataArray? { self[key]?.array }
}

extension Metadata: RandomAccessCollection {
    public var startIndex: Int { keys.startIndex }
    public var endIndex: Int { keys.endIndex }
    public subscript(position: Int) -> (key: String, value: MetadataValue) { (keys[position], values[position]) }
}

extension Metadata: Hashable {
    public static func == (a: Metadata, b: Metadata) -> Bool {
        a.keys.elementsEqual(b.keys) { $0.utf8.elementsEqual($1.utf8) } && a.values == b.values
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(keys)
        hasher.combine(values)
    }
}

extension Metadata: ExpressibleByDictionaryLiteral {
    /// A key given twice keeps its first place and its last value.
    public init(dictionaryLiteral elements: (String, MetadataValue)...) {
        for (key, value) in elements { self[key] = value }
    }
}
