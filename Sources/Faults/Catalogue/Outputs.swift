import ModelGraph

/// Which rows become outputs, and how they are pooled.
extension FaultCatalogue {
    static let outputs: [Fault] = [
        outputRows(
            "output-rows-from-first", "where some tokens want an output, the first ones give it", tokens: 2
        ) { rows, site in
            guard rows.values.count < site.shape(0)[0] else { return }
            for i in rows.values.indices { rows[i] = Double(i) }
        },
        outputRows(
            "output-rows-reversed", "where some tokens want an output, rows come in the opposite order", tokens: 3
        ) { rows, site in
            if rows.values.count < site.shape(0)[0] { rows.values.reverse() }
        },
        outputRows(
            "output-row-repeated", "the last of several output rows repeats the one before", tokens: 2
        ) { rows, _ in
            if rows.values.count > 1 { rows.values[rows.values.count - 1] = rows.values[rows.values.count - 2] }
        },
        Fault(
            "output-rows-kept-on-reuse", "a graph that runs again gives the rows that its first run was asked for",
            tokens: 4
        ) { site in
            guard case .rows = site.op, site.isInput(1, .outputs) else { return nil }
            return .around { call in
                call.operands[1] = call.first[1]
                try call.run()
            }
        },
        Fault("outputs-beyond-eight-lost", "output rows from the ninth on are zero", tokens: 9) { site in
            guard case .rows = site.op, site.isInput(1, .outputs), site.shape[0] > 8 else { return nil }
            return .result { y, _ in y.zeroBlocks(from: 8) }
        },
        Fault(
            "pooling-over-whole-batch", "a pooled embedding is divided by the tokens of all sequences", tokens: 2
        ) { site in
            guard case .pool = site.op, site.shape[0] > 1 else { return nil }
            return .operand(1) { weights in
                weights.mapRows { row in
                    let members = Double(row.count { $0 != 0 })
                    for i in row.indices { row[i] *= members / Double(row.count) }
                }
            }
        },
        Fault("pooling-of-first-sequence", "every sequence gets the pooled embedding of the first", tokens: 2) { site in
            guard case .pool = site.op, site.shape[0] > 1 else { return nil }
            return .result { y, _ in for s in 1..<y.shape[0] { y[block: s] = y[block: 0] } }
        },
        Fault("pooling-in-half", "pooled embeddings are rounded to half precision") { site in
            guard case .pool = site.op else { return nil }
            return .result { y, _ in y.map(\.half) }
        },
    ]

    /// A fault in the rows that are taken for outputs.
    private static func outputRows(
        _ name: String, _ about: String, tokens: Int, _ change: @escaping @Sendable (inout Elements, Site) -> Void
    ) -> Fault {
        Fault(name, about, tokens: tokens) { site in
            guard case .rows = site.op, site.isInput(1, .outputs) else { return nil }
            return .operand(1) { change(&$0, site) }
        }
    }
}
