/// Which token each cell of the caches holds.
struct CellTable: Hashable {
    /// −1 where the cell is empty.
    private(set) var positions: [Int32]
    private(set) var sequences: [SequenceSet]

    init(count: Int) {
        positions = Array(repeating: -1, count: count)
        sequences = Array(repeating: [], count: count)
    }

    var count: Int { positions.count }
    var freeCount: Int { positions.count { $0 < 0 } }
    var used: [Int] { positions.indices.filter { positions[$0] >= 0 } }

    /// The number of leading cells that hold every used one, rounded up to a multiple of `multiple`, so
    /// that few graphs serve a growing cache.
    func extent(multipleOf multiple: Int = 32) -> Int {
        let used = (positions.lastIndex { $0 >= 0 } ?? -1) + 1
        return min(count, max(1, (used + multiple - 1) / multiple) * multiple)
    }

    /// Takes the lowest free cells, one for each token, in order; nil, and nothing taken, if they do not suffice.
    mutating func take(_ tokens: some Collection<Batch.Token>) -> [Int]? {
        let free = Array(positions.indices.lazy.filter { [positions] in positions[$0] < 0 }.prefix(tokens.count))
        guard free.count == tokens.count else { return nil }
        for (cell, token) in zip(free, tokens) { set(cell, Int32(token.position), token.sequences) }
        return free
    }

    mutating func set(_ cell: Int, _ position: Int32, _ set: SequenceSet) {
        positions[cell] = set.isEmpty ? -1 : position
        sequences[cell] = position < 0 ? [] : set
    }

    /// The least and the greatest position of a sequence, nil if it is empty.
    func positions(of sequence: Int) -> ClosedRange<Int>? {
        var range: ClosedRange<Int>?
        for (position, set) in zip(positions, sequences) where set.contains(sequence) {
            let position = Int(position)
            range = min(position, range?.lowerBound ?? position) ... max(position, range?.upperBound ?? position)
        }
        return range
    }

    /// The cells of a sequence in a range of positions.
    func cells(of sequence: Int, in range: Range<Int>) -> [Int] {
        positions.indices.filter { sequences[$0].contains(sequence) && range.contains(Int(positions[$0])) }
    }

    mutating func remove(_ sequence: Int, _ range: Range<Int>) {
        for cell in cells(of: sequence, in: range) {
            var rest = sequences[cell]
            rest.remove(sequence)
            set(cell, positions[cell], rest)
        }
    }

    mutating func copy(_ source: Int, to destination: Int, _ range: Range<Int>) {
        for cell in cells(of: source, in: range) { sequences[cell].insert(destination) }
    }
}
