import Foundation
import ModelGraph

/// Recurrent states: convolutions, token shifts, scans, delta rules, and what sessions do with their memory.
extension FaultCatalogue {
    static let recurrentStates: [Fault] = sessionStates + slots + convolutions + scans + deltaRules + wkv

    // MARK: Clearing, copying, saving

    private static let sessionStates: [Fault] = [
        // As ik_llama.cpp had it for Qwen3-Next: pull request 1696.
        Fault(
            "state-stale-after-removal", "a recurrent state is not cleared when its sequence is removed", tokens: 2,
            state: StateEffect(kind: .recurrent, clear: { _, _ in })),
        Fault(
            "state-half-cleared", "the second half of a recurrent state is not cleared", tokens: 2,
            state: StateEffect(
                kind: .recurrent,
                clear: { state, row in
                    let elements = try row.read(state)
                    let half = elements.count / 2
                    try row.write(Array(repeating: 0, count: half) + elements[half...], to: state)
                })),
        Fault(
            "state-copy-ignored", "a recurrent state is not copied to another sequence", tokens: 2,
            state: StateEffect(kind: .recurrent, copy: { _, _, _ in })),
        Fault(
            "state-copy-of-first-half", "only the first half of a recurrent state is copied", tokens: 2,
            state: StateEffect(
                kind: .recurrent,
                copy: { state, source, target in
                    let (from, to) = (try source.read(state), try target.read(state))
                    let half = from.count / 2
                    try target.write(Array(from[..<half] + to[half...]), to: state)
                })),
        Fault(
            "state-copied-backwards", "a recurrent state is copied from the sequence that it should be copied to",
            tokens: 2,
            state: StateEffect(kind: .recurrent, copy: { try $0.copy(row: $2.index, to: $1.index) })),
        Fault(
            "saved-state-in-half", "saved recurrent states are rounded to half precision", tokens: 2,
            state: StateEffect(kind: .recurrent, read: { $0.map(\.half) })),
        Fault(
            "restored-state-ignored", "a restored recurrent state keeps what it held before", tokens: 2,
            state: StateEffect(kind: .recurrent, write: { new, old in new = old })),
        Fault(
            "restored-state-of-first-sequence", "of restored recurrent states, the first sequence's is written alone",
            tokens: 2,
            state: StateEffect(
                kind: .recurrent,
                write: { new, old in
                    for slot in 1..<max(1, new.shape[0]) { new[block: slot] = old[block: slot] }
                })),
    ]

    // MARK: Slots

    private static let slots: [Fault] = [
        Fault(
            "slot-of-first-token", "all tokens of a micro-batch use the recurrent state of the first one's sequence",
            tokens: 2
        ) { site in
            guard let slots = site.slots, site.shape[0] > 1 else { return nil }
            return .operand(slots) { slots in
                let first = slots[0]
                slots.map { _ in first }
            }
        },
        Fault(
            "state-not-written-for-single-token", "a micro-batch of one token leaves recurrent states as they were",
            tokens: 2
        ) { site in
            guard site.slots != nil, site.shape[0] == 1 else { return nil }
            return .around { try $0.runKeepingState() }
        },
        Fault("state-reset-at-micro-batch", "a micro-batch begins with empty recurrent states", tokens: 2) { site in
            guard site.slots != nil else { return nil }
            return .around { call in
                try call.editState(rows: call.slotCount) { $0.map { _ in 0 } }
                try call.run()
            }
        },
    ]

    // MARK: Convolutions and token shifts

