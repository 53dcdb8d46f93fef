import Devices
import GGUF
import ModelGraph

extension Session {
    // MARK: The whole session

    /// Everything that the session remembers. A session of the same model, of the same shape or larger, on
    /// any placement, goes on from it as this one would.
    public func saveState() throws -> [UInt8] {
        let sequences = seen.indices.filter { seen[$0] != nil }
        var archive = try archive(cells: cells.used, sequences: sequences) { $0 }
        archive.encoder = encoded.map { .init(sequences: $0.sequences, width: $0.width, elements: $0.elements.doubles) }
        return archive.encoded()
    }

    /// Replaces everything that the session remembers.
    /// - Throws: `StateError`, with nothing changed, if the bytes are no saved state or not one that fits.
    public func restoreState(_ bytes: [UInt8]) throws {
        let archive = try StateArchive(bytes)
        try check(archive)
        var numbers: Set<Int> = []
        for cell in archive.cells {
            guard cell.number < context, cell.sequences.last ?? 0 < options.sequences,
                numbers.insert(cell.number).inserted
            else {
                throw StateError(
                    reason: "cell \(cell.number) of sequences \(cell.sequences) in a session of \(context) cells "
                        + "and \(options.sequences) sequences")
            }
        }
        var table = CellTable(count: context)
        for cell in archive.cells { table.set(cell.number, cell.position, cell.sequences) }
        var ranges: [ClosedRange<Int>?] = Array(repeating: nil, count: options.sequences)
        for sequence in archive.sequences {
            guard sequence.number < options.sequences, ranges[sequence.number] == nil else {
                throw StateError(reason: "sequence \(sequence.number) in a session of \(options.sequences)")
            }
            ranges[sequence.number] = sequence.positions
        }
        if let encoder = archive.encoder, let width = encoderWidth, encoder.width != width {
            throw StateError(reason: "encoder output of width \(encoder.width); the model's is \(width)")
        }
        guard archive.encoder == nil || traits.hasEncoder else {
            throw StateError(reason: "encoder output for a model without encoder")
        }

        try clear()
        try write(archive, cells: archive.cells.map(\.number), sequences: archive.sequences.map(\.number))
        cells = table
        seen = ranges
        encoded = archive.encoder.map {
            EncoderOutput(sequences: $0.sequences, width: $0.width, elements: .double($0.elements))
        }
    }

    // MARK: One sequence

    /// What the session remembers of one sequence.
    public func saveState(of sequence: Int) throws -> [UInt8] {
        try check(sequence)
        return try archive(
            cells: cells.cells(of: sequence, in: .allPositions), sequences: seen[sequence] == nil ? [] : [sequence]
        ) { _ in [0] }.encoded()
    }

    /// Replaces a sequence by the one that was saved, whatever its number was.
    /// - Throws: `StateError`, with nothing changed, if the bytes are no saved sequence or do not fit.
    public func restoreState(_ bytes: [UInt8], of sequence: Int) throws {
        try check(sequence)
        let archive = try StateArchive(bytes)
        try check(archive)
        guard archive.sequences.count <= 1, archive.cells.allSatisfy({ $0.sequences == [0] }),
            archive.encoder == nil
        else {
            throw StateError(reason: "is a whole session's, not one sequence's")
        }
        var table = cells
        table.remove(sequence, .allPositions)
        let tokens = archive.cells.map {
            Batch.Token(id: 0, position: Int($0.position), sequences: SequenceSet(sequence))
        }
        guard let taken = table.take(tokens) else {
            throw StateError(reason: "\(tokens.count) cells; only \(table.freeCount) are free")
        }

        try remove(sequence)
        try write(archive, cells: taken, sequences: archive.sequences.isEmpty ? [] : [sequence])
        cells = table
        seen[sequence] = archive.sequences.first?.positions
    }

    // MARK: Helpers

    private func archive(
        cells numbers: [Int], sequences: [Int], _ renumber: (SequenceSet) -> SequenceSet
    ) throws -> StateArchive {
        var archive = StateArchive(architecture: type(of: model.architecture).name)
        archive.cells = numbers.map {
            .init(number: $0, position: cells.positions[$0], sequences: renumber(cells.sequences[$0]))
        }
        archive.sequences = sequences.compactMap { number in seen[number].map { .init(number: number, positions: $0) } }
        for entry in states.entries {
            let rows = entry.state.kind == .cache ? numbers : sequences
            let width = entry.state.row.count
            let all = try entry.memory.read(rows: (rows.max() ?? -1) + 1)
            archive.memories.append(
                .init(
                    name: entry.state.name, isRecurrent: entry.state.kind == .recurrent, rowCount: width,
                    elements: rows.flatMap { all[$0 * width ..< ($0 + 1) * width] }))
        }
        return archive
    }

    /// Whether the archive is of a model with this one's states.
    private func check(_ archive: StateArchive) throws {
        let name = type(of: model.architecture).name
        guard archive.architecture == name else {
            throw StateError(reason: "is of a model of \(quoted(archive.architecture)), not \(quoted(name))")
        }
        let found = archive.memories.map { "\(quoted($0.name)) of \($0.rowCount)" }
        let expected = states.entries.map { "\(quoted($0.state.name)) of \($0.state.row.count)" }
        guard found == expected,
            zip(archive.memories, states.entries).allSatisfy({ $0.isRecurrent == ($1.state.kind == .recurrent) })
        else {
            let index = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset
                ?? min(found.count, expected.count)
            throw StateError(
                reason: "state \(index) is \(index < found.count ? found[index] : "missing"); "
                    + "the model's is \(index < expected.count ? expected[index] : "none")")
        }
        guard hasCells || archive.cells.isEmpty, isRecurrent || archive.sequences.isEmpty else {
            throw StateError(reason: "holds tokens that the model has no memory for")
        }
    }

    private func write(_ archive: StateArchive, cells: [Int], sequences: [Int]) throws {
        for (memory, entry) in zip(archive.memories, states.entries) {
            let rows = memory.isRecurrent ? sequences : cells
            guard let last = rows.max() else { continue }
            var all = try entry.memory.read(rows: last + 1)
            for (index, row) in rows.enumerated() {
                all.replaceSubrange(
                    row * memory.rowCount ..< (row + 1) * memory.rowCount,
                    with: memory.elements[index * memory.rowCount ..< (index + 1) * memory.rowCount])
            }
            try entry.memory.write(all)
        }
    }
}
