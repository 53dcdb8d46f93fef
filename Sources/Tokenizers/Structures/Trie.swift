/// Byte strings with a value each, found as the prefixes of a text.
struct Trie: Sendable {
    /// Nodes by parent and byte; the root is node 0.
    private var children: [Int: Int32] = [:]
    private var values: [Int32] = [-1]

    var isEmpty: Bool { children.isEmpty }

    /// Replaces the value of a text that is there already.
    mutating func insert(_ text: some Sequence<UInt8>, _ value: Int) {
        var node = 0
        for byte in text {
            let edge = node << 8 | Int(byte)
            if let child = children[edge] {
                node = Int(child)
            } else {
                children[edge] = Int32(values.count)
                node = values.count
                values.append(-1)
            }
        }
        values[node] = Int32(value)
    }

    /// Calls `body` for each text that stands at `start`, shorter ones first, with the place after it.
    /// - Returns: the place after the longest beginning of any text.
    @discardableResult
    func matches(in text: [UInt8], at start: Int, _ body: (_ value: Int, _ end: Int) -> Void = { _, _ in }) -> Int {
        var node = 0
        var position = start
        while position < text.count, let child = children[node << 8 | Int(text[position])] {
            node = Int(child)
            position += 1
            if values[node] >= 0 { body(Int(values[node]), position) }
        }
        return position
    }
}
