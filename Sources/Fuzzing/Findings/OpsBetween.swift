import Architectures
import ModelGraph

extension Case {
    /// What the model does between tensors that matter: the ops that depend on one of them, and on which what another
    /// is applied to depends; what makes that to which they are applied; and last the ops that apply them.
    /// - Parameter tensors: names without the numbers of blocks.
    func ops(between tensors: [String]) -> [String] {
        let isOuter = tensors.contains { CauseSearch.ofEveryToken.contains($0) }
        guard !tensors.isEmpty, let architecture = try? ArchitectureCatalog.read(metadata) else { return [] }
        let present = Set(optionalTensors)
        let graphs = (try? architecture.smallestGraphs(present.contains)) ?? []
        let (between, own) = graphs.reduce(into: (Set<String>(), Set<String>())) { result, graph in
            let ops = isOuter ? graph.opsOutside : graph.ops(between: Set(tensors))
            result.0.formUnion(ops.between)
            result.1.formUnion(ops.own)
        }
        // Products of every block are of what a norm has made.
        var telling = between.subtracting(Op.namesOfPlumbing)
        let others = telling.filter { !$0.hasSuffix(" norm") }
        if !others.isEmpty, !isOuter { telling = others }
        return telling.sorted() + own.subtracting(telling).sorted()
    }
}

extension Graph {
    /// Those that belong to no block.
    fileprivate var opsOutside: (between: Set<String>, own: Set<String>) {
        let all = Set(nodes.filter { $0.layer == nil }.map(\.op.kind)).subtracting(Op.namesOfMoves)
        return (all.subtracting(Op.namesOfPlumbing), all.intersection(Op.namesOfPlumbing))
    }

    fileprivate func ops(between tensors: Set<String>) -> (between: Set<String>, own: Set<String>) {
        var (between, own): (Set<String>, Set<String>) = ([], [])
        // Blocks by themselves, and what is outside of them: the residual stream connects everything.
        for layer in Set(nodes.map(\.layer)) {
            let members = nodes.indices.filter { nodes[$0].layer == layer }
            func usesTensor(_ node: Int) -> Bool {
                nodes[node].operands.contains { operand in
                    guard case .weight(let weight) = values[operand].source else { return false }
                    return tensors.contains(weights[weight].name.withoutBlock)
                }
            }
            let users = Set(members.filter(usesTensor))
            own.formUnion(users.map { nodes[$0].op.kind })
            func operandNodes(_ node: Int) -> [Int] {
                nodes[node].operands.compactMap {
                    if case .node(let other) = values[$0].source, nodes[other].layer == layer { other } else { nil }
                }
            }
            var below = users
            for node in members where !below.contains(node) && operandNodes(node).contains(where: below.contains) {
                below.insert(node)
            }
            var above = users
            for node in members.reversed() where above.contains(node) { above.formUnion(operandNodes(node)) }
            between.formUnion(below.intersection(above).subtracting(users).map { nodes[$0].op.kind })
            // What a tensor is applied to may only have been moved since it was made.
            var sources = Set(users.flatMap(operandNodes))
            while let mover = sources.first(where: { Op.namesOfMoves.contains(nodes[$0].op.kind) }) {
                sources.remove(mover)
                sources.formUnion(operandNodes(mover))
            }
            between.formUnion(sources.map { nodes[$0].op.kind })
        }
        return (between, own)
    }
}

extension Op {
    /// The op and, where it is one of several, which.
    fileprivate var kind: String {
        switch self {
        case .unary(let function): function.rawValue
        case .binary(let operation): operation.rawValue
        case .gated(let activation): String("\(activation)".prefix { $0 != "(" })
        case .norm(let norm, _, _, _): "\(norm) norm"
        default: name
        }
    }

    /// What moves values.
    fileprivate static let namesOfMoves: Set = ["reshape", "slice", "concatenate", "broadcast"]
    /// What makes one architecture another: what tokens see of each other, which of several things is computed, and
    /// what is remembered.
    static let namesOfMechanisms: Set = [
        "attention", "alibi", "relativePositionBias", "indexScores", "topCells", "topBlocks", "windowPosition",
        "replace", "topExperts", "takeExperts", "expertGroups", "convolution", "tokenShift", "selectiveScan",
        "gatedDeltaRule", "linearAttention", "wkv7", "spread", "pool",
    ]
    /// And what every model does everywhere.
    static let namesOfPlumbing = namesOfMoves.union([
        "rows", "matmul", "expertMatmul", "headMatmul", "add", "multiply", "store", "load",
    ])
}
