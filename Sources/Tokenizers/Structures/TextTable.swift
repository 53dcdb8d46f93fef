/// A set of byte strings, numbered in the order in which they were added.
///
/// Keys are bytes, not `String`: two tokens may be canonically equivalent and yet two tokens. Looking a slice of a
/// text up allocates nothing. Open addressing, FNV-1a.
struct TextTable: Sendable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []
    /// Indices, or -1; a power of two of them, at most half in use.
    private var slots: [Int32] = Array(repeating: -1, count: 16)

    var count: Int { ends.count }

    /// The text with this number.
    subscript(index: Int) -> ArraySlice<UInt8> { bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }

    func index(of text: some Collection<UInt8>) -> Int? {
        text.withContiguousStorageIfAvailable(find) ?? Array(text).withUnsafeBufferPointer(find)
    }

    func index(of text: [UInt8], _ range: Range<Int>) -> Int? {
        text.withUnsafeBufferPointer { find(UnsafeBufferPointer(rebasing: $0[range])) }
    }

    /// The number of a text, which is added where it is new.
    mutating func insert(_ text: some Collection<UInt8>) -> (index: Int, isNew: Bool) {
        if let index = index(of: text) { return (index, false) }
        bytes.append(contentsOf: text)
        ends.append(bytes.count)
        if ends.count * 2 > slots.count {
            slots = Array(repeating: -1, count: slots.count * 2)
            for index in 0..<ends.count - 1 { place(index) }
        }
        place(ends.count - 1)
        return (ends.count - 1, true)
    }

    private mutating func place(_ index: Int) {
        var slot = self[index].withUnsafeBufferPointer(Self.hash) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(index)
    }

    private func find(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
        var slot = Self.hash(text) & (slots.count - 1)
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            let start = index == 0 ? 0 : ends[index - 1]
            if ends[index] - start == text.count, bytes[start..<ends[index]].elementsEqual(text) { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private static func hash(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash ^ hash >> 32) & .max
    }
}
