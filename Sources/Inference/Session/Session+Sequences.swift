import Devices
import ModelGraph

extension Range<Int> {
    /// All positions that there can be.
    public static var allPositions: Range<Int> { 0 ..< Int(Int32.max) + 1 }

    /// `from ..< to`, empty where `to` lies before; nil: to the end of all positions.
    public static func positions(_ from: Int, _ to: Int?) -> Range<Int> {
        from ..< Swift.max(from, to ?? allPositions.upperBound)
    }
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
            guard Self.contains(positions, held) else { return false }
            try empty(sequence)
        } else {
            cells.remove(sequence, positions)
        }
        return true
    }

    /// The same of all sequences: of none, where one of them cannot.
    @discardableResult
    public func removeOfAll(_ positions: Range<Int>) throws -> Bool {
        let areWhole = seen.allSatisfy { held in
            held.map { !positions.overlaps(Range($0)) || Self.contains(positions, $0) } ?? true
        }
        guard !isRecurrent || areWhole else { return false }
        for sequence in seen.indices { try remove(sequence, positions) }
        return true
    }

    private static func contains(_ positions: Range<Int>, _ held: ClosedRange<Int>) -> Bool {
        positions.contains(held.lowerBound) && positions.contains(held.upperBound)
    }

    /// Whether these positions of a sequence can be copied: recurrent state is of all of it.
    public func canCopy(_ source: Int, _ positions: Range<Int>) -> Bool {
        guard isRecurrent, seen.indices.contains(source), let held = seen[source] else { return true }
        return Self.contains(positions, held)
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
        guard canCopy(source, positions) else { return false }
        if isRecurrent {
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
    ///   another sequence, or one that is moved would share a position with one that is not.
    public func shift(_ sequence: Int, _ positions: Range<Int> = .allPositions, by delta: Int) throws {
        try move(sequence, positions, "shifted by \(delta)") { position in
            let (target, overflow) = position.addingReportingOverflow(delta)
            return overflow ? nil : target
        }
    }

    /// Divides the positions of a sequence's tokens by `divisor`, rounded down, and rotates their cached keys on
    /// accordingly: several may have one position then.
    /// Source: Jin et al. 2024, "LLM Maybe LongLM: Self-Extend LLM Context Window Without Tuning".
    /// - Throws: as `shift`.
    public func divide(_ sequence: Int, _ positions: Range<Int> = .allPositions, by divisor: Int) throws {
        guard divisor > 0 else { throw SessionError("positions divided by \(divisor)") }
        try move(sequence, positions, "divided by \(divisor)") { $0 / divisor }
    }

    /// - Parameter target: of a position; nil: it has none.
    private func move(
        _ sequence: Int, _ positions: Range<Int>, _ how: String, to target: (Int) -> Int?
    ) throws {
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
            guard let target = target(Int(cells.positions[cell])), target <= Int32.max else {
                throw SessionError("position \(cells.positions[cell]) \(how)")
            }
            if target < 0 {
                shifted.set(cell, -1, [])
            } else {
                shifted.set(cell, Int32(target), cells.sequences[cell])
                shifts[cell] = Int32(target) - cells.positions[cell]
            }
        }
        let moved = Set(cells.cells(of: sequence, in: positions))
        let others = shifted.cells(of: sequence, in: .allPositions).filter { !moved.contains($0) }
        let kept = Set(others.map { shifted.positions[$0] })
        guard !moved.contains(where: { kept.contains(shifted.positions[$0]) }) else {
            throw SessionError("positions of sequence \(sequence) \(how) meet others that it holds")
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
