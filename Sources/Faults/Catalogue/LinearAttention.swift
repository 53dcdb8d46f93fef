import ModelGraph

/// Linear attention, and attention to the best blocks of positions.
extension FaultCatalogue {
    static let linearAttention: [Fault] = [
        Fault("linear-attention-scale-dropped", "queries of linear attention are not scaled") { site in
            guard case .linearAttention(let id, let scale, let bonus) = site.op, scale != 1 else { return nil }
            return .op(.linearAttention(id, scale: 1, bonus: bonus), of: site)
        },
        Fault(
            "linear-attention-bonus-dropped", "a token's own product counts without its bonus, as the memory has it") {
            site in
            guard case .linearAttention(let id, let scale, true) = site.op else { return nil }
            return .op(
                .linearAttention(id, scale: scale, bonus: false), [0, 1, 2, 3, 5].map { site.operands[$0] })
        },
        Fault("linear-attention-without-decay", "the memory of linear attention forgets nothing", tokens: 2) { site in
            guard case .linearAttention = site.op else { return nil }
            return .operand(3) { $0.map { _ in 0 } }
        },
        Fault(
            "linear-attention-decay-of-first-channel", "all channels of linear attention forget as the first", tokens: 2
        ) { site in
            guard case .linearAttention = site.op, site.shape(3).last > 1 else { return nil }
            return .operand(3) { $0.mapRows { row in row = row.map { [first = row[0]] _ in first } } }
        },
        Fault(
            "linear-attention-keys-values-swapped", "linear attention takes keys for values, and the reverse",
            tokens: 2) {
            site in
            guard case .linearAttention = site.op else { return nil }
            return .op(site.op, [0, 2, 1].map { site.operands[$0] } + site.operands[3...])
        },
    ]

    static let blocks: [Fault] = [
        Fault(
            "block-of-token-not-kept", "a token's own block of positions takes part by its score only",
            tokens: 2) { site in
            guard case .topBlocks(var selection) = site.op, selection.local > 0 else { return nil }
            selection.local = 0
            return .op(.topBlocks(selection), of: site)
        },
        Fault("one-block-too-few", "the last of the best blocks of positions is left out", tokens: 2) { site in
            guard case .topBlocks(var selection) = site.op,
                selection.count > max(1, selection.local) else { return nil }
            selection.count -= 1
            return .op(.topBlocks(selection), of: site)
        },
    ]
}
