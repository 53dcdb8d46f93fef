extension Dictionary<String, Int> {
    /// How often each was counted, the most first; of those alike, by name.
    public var mostFirst: [(key: String, value: Int)] {
        sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    }
}

extension [String] {
    /// These in their order, then whatever else there is in that of names.
    public func followed(by others: some Sequence<String>) -> [String] { self + Set(others).subtracting(self).sorted() }
}
