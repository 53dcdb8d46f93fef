import ModelGraph

/// Drafts of another model's tokens: the states beside tokens, and vocabularies that are a part of the target's.
extension FaultCatalogue {
    static let drafts: [Fault] = [
        states(
            "draft-states-one-token-late", "the state beside a token is that of the token before in its batch"
        ) { x in
            for token in (1..<x.shape[0]).reversed() { x[block: token] = x[block: token - 1] }
        },
        states("draft-state-of-first-token", "all tokens of a batch have the first one's state beside them") { x in
            for token in 1..<x.shape[0] { x[block: token] = x[block: 0] }
        },
        Fault(
            "draft-logits-in-first-columns", "logits of a part of the vocabulary are those of its first tokens"
        ) { site in
            guard case .spread = site.op else { return nil }
            return .result { y, x in
                let (rows, columns, count) = (y.shape[0], y.shape[1], x[0].shape[1])
                for row in 0..<rows {
                    for column in 0..<columns {
                        y[row * columns + column] = column < count ? x[0][row * count + column] : -.infinity
                    }
                }
            }
        },
        Fault("draft-logits-of-others-zero", "tokens that a draft cannot write have the logit 0") { site in
            guard case .spread = site.op, site.shape(0)[1] < site.shape[1] else { return nil }
            return .result { y, _ in y.map { $0 == -.infinity ? 0 : $0 } }
        },
        Fault(
            "draft-logits-one-column-on", "logits of a part of the vocabulary are those of the tokens after its own"
        ) { site in
            guard case .spread(let columns) = site.op, columns > 1 else { return nil }
            return .result { y, _ in y.mapRows { $0 = [$0[columns - 1]] + $0.dropLast() } }
        },
    ]

    /// A fault in what is given beside the tokens of a batch.
    private static func states(
        _ name: String, _ about: String, _ change: @escaping @Sendable (inout Elements) -> Void
    ) -> Fault {
        Fault(name, about, tokens: 2) { site in
            guard let operand = site.operands.indices.first(where: { site.isInput($0, .hidden) }),
                site.shape(operand)[0] > 1
            else { return nil }
            return .operand(operand, change)
        }
    }
}