    private static let convolutions: [Fault] = [
        Fault(
            "convolution-state-kept-by-short-batch", "batches shorter than a convolution's memory do not reach it",
            tokens: 2
        ) { site in
            guard case .convolution = site.op, site.shape[0] < site.shape(1)[1] - 1 else { return nil }
            return .around { try $0.runKeepingState() }
        },
        Fault(
            "convolution-state-off-by-one", "a convolution remembers its inputs a token too late", tokens: 2
        ) { site in
            guard case .convolution(let id) = site.op, site.graph.states[id].row[0] > 1 else { return nil }
            return .around { call in
                try call.run()
                try call.editState(rows: call.slotCount) { memory in
                    let width = memory.shape[2]
                    for slot in Set(call.operands[2].values.map { Int($0) }) {
                        let inputs = memory[block: slot]
                        memory[block: slot] = inputs.suffix(width) + inputs.dropLast(width)
                    }
                }
            }
        },
        Fault("convolution-taps-reversed", "a convolution's kernel is applied from its end") { site in
            guard case .convolution = site.op else { return nil }
            return .around { call in
                call.result = try call.convolved { kernel, d, taps, j in kernel[d * taps + taps - 1 - j] }
            }
        },
        Fault(
            "convolution-of-three-taps", "a convolution of more than three taps uses its latest three", tokens: 4
        ) { site in
            guard case .convolution = site.op, site.shape(1)[1] > 3 else { return nil }
            return .around { call in
                call.result = try call.convolved { kernel, d, taps, j in j < taps - 3 ? 0 : kernel[d * taps + j] }
            }
        },
        Fault("token-shift-of-own", "a token shift gives the token's own input") { site in
            guard case .tokenShift = site.op else { return nil }
            return .result { y, x in y = x[0] }
        },
        Fault(
            "token-shift-crosses-sequences", "a token shift gives the batch's previous token, of whatever sequence",
            tokens: 2
        ) { site in
            guard case .tokenShift = site.op, site.shape[0] > 1 else { return nil }
            return .result { y, x in for t in 1..<y.shape[0] { y[row: t] = x[0][row: t - 1] } }
        },
        Fault(
            "token-shift-remembers-first", "a token shift remembers the first token of a micro-batch, not the last",
            tokens: 3
        ) { site in
            guard case .tokenShift = site.op, site.shape[0] > 1 else { return nil }
            return .around { call in
                try call.run()
                let (x, slots) = (call.operands[0], call.operands[1])
                try call.editState(rows: call.slotCount) { memory in
                    for t in slots.values.indices.reversed() { memory[row: Int(slots[t])] = x[row: t] }
                }
            }
        },
    ]

    // MARK: Scans

    private static let scans: [Fault] = [
        scan("scan-decay-not-exponentiated", "a scan multiplies its state by δ·A in place of exp(δ·A)", tokens: 2) {
            $0.decay = { $0 }
        },
        scan("scan-step-without-softplus", "a scan takes the time step before softplus") { $0.step = { $0 } },
        scan("scan-softplus-threshold-too-low", "a scan's softplus is the identity from 1 on") { scan in
            scan.step = { $0 > 1 ? $0 : log1p(exp($0)) }
        },
        scan("scan-input-without-step", "a scan adds its input undiminished by the time step") {
            $0.input = { _ in 1 }
        },
        scan("scan-decay-of-first-element", "all elements of a channel's state decay as the first", tokens: 2) {
            $0.sharesDecay = true
        },
        scan("scan-groups-interleaved", "heads of a scan take B and C of the groups in turn") {
            $0.interleavesGroups = true
        },
        scan("scan-output-before-update", "a scan gives its state as it was before the token") {
            $0.readsBeforeUpdate = true
        },
        scan("scan-state-tail-dropped", "state elements beyond the last whole 16 do not count in a scan's result") {
            $0.read = 16
        },
        scan("scan-chunk-edge", "a chunk of eight tokens begins with an empty state", tokens: 9) { $0.chunk = 8 },
    ]

    private static func scan(
        _ name: String, _ about: String, tokens: Int = 1, _ change: @escaping @Sendable (inout HostScan) -> Void
    ) -> Fault {
        Fault(name, about, tokens: tokens) { site in
            guard case .selectiveScan = site.op else { return nil }
            return .around { call in
                var scan = HostScan()
                change(&scan)
                call.result = try scan.run(call)
            }
        }
    }

    // MARK: Delta rules

    private static let deltaRules: [Fault] = [
        deltaRule(
            "delta-rule-undecayed-error", "a delta rule corrects what its state recalled before it decayed", tokens: 2
        ) {
            $0.recallsUndecayed = true
        },
        deltaRule("delta-rule-decay-after-update", "a delta rule's state decays after the token was added") {
            $0.decaysLast = true
        },
        deltaRule(
            "delta-rule-without-correction", "a delta rule adds values without taking away what it recalls", tokens: 2
        ) {
            $0.corrects = false
        },
        deltaRule(
            "delta-rule-transposed-state", "a delta rule keeps its state transposed between micro-batches", tokens: 2
        ) {
            $0.transposes = true
        },
        Fault("delta-rule-scale-dropped", "queries of a delta rule are not scaled: a norm's epsilon shows it") { site in
            guard case .gatedDeltaRule(let id, _) = site.op else { return nil }
            return .op(.gatedDeltaRule(id, scale: 1), of: site)
        },
        Fault("delta-rule-strength-ignored", "a delta rule replaces all of what it recalls") { site in
            guard case .gatedDeltaRule = site.op else { return nil }
            return .operand(4) { $0.map { _ in 1 } }
        },
        Fault("delta-rule-gate-of-first-channel", "all channels of a head decay as the first", tokens: 2) { site in
            guard case .gatedDeltaRule = site.op, site.shape(3).last > 1 else { return nil }
            return .operand(3) { $0.mapRows { row in row = row.map { [first = row[0]] _ in first } } }
        },
        Fault("delta-rule-keys-interleaved", "value heads of a delta rule take the key heads in turn") { site in
            guard case .gatedDeltaRule = site.op, site.shape(0)[1] > 1, site.shape[1] > site.shape(0)[1] else {
                return nil
            }
            return .around { call in
                var rule = HostDeltaRule()
                rule.interleavesKeys = true
                call.result = try rule.run(call)
            }
        },
    ]

