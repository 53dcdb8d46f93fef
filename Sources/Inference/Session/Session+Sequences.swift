import Devices
import ModelGraph

extension Range<Int> {
    /// All positions that there can be.
    public static var allPositions: Range<Int> { 0 ..< Int(Int32.max) + 1 }
}

extension Session {
    /// The positions that a sequence holds, nil if it is empty.
    public func positions(of sequence: Int) -> ClosedRange<Int>? {
        guard seen.indices.contains(sequence) else { return nil }
        return isRecurrent ? seen[sequence] : cells.positions(of: sequence)
    }

    /// Forgets everything.
    public func clear() throws {
        try forget()
        encoded = nil
    }

    /// Forgets all tokens, but for the encoder's.
    func forget() throws { for sequence in seen.indices { try empty(sequence) } }

    /// Begins anew, as a session that has just been opened: what earlier tokens left in cells that nobody sees is gone
    /// too. Graphs stay planned.
    public func restart() throws {
        try states.clear()
        cells = CellTable(count: context)
        seen = Array(repeating: nil, count: options.sequences)
        encoded = nil
    }

    /// Takes tokens out of a sequence.
    /// - Returns: false, with nothing changed, for part of a sequence with recurrent state: that has no past.
    @discardableResult
    public func remove(_ sequence: Int, _ positions: Range<Int> = .allPositions) throws -> Bool {
        try check(sequence)
        if isRecurrent, let held = seen[sequence], positions.overlaps(Range(held)) {
            guard positions.contains(held.lowerBound), positions.contains(held.upperBound) else { return false }
            try empty(sequence)
        } else {
            cells.remove(sequence, positions)
        }
        return true
    }

    /// Removes every other sequence.
    public func keep(_ sequence: Int) throws {
        try check(sequence)
        for other in seen.indices where other != sequence { try empty(other) }
    }

    /// Adds a sequence's tokens to another one, in place of those that it holds at these positions.
    /// - Returns: false, with nothing changed, for part of a sequence with recurrent state.
    @discardableResult
    public func copy(_ source: Int, to destination: Int, _ positions: Range<Int> = .allPositions) throws -> Bool {
        try check(source)
        try check(destination)
        guard source != destination else { return true }
        if isRecurrent {
            if let held = seen[source], !(positions.contains(held.lowerBound) && positions.contains(held.upperBound)) {
                return false
            }
            try empty(destination)
            for entry in states.entries(.recurrent) { try entry.memory.copy(row: source, to: destination) }
            seen[destination] = seen[source]
        } else {
            cells.remove(destination, positions)
        }
        cells.copy(source, to: destination, positions)
        return true
    }

    /// Whether positions can change after the fact: recurrent state has them mixed in.
    public var canShift: Bool { hasCells && !isRecurrent }

    /// Moves tokens of a sequence by `delta` positions, and rotates their cached keys on accordingly.
    /// Tokens that would come before position 0 are removed.
    /// - Throws: `SessionError`, with nothing changed, if the model cannot, or a token also belongs to
    ///   another sequence, or two would share a position.
    public func shift(_ sequence: Int, _ positions: Range<Int> = .allPositions, by delta: Int) throws {
        try check(sequence)
        guard canShift else {
            throw SessionError(
                isRecurrent ? "recurrent state cannot be shifted" : "the model keeps nothing between batches")
        }
        var shifted = cells
        var shifts = Array(repeating: Int32(0), count: cells.count)
        for cell in cells.cells(of: sequence, in: positions) {
            guard cells.sequences[cell].count == 1 else {
                throw SessionError(
                    "position \(cells.positions[cell]) of sequence \(sequence) is shared by sequences "
                        + "\(cells.sequences[cell])")
            }
            let (target, overflow) = Int(cells.positions[cell]).addingReportingOverflow(delta)
            guard !overflow, target <= Int32.max else {
                throw SessionError("position \(cells.positions[cell]) shifted by \(delta)")
            }
            if target < 0 {
                shifted.set(cell, -1, [])
            } else {
                shifted.set(cell, Int32(target), cells.sequences[cell])
                shifts[cell] = Int32(delta)
            }
        }
        let held = shifted.cells(of: sequence, in: .allPositions).map { shifted.positions[$0] }
        guard Set(held).count == held.count else {
            throw SessionError("positions of sequence \(sequence) shifted by \(delta) meet others that it holds")
        }
        if shifts.contains(where: { $0 != 0 }) { try rotate(shifts) }
        cells = shifted
    }

    /// Rotates the cached keys of each cell by so many positions.
    private func rotate(_ shifts: [Int32]) throws {
        let count = cells.extent()
        let shape = BatchShape(tokens: count, outputs: 0, cells: count, context: context)
        let builder = GraphBuilder(batch: shape) { _ in true }
        var isNeeded = false
        for state in states.entries(.cache).map(\.state) {
            guard let rotation = state.rotation else { continue }
            isNeeded = true
            builder.layer = nil
            let factors = rotation.factors.map { name in
                let pairs = rotation.rope.dimensions / 2
                let shape = model.weights.first { $0.name == name }?.shape ?? [pairs]
                let all = builder.weight(name, shape, .ropeFactor)
                // Where layers differ in how much they rotate, each uses the first of them.
                return shape.last == pairs ? all : all.columns(0, pairs)
            }
            builder.layer = state.layer
            let id = builder.state(state.name, .cache, row: state.row, rotation: rotation)
            // Turning what is turned already must not scale it again.
            var rope = rotation.rope
            rope.magnitude = 1
            let keys = builder.apply(.load(id, cells: count))
            let turned = builder.apply(
                .rope(rope, factors: factors != nil),
                [keys, builder.input(.shifts, [count])] + [factors].compactMap { $0 })
            _ = builder.apply(.store(id, cells: count), turned, builder.cells)
        }
        guard isNeeded else { return }
        let inputs: [Input: HostTensor] = [
            .shifts: .index(Array(shifts[..<count])), .cells: .index((0..<count).map(Int32.init)),
        ]
        _ = try compile(builder.finish()).run(inputs, wanted: [])
    }

    // MARK: Helpers

    func check(_ sequence: Int) throws {
        guard seen.indices.contains(sequence) else {
            throw SessionError("sequence \(sequence); there are \(options.sequences)")
        }
    }

    /// Removes a sequence and clears its recurrent state.
    private func empty(_ sequence: Int) throws {
        cells.remove(sequence, .allPositions)
        for entry in states.entries(.recurrent) { try entry.memory.clear(row: sequence) }
        seen[sequence] = nil
    }
}
