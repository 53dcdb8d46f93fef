import ModelGraph

/// Which experts a token uses, and with what weights.
extension FaultCatalogue {
    static let routing: [Fault] = [
        Fault("routing-ignores-groups", "experts are selected from all groups") { site in
            guard case .topExperts(let routing) = site.op, routing.groups > 1 else { return nil }
            return .op(.topExperts(Routing(used: routing.used)), of: site)
        },
        Fault("group-scored-by-best", "a group's score is that of its best expert alone") { site in
            guard case .topExperts(let routing) = site.op, routing.groups > 1, routing.groupBest > 1 else { return nil }
            return .operand(0) { scores in
                let size = scores.shape[1] / routing.groups
                scores.mapRows { row in
                    func best(_ group: Int) -> Double { row[group * size..<(group + 1) * size].max() ?? 0 }
                    let groups = (0..<routing.groups).sorted { (best($0), $1) > (best($1), $0) }
                    // Out of reach by far more than any score.
                    for group in groups.dropFirst(routing.groupsUsed) {
                        for expert in group * size..<(group + 1) * size { row[expert] -= 1e6 }
                    }
                }
            }
        },
        Fault(
            "routing-from-zero", "the search for the best expert begins at zero: negative scores are never above it"
        ) { site in
            guard case .topExperts(let routing) = site.op, routing.groups == 1 else { return nil }
            return .result { experts, operands in
                for t in 0..<experts.shape[0] {
                    let row = operands[0][row: t]
                    var chosen: [Int] = []
                    for _ in 0..<routing.used {
                        let rest = row.indices.filter { !chosen.contains($0) }
                        let best = rest.filter { row[$0] > 0 }.max { (row[$0], $1) < (row[$1], $0) }
                        chosen.append(best ?? rest[0])
                    }
                    experts[row: t] = chosen.map(Double.init)
                }
            }
        },
        Fault("last-expert-repeats-first", "the last of several experts used is the first again") { site in
            guard case .topExperts(let routing) = site.op, routing.used > 1 else { return nil }
            return .result { experts, _ in experts.mapRows { $0[$0.count - 1] = $0[0] } }
        },
        Fault("routing-of-first-32", "of more than 32 experts, the first 32 are considered") { site in
            guard case .topExperts(let routing) = site.op, site.shape(0)[1] > 32, routing.used <= 32,
                routing.groups == 1
            else {
                return nil
            }
            return .operand(0) { scores in
                scores.mapRows { row in for expert in 32..<row.count { row[expert] = -1e6 } }
            }
        },
        Fault(
            "routing-of-fourth-token-repeated", "tokens from the fifth on use the experts of the fourth", tokens: 5
        ) { site in
            guard case .topExperts = site.op, site.shape[0] > 4 else { return nil }
            return .result { experts, _ in
                for t in 4..<experts.shape[0] { experts[row: t] = experts[row: 3] }
            }
        },
        Fault("selection-bias-in-weights", "the bias that selects experts is in their weights too") { site in
            guard case .takeExperts = site.op, let top = site.producer(1), case .topExperts = top.op else { return nil }
            return top.operands[0] == site.operands[0] ? nil : .op(.takeExperts, [top.operands[0], site.operands[1]])
        },
        Fault("selection-bias-ignored", "experts are selected by their scores without the bias") { site in
            guard case .topExperts = site.op, let sum = site.producer(0), case .binary(.add) = sum.op,
                sum.weight(1)?.role == .selectionBias
            else { return nil }
            return .op(site.op, [sum.operands[0]])
        },
        Fault("expert-weights-not-normalised", "experts' weights are not divided by their sum") { site in
            guard case .binary(.divide) = site.op, site.producer(0)?.givesExpertWeights == true else {
                return nil
            }
            return .op(.affine(scale: 1, bias: 0), [site.operands[0]])
        },
        Fault("expert-weight-scale-ignored", "the factor of experts' weights is taken to be 1") { site in
            guard case .affine = site.op, site.producer(0)?.givesExpertWeights == true else { return nil }
            return .op(.affine(scale: 1, bias: 0), of: site)
        },
        Fault(
            "expert-weights-sorted",
            "experts' weights lie in the order of the experts, their results in that of the scores"
        ) { site in
            guard case .takeExperts = site.op, site.shape[1] > 1 else { return nil }
            return .operand(1) { $0.mapRows { $0.sort() } }
        },
        Fault(
            "expert-weights-of-first-token", "all tokens of a micro-batch weigh experts as the first does", tokens: 2
        ) { site in
            guard case .takeExperts = site.op, site.shape[0] > 1 else { return nil }
            return .operand(0) { scores in for t in 1..<scores.shape[0] { scores[row: t] = scores[row: 0] } }
        },
        Fault("gating-always-softmax", "experts are scored by a softmax where the model has a sigmoid") { site in
            guard case .unary(.sigmoid) = site.op, site.isRouterLogit(0) else { return nil }
            return .op(.softmax, of: site)
        },
        Fault("softmax-over-first-32-experts", "of more than 32 experts, a softmax sums over 32") { site in
            guard case .softmax = site.op, site.shape.last > 32, site.isRouterLogit(0) else { return nil }
            return .result { y, _ in
                y.mapRows { row in
                    let sum = row.prefix(32).reduce(0, +)
                    for i in row.indices { row[i] /= sum }
                }
            }
        },
    ]
}

extension Site {
    /// Whether the result is the weights of each token's experts, normalised or not.
    fileprivate var givesExpertWeights: Bool {
        switch op {
        case .takeExperts: true
        case .softmax, .affine, .binary(.divide): producer(0)?.givesExpertWeights ?? false
        default: false
        }
    }

    /// Whether an operand is what a router gives, with or without a bias or cap.
    func isRouterLogit(_ operand: Int) -> Bool {
        guard let producer = producer(operand) else { return false }
        return switch producer.op {
        case .matmul: producer.weight(1)?.role == .router
        case .binary(.add), .softcap: producer.isRouterLogit(0)
        default: false
        }
    }
}
