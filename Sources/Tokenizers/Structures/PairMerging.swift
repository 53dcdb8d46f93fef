/// A piece of a text while pairs of neighbours are merged.
struct Symbol {
    var start: Int
    var end: Int
    /// What the merging model knows it by; negative where it does not.
    var id: Int
}

/// What two neighbours become; the lowest priority is merged first.
struct Merge<Priority: Comparable> {
    var priority: Priority
    var id: Int
}

/// Merges the pair of neighbours with the lowest priority, of equal ones the leftmost, until no pair can be.
/// Of n symbols in O(n log n).
struct PairMerging<Priority: Comparable> {
    private struct Candidate {
        var merge: Merge<Priority>
        var left: Int
        var right: Int
        /// Where the right symbol ended: another end now means that it has grown.
        var end: Int

        func precedes(_ other: Candidate) -> Bool {
            merge.priority < other.merge.priority || merge.priority == other.merge.priority && left < other.left
        }
    }
    private var heap: [Candidate] = []
    private var previous: [Int] = []
    private var next: [Int] = []

    /// Replaces the symbols, which adjoin, by what is left of them.
    mutating func merge(_ symbols: inout [Symbol], by pair: (Symbol, Symbol) -> Merge<Priority>?) {
        guard symbols.count > 1 else { return }
        heap.removeAll(keepingCapacity: true)
        previous = Array(-1..<symbols.count - 1)
        next = Array(1...symbols.count)
        for left in 0..<symbols.count - 1 { consider(left, left + 1, symbols, pair) }
        while let candidate = pop() {
            let (left, right) = (candidate.left, candidate.right)
            // A symbol that was merged into its left neighbour is empty.
            guard symbols[left].start < symbols[left].end, symbols[right].start < symbols[right].end,
                symbols[right].end == candidate.end
            else { continue }
            symbols[left].end = candidate.end
            symbols[left].id = candidate.merge.id
            symbols[right].end = symbols[right].start
            next[left] = next[right]
            if next[left] < symbols.count { previous[next[left]] = left }
            consider(previous[left], left, symbols, pair)
            consider(left, next[left], symbols, pair)
        }
        symbols.removeAll { $0.start == $0.end }
    }

    private mutating func consider(
        _ left: Int, _ right: Int, _ symbols: [Symbol], _ pair: (Symbol, Symbol) -> Merge<Priority>?
    ) {
        guard left >= 0, right < symbols.count, let merge = pair(symbols[left], symbols[right]) else { return }
        heap.append(Candidate(merge: merge, left: left, right: right, end: symbols[right].end))
        var child = heap.count - 1
        while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() -> Candidate? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return top }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return top }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { return top }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