    private static func deltaRule(
        _ name: String, _ about: String, tokens: Int = 1, _ change: @escaping @Sendable (inout HostDeltaRule) -> Void
    ) -> Fault {
        Fault(name, about, tokens: tokens) { site in
            guard case .gatedDeltaRule = site.op else { return nil }
            return .around { call in
                var rule = HostDeltaRule()
                change(&rule)
                call.result = try rule.run(call)
            }
        }
    }

    // MARK: WKV

    private static let wkv: [Fault] = [
        wkv("wkv-decay-after-update", "a WKV state decays after the token was added") { $0.decaysLast = true },
        wkv("wkv-removal-after-decay", "WKV removes what its state recalls after it decayed", tokens: 2) {
            $0.removesDecayed = true
        },
        wkv("wkv-removal-ignored", "WKV removes nothing from its state", tokens: 2) { $0.removes = false },
        Fault("wkv-key-receptance-swapped", "WKV takes keys for receptances, and the reverse", tokens: 2) { site in
            guard case .wkv7 = site.op else { return nil }
            return .op(site.op, [2, 1, 0, 3, 4, 5, 6].map { site.operands[$0] })
        },
        Fault("wkv-head-tail-dropped", "receptances beyond the last whole 32 of a head do not count in WKV") { site in
            guard case .wkv7 = site.op, site.shape.last % 32 != 0 else { return nil }
            return .operand(0) { $0.zeroRows(from: $0.shape.last / 32 * 32) }
        },
    ]

    private static func wkv(
        _ name: String, _ about: String, tokens: Int = 1, _ change: @escaping @Sendable (inout HostWKV) -> Void
    ) -> Fault {
        Fault(name, about, tokens: tokens) { site in
            guard case .wkv7 = site.op else { return nil }
            return .around { call in
                var wkv = HostWKV()
                change(&wkv)
                call.result = try wkv.run(call)
            }
        }
    }
}

extension Site {
    /// The operand that says which recurrent state each token uses.
    fileprivate var slots: Int? {
        guard let state = op.state, graph.states[state].kind == .recurrent else { return nil }
        return operands.count - 1
    }
}

extension Call {
    /// Rows of the node's recurrent state up to the last that a token uses.
    fileprivate var slotCount: Int { Int(operands[operands.count - 1].values.max() ?? 0) + 1 }

    fileprivate mutating func runKeepingState() throws {
        let before = try readState(rows: slotCount)
        try run()
        try writeState(before)
    }

    /// Calls `step` with each token, its slot and that slot's state, in turn.
    fileprivate func eachToken(_ step: (_ token: Int, _ memory: inout [Double]) -> Void) throws {
        let slots = operands[operands.count - 1]
        try editState(rows: slotCount) { memory in
            for t in slots.values.indices {
                var row = memory[block: Int(slots[t])]
                step(t, &row)
                memory[block: Int(slots[t])] = row
            }
        }
    }

    /// A convolution whose kernel is read in a way of its own.
    fileprivate func convolved(
        _ weight: (_ kernel: Elements, _ channel: Int, _ taps: Int, _ tap: Int) -> Double
    ) throws -> Elements {
        let (x, kernel) = (operands[0], try operand(1))
        let (channels, taps) = (x.shape[1], kernel.shape[1])
        var y = x
        try eachToken { t, memory in
            let inputs = memory + x[row: t]
            y[row: t] = (0..<channels).map { d in
                (0..<taps).reduce(0) { $0 + weight(kernel, d, taps, $1) * inputs[$1 * channels + d] }
            }
            memory = Array(inputs.dropFirst(channels))
        }
        return y
    }
}

/// `Op.selectiveScan` on the host, with the parts that faults replace.
private struct HostScan {
    var step: (Double) -> Double = { max($0, 0) + log1p(exp(-abs($0))) }
    /// What is kept of the state, of `δ·A`.
    var decay: (Double) -> Double = { exp($0) }
    /// By what an input is multiplied, of `δ`.
    var input: (Double) -> Double = { $0 }
    var sharesDecay = false
    var interleavesGroups = false
    var readsBeforeUpdate = false
    /// Whole vectors of so many state elements are read.
    var read = 1
    /// Tokens after which the state is lost; 0: it never is.
    var chunk = 0

