import CQuants

extension TensorType {
    /// The combinations of values that indices in blocks of this type stand for: of eight elements, two bits each, or
    /// of four elements, three bits each, the first lowest. Empty where a type has none.
    public var grid: [UInt16] {
        var count = 0
        guard let entries = quants_grid(rawValue, &count) else { return [] }
        return Array(UnsafeBufferPointer(start: entries, count: count))
    }
}
