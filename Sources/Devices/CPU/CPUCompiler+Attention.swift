import CKernels
import Foundation
import ModelGraph

/// Positions, masks and attention.
extension CPUCompiler {
    mutating func rope(_ rope: Rope, _ x: ValueID, _ positions: ValueID, factors: ValueID?, _ y: ValueID) {
        let (shape, kernel, pairs) = (shape(x), kernels.rope, rope.dimensions / 2)
        let size = shape[0] * pairs
        let table = table(RopeTable(rope, positions: positions, factors: factors), count: 2 * size)
        let (isSectioned, first) = (self.shape(positions).rank == 2, rope.firstPositions(in: self.shape(positions)))
        if table.isNew {
            let fill = kernels.rope_table
            let plain = factors == nil ? (0..<pairs).map { rope.frequency(pair: $0, factor: 1) } : []
            step { run in
                let frequencies = factors.map { factors in
                    (0..<pairs).map { rope.frequency(pair: $0, factor: Double(run[factors][$0])) }
                } ?? plain
                let cosines = run.tables + table.offset
                guard isSectioned else {
                    return fill(
                        run.indices(positions), frequencies, rope.magnitude, cosines, cosines + size, shape[0], pairs)
                }
                for token in 0..<shape[0] {
                    for (pair, first) in first.enumerated() {
                        let (position, place) = (run.indices(positions) + first + token, token * pairs + pair)
                        var frequency = frequencies[pair]
                        fill(position, &frequency, rope.magnitude, cosines + place, cosines + size + place, 1, 1)
                    }
                }
            }
        }
        step { run in
            let cosines = run.tables + table.offset
            kernel(
                run[x], cosines, cosines + size, run[y], shape[0], shape[1], shape[2], rope.offset, pairs,
                rope.pairing == .neox ? 1 : 0)
        }
    }

    mutating func mask(_ mask: Mask, _ operands: [ValueID], _ y: ValueID) {
        let (shape, kernel) = (shape(y), kernels.mask)
        step { run in
            // What `Mask.isVisible` allows is a range of cells for each token.
            let positions = UnsafeBufferPointer(start: run.indices(operands[0]), count: shape[0])
            let first = positions.map { position -> Int32 in
                let first =
                    switch mask.window {
                    case .unlimited: 0
                    case .sliding(let n): Int(position) - n + 1
                    case .chunked(let n): Int(position) / n * n
                    case .symmetric(let n): Int(position) - n
                    }
                return Int32(clamping: max(0, first))
            }
            let last = positions.map { position -> Int32 in
                if mask.causal { return position }
                guard case .symmetric(let n) = mask.window else { return .max }
                return Int32(clamping: Int(position) + n)
            }
            kernel(
                first, last, run.indices(operands[1]), run.indices(operands[2]), run.indices(operands[3]), run[y],
                shape[0], shape[1])
        }
    }

    mutating func alibi(_ heads: Int, _ maxBias: Double, _ positions: ValueID, _ cells: ValueID, _ y: ValueID) {
        let shape = shape(y)
        let slopes = (0..<heads).map { alibiSlope(head: $0, heads: heads, maxBias: maxBias) }
        step { run in
            let (positions, cells) = (run.indices(positions), run.indices(cells))
            var result = run[y]
            for slope in slopes {
                for token in 0..<shape[1] {
                    for cell in 0..<shape[2] {
                        result[cell] = Float(-slope * Double(abs(Int(cells[cell]) - Int(positions[token]))))
                    }
                    result += shape[2]
                }
            }
        }
    }

    mutating func relativePositionBias(
        _ bidirectional: Bool, _ maxDistance: Int, _ table: ValueID, _ positions: ValueID, _ cells: ValueID,
        _ y: ValueID
    ) {
        let (shape, buckets) = (shape(y), shape(table)[0])
        step { run in
            let positions = UnsafeBufferPointer(start: run.indices(positions), count: shape[1])
            let cells = UnsafeBufferPointer(start: run.indices(cells), count: shape[2])
            func bucket(_ distance: Int) -> Int {
                relativePositionBucket(
                    distance, buckets: buckets, bidirectional: bidirectional, maxDistance: maxDistance)
            }
            // Logarithms cost: where distances recur, each bucket is worked out once.
            let least = Int(cells.min() ?? 0) - Int(positions.max() ?? 0)
            let greatest = Int(cells.max() ?? 0) - Int(positions.min() ?? 0)
            let known = greatest - least < shape[1] * shape[2] ? (least...greatest).map(bucket) : []
            for (token, position) in positions.enumerated() {
                for (cell, cellPosition) in cells.enumerated() {
                    let distance = Int(cellPosition) - Int(position)
                    let row = known.isEmpty ? bucket(distance) : known[distance - least]
                    for head in 0..<shape[0] {
                        run[y][(head * shape[1] + token) * shape[2] + cell] = run[table][row * shape[0] + head]
                    }
                }
            }
        }
    }