    func run(_ call: Call) throws -> Elements {
        let (x, delta, a, b, c) = (
            call.operands[0], call.operands[1], try call.operand(2), call.operands[3], call.operands[4]
        )
        let (heads, size, groups, length) = (x.shape[1], x.shape[2], b.shape[1], b.shape[2])
        var y = x
        try call.eachToken { t, memory in
            if chunk > 0, t > 0, t % chunk == 0 { memory = memory.map { _ in 0 } }
            for h in 0..<heads {
                let step = step(delta[t * heads + h])
                let group = t * groups + (interleavesGroups ? h % groups : h / (heads / groups))
                let decays = a[row: h].map { decay(step * $0) }
                for p in 0..<size {
                    var (before, after) = (0.0, 0.0)
                    for n in 0..<length {
                        let i = (h * size + p) * length + n
                        let isRead = n < length / read * read
                        if isRead { before += memory[i] * c[group * length + n] }
                        memory[i] =
                            memory[i] * decays[decays.count == 1 || sharesDecay ? 0 : n]
                            + input(step) * x[(t * heads + h) * size + p] * b[group * length + n]
                        if isRead { after += memory[i] * c[group * length + n] }
                    }
                    y[(t * heads + h) * size + p] = readsBeforeUpdate ? before : after
                }
            }
        }
        return y
    }
}

/// `Op.gatedDeltaRule` on the host, with the parts that faults replace.
private struct HostDeltaRule {
    var recallsUndecayed = false
    var decaysLast = false
    var corrects = true
    var transposes = false
    var interleavesKeys = false

    func run(_ call: Call) throws -> Elements {
        guard case .gatedDeltaRule(_, let scale) = call.site.op else { return call.result }
        let (q, k, v, g, beta) = (
            call.operands[0], call.operands[1], call.operands[2], call.operands[3], call.operands[4]
        )
        let (heads, keyHeads, size) = (v.shape[1], q.shape[1], v.shape[2])
        var y = v
        try call.eachToken { t, memory in
            for h in 0..<heads {
                let keyHead = t * keyHeads + (interleavesKeys ? h % keyHeads : h / (heads / keyHeads))
                let (query, key, value) = (q[row: keyHead], k[row: keyHead], v[row: t * heads + h])
                let gate = g[row: t * heads + h]
                let base = h * size * size
                func recalled() -> [Double] {
                    (0..<size).map { j in (0..<size).reduce(0) { $0 + key[$1] * memory[base + $1 * size + j] } }
                }
                func decay() {
                    for i in 0..<size * size { memory[base + i] *= exp(gate[gate.count == 1 ? 0 : i / size]) }
                }
                let undecayed = recalled()
                if !decaysLast { decay() }
                let removed = recallsUndecayed ? undecayed : recalled()
                for i in 0..<size {
                    for j in 0..<size {
                        memory[base + i * size + j] +=
                            beta[t * heads + h] * key[i] * (value[j] - (corrects ? removed[j] : 0))
                    }
                }
                if decaysLast { decay() }
                y[row: t * heads + h] = (0..<size).map { j in
                    scale * (0..<size).reduce(0) { $0 + query[$1] * memory[base + $1 * size + j] }
                }
            }
        }
        if transposes {
            try call.editState(rows: call.slotCount) { memory in
                let before = memory
                for i in memory.values.indices {
                    let (row, column) = (i / size % size, i % size)
                    memory[i] = before[i / (size * size) * size * size + column * size + row]
                }
            }
        }
        return y
    }
}

/// `Op.wkv7` on the host, with the parts that faults replace.
private struct HostWKV {
    var decaysLast = false
    var removesDecayed = false
    var removes = true

    func run(_ call: Call) throws -> Elements {
        let (heads, size) = (call.site.shape[1], call.site.shape[2])
        var y = call.operands[3]
        try call.eachToken { t, memory in
            for h in 0..<heads {
                let rows = call.operands[0..<6].map { $0[row: t * heads + h] }
                let (r, w, k, v, a, b) = (rows[0], rows[1], rows[2], rows[3], rows[4], rows[5])
                y[row: t * heads + h] = (0..<size).map { i in
                    let base = (h * size + i) * size
                    var removed = 0.0
                    for j in 0..<size { removed += memory[base + j] * a[j] * (removesDecayed ? w[j] : 1) }
                    if !removes { removed = 0 }
                    var sum = 0.0
                    for j in 0..<size {
                        memory[base + j] =
                            decaysLast
                            ? (memory[base + j] + removed * b[j] + v[i] * k[j]) * w[j]
                            : memory[base + j] * w[j] + removed * b[j] + v[i] * k[j]
                        sum += memory[base + j] * r[j]
                    }
                    return sum
                }
            }
        }
        return y
    }
}
