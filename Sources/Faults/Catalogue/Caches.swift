import ModelGraph

/// Key/value caches: what is written to them, and what is kept of it.
extension FaultCatalogue {
    static let caches: [Fault] = [
        Fault(
            "store-odd-token-lost", "the last of three tokens or another odd number is not written to the cache",
            tokens: 3
        ) { site in
            guard case .store = site.op, site.isInput(1, .cells), site.shape(0)[0] > 1, site.shape(0)[0] % 2 == 1 else {
                return nil
            }
            return .around { call in
                let (last, cell) = (call.operands[0].shape[0] - 1, Int(call.operands[1].values.last ?? 0))
                call.operands[0][block: last] = try call.readState(rows: cell + 1)[block: cell]
                try call.run()
            }
        },
        Fault(
            "store-pair-swapped", "two tokens of a micro-batch of two are written to each other's cells", tokens: 2
        ) { site in
            guard case .store = site.op, site.shape(0)[0] == 2 else { return nil }
            return .operand(1) { $0.values.reverse() }
        },
        Fault(
            "store-overwrites-at-edge", "the first row of a micro-batch is written to the cell before its own too",
            tokens: 2
        ) { site in
            guard case .store = site.op, site.shape(0)[0] < site.shape[0] else { return nil }
            return .around { call in
                try call.run()
                let cell = Int(call.operands[1][0])
                guard cell > 0 else { return }
                try call.editState(rows: site.shape[0]) { rows in
                    rows[block: cell - 1] = rows[block: cell]
                    call.result = rows
                }
            }
        },
        Fault(
            "store-restarts-at-each-batch", "a micro-batch of one token is written to the cell of the first one",
            tokens: 2
        ) { site in
            guard case .store = site.op, site.shape(0)[0] == 1 else { return nil }
            return .around { call in
                call.operands[1] = call.first[1]
                try call.run()
            }
        },
        Fault("cache-read-before-write", "attention reads the cache as it was before the micro-batch") { site in
            guard case .store(_, let cells) = site.op, site.isInput(1, .cells) else { return nil }
            return .around { call in
                let before = try call.readState(rows: cells)
                try call.run()
                call.result = before
            }
        },
        Fault("cache-second-half-of-row-lost", "of rows of several heads, the second half is not written") { site in
            guard case .store = site.op, site.isInput(1, .cells), site.shape[1] > 1 else { return nil }
            return .operand(0) { x in
                let size = x.shape.count / x.shape[0]
                for t in 0..<x.shape[0] {
                    x[block: t] = x[block: t].prefix(size / 2) + Array(repeating: 0, count: size - size / 2)
                }
            }
        },
        Fault(
            "cache-always-in-half", "caches are kept in half precision where full was asked for", tokens: 1,
            state: StateEffect(kind: .cache, type: { _ in .half })),
        Fault(
            "cache-never-in-half", "caches are kept in full precision where half was asked for", tokens: 1,
            state: StateEffect(kind: .cache, type: { _ in .full })),
        Fault(
            "saved-cache-lacks-last-cell", "a saved cache has zeros in the place of its last cell", tokens: 2,
            state: StateEffect(kind: .cache, read: { $0.zeroBlocks(from: $0.shape[0] - 1) })),
        Fault(
            "saved-cache-in-bfloat16", "a saved cache is cut to bfloat16", tokens: 2,
            state: StateEffect(kind: .cache, read: { $0.map(\.brain) })),
        Fault(
            "restored-cache-ignored", "a restored cache keeps what it held before", tokens: 2,
            state: StateEffect(kind: .cache, write: { new, old in new = old })),
    ]
}