    mutating func attention(_ attention: Attention, _ operands: [ValueID], _ y: ValueID) {
        let (queries, keys, values) = (shape(operands[0]), shape(operands[1]), shape(operands[2]))
        let (kernel, threads) = (kernels.attention, threads)
        let scratch = Int(CPU_ATTENTION_ROWS) * keys[0]
        temporary(scratch * threads)
        let bias = attention.bias ? operands[4] : nil
        let sinks = attention.sinks ? operands[operands.count - 1] : nil
        let work = queries.count * keys[0]
        step { run in
            let whole = CPUAttention(
                queries: run[operands[0]], keys: run[operands[1]], values: run[operands[2]], mask: run[operands[3]],
                bias: bias.map { UnsafePointer(run[$0]) }, sinks: sinks.map { UnsafePointer(run[$0]) }, result: run[y],
                tokens: queries[0], cells: keys[0], heads: queries[1], key_heads: keys[1], key_size: keys[2],
                value_stride: values[2], value_size: attention.valueSize, scale: Float(attention.scale),
                softcap: Float(attention.softcap ?? 0), scratch: run.scratch)
            let parts = work > 1 << 20 ? min(threads, queries[1]) : 1
            inParallel(parts) { part in
                var some = whole
                some.scratch += part * scratch
                withUnsafePointer(to: some) { kernel($0, part * queries[1] / parts, (part + 1) * queries[1] / parts) }
            }
        }
    }

    mutating func attentionTemperature(
        _ scale: Double, _ length: Double, _ offset: Double, _ positions: ValueID, _ y: ValueID
    ) {
        let tokens = shape(positions)[0]
        step { run in
            for token in 0..<tokens {
                let interval = ((Double(run.indices(positions)[token]) + offset) / length).rounded(.down)
                run[y][token] = Float(1 + scale * log(1 + interval))
            }
        }
    }

    mutating func indexScores(_ operands: [ValueID], _ y: ValueID) {
        let (queries, cells, kernel) = (shape(operands[0]), shape(y)[1], kernels.index_scores)
        temporary(queries[1] * cells)
        step { run in
            kernel(
                run[operands[0]], run[operands[1]], run[operands[2]], run[operands[3]], run[y], queries[0], queries[1],
                queries[2], cells, run.scratch)
        }
    }

    mutating func topBlocks(
        _ selection: BlockSelection, _ scores: ValueID, mask: ValueID, _ positions: ValueID, _ cellPositions: ValueID,
        _ y: ValueID
    ) {
        let (tokens, heads, cells) = (shape(scores)[0], shape(scores)[1], shape(scores)[2])
        step { run in
            let blocks = (0..<cells).map { max(0, Int(run.indices(cellPositions)[$0])) / selection.size }
            var best = [Float](repeating: 0, count: (blocks.max() ?? 0) + 1)
            for t in 0..<tokens {
                let (position, seen) = (Int(run.indices(positions)[t]), run[mask] + t * cells)
                for h in 0..<heads {
                    let (row, result) = (run[scores] + (t * heads + h) * cells, run[y] + (h * tokens + t) * cells)
                    for block in best.indices { best[block] = -.infinity }
                    for cell in 0..<cells where seen[cell] > -.infinity {
                        let block = blocks[cell]
                        best[block] = selection.isLocal(block: block, to: position) ? .infinity : max(
                            best[block], row[cell])
                    }
                    for cell in 0..<cells { result[cell] = -.infinity }
                    for _ in 0..<min(selection.count, best.count) {
                        guard let value = best.max(), value > -.infinity,
                            let block = best.firstIndex(of: value) else { break }
                        best[block] = -.infinity
                        for cell in 0..<cells where blocks[cell] == block
                            && seen[cell] > -.infinity { result[cell] = 0 }
                    }
                }
            }
        }
    }

    mutating func takeExperts(_ x: ValueID, _ experts: ValueID, _ y: ValueID) {
        let (columns, shape) = (shape(x)[1], shape(experts))
        step { run in
            try run.check(experts, count: shape.count, below: columns, "expert")
            for i in 0..<shape.count { run[y][i] = run[x][i / shape[1] * columns + Int(run.indices(experts)[i])] }
        }
    }

    mutating func spread(_ x: ValueID, _ places: ValueID, _ y: ValueID) {
        let (count, shape) = (shape(places)[0], shape(y))
        step { run in
            run[y].update(repeating: -.infinity, count: shape.count)
            for i in 0..<count {
                guard let column = Int(exactly: run[places][i]), (0..<shape[1]).contains(column) else {
                    throw CPUDevice.error("column \(run[places][i]) of \(shape[1])")
                }
                for row in 0..<shape[0] { run[y][row * shape[1] + column] = run[x][row * count + i] }
            }
        }
    }

    mutating func expertGroups(_ size: Int, _ experts: ValueID, _ y: ValueID) {
        let count = shape(y).count
        step { run in
            for i in 0..<count { run.indices(y)[i] = run.indices(experts)[i] / Int32(size) }
        }
    }
}
