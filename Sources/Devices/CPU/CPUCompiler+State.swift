import CKernels
import ModelGraph

/// Ops that read and write states.
extension CPUCompiler {
    mutating func store(_ id: StateID, _ cells: Int, _ x: ValueID, _ indices: ValueID) {
        let tokens = count(indices)
        require(id, rows: cells)
        step { run in
            let state = try run.state(id)
            try run.check(indices, count: tokens, below: state.rows, "cell")
            for token in 0..<tokens {
                state.set(row: Int(run.indices(indices)[token]), to: run[x] + token * state.rowCount)
            }
        }
    }

    mutating func tokenShift(_ id: StateID, _ x: ValueID, _ slots: ValueID, _ y: ValueID) {
        let (tokens, width) = (shape(x)[0], shape(x)[1])
        require(id, rows: 0)
        step { run in
            let pass = try run.slots(id, slots, tokens: tokens)
            for token in 0..<tokens {
                let state = pass.state + Int(pass.slots[token]) * width
                (run[y] + token * width).update(from: state, count: width)
                state.update(from: run[x] + token * width, count: width)
            }
        }
    }

    mutating func convolution(_ id: StateID, _ x: ValueID, _ weight: ValueID, _ slots: ValueID, _ y: ValueID) {
        let (tokens, channels, taps, kernel) = (shape(x)[0], shape(x)[1], shape(weight)[1], kernels.convolution)
        require(id, rows: 0)
        temporary(channels * taps)
        step { run in
            var pass = try run.slots(id, slots, tokens: tokens)
            kernel(&pass, run[x], run[weight], run[y], channels, taps, run.scratch)
        }
    }

    mutating func selectiveScan(_ id: StateID, _ operands: [ValueID], _ slots: ValueID, _ y: ValueID) {
        let (x, b, kernel) = (shape(operands[0]), shape(operands[3]), kernels.selective_scan)
        let decaySize = shape(operands[2])[1]
        require(id, rows: 0)
        temporary(x[0] * x[1])
        step { run in
            var pass = try run.slots(id, slots, tokens: x[0])
            kernel(
                &pass, run[operands[0]], run[operands[1]], run[operands[2]], run[operands[3]], run[operands[4]], run[y],
                x[1], x[2], b[2], b[1], decaySize, run.scratch)
        }
    }

    mutating func gatedDeltaRule(
        _ id: StateID, _ scale: Double, _ operands: [ValueID], _ slots: ValueID, _ y: ValueID
    ) {
        let (q, v, gate, kernel) = (shape(operands[0]), shape(y), shape(operands[3]), kernels.gated_delta_rule)
        require(id, rows: 0)
        temporary(gate.count)
        step { run in
            var pass = try run.slots(id, slots, tokens: v[0])
            kernel(
                &pass, run[operands[0]], run[operands[1]], run[operands[2]], run[operands[3]], run[operands[4]], run[y],
                q[1], v[1], v[2], gate[2], Float(scale), run.scratch)
        }
    }

    mutating func linearAttention(
        _ id: StateID, _ scale: Double, _ operands: [ValueID], bonus: ValueID?, _ slots: ValueID, _ y: ValueID
    ) {
        let (shape, gate, kernel) = (shape(y), shape(operands[3]), kernels.linear_attention)
        require(id, rows: 0)
        temporary(gate.count)
        step { run in
            var pass = try run.slots(id, slots, tokens: shape[0])
            kernel(
                &pass, run[operands[0]], run[operands[1]], run[operands[2]], run[operands[3]],
                bonus.map { UnsafePointer(run[$0]) },
                run[y], shape[1], shape[2], gate[2], Float(scale), run.scratch)
        }
    }

    mutating func wkv7(_ id: StateID, _ operands: [ValueID], _ slots: ValueID, _ y: ValueID) {
        let (shape, kernel) = (shape(y), kernels.wkv7)
        require(id, rows: 0)
        step { run in
            var pass = try run.slots(id, slots, tokens: shape[0])
            kernel(
                &pass, run[operands[0]], run[operands[1]], run[operands[2]], run[operands[3]], run[operands[4]],
                run[operands[5]], run[y], shape[1], shape[2])
        }
    }
}

extension CPURun {
    /// - Throws: `DeviceError` if a token's slot is none of the state's.
    fileprivate func slots(_ id: StateID, _ slots: ValueID, tokens: Int) throws -> CPUSlots {
        let state = try state(id)
        try check(slots, count: tokens, below: state.rows, "slot")
        return CPUSlots(state: state.memory, slot_size: state.rowCount, slots: indices(slots), tokens: tokens)
    }
}
