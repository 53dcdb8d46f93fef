import Architectures
import Devices
import GGUF
import Inference
import ModelGraph
import PropertyTesting

/// What the tensors of each layer mean, as far as transformations need it: read off the graph and the tensors' names.
struct TensorLayout {
    var layers: [Layer] = []

    struct Layer {
        var number: Int
        /// Names without `blk.N.`, of the tensors that the layer has.
        var names: Set<String>
        /// Of the experts' tensors; nil where the layer has none.
        var experts: Int?
        var groups: Int
        /// nil where the layer's attention is of another kind, or where a head is more than its tensors.
        var heads: Heads?
        var fusions: [Fusion]

        func name(_ tensor: String) -> String { "blk.\(number).\(tensor)" }
    }

    struct Heads {
        var queries: Int
        var keyValues: Int
        var valueSize: Int
        var keySize: Int
    }

    init(_ architecture: any Architecture, _ names: Set<String>) throws {
        let g = GraphBuilder(batch: .inventory(.decode)) { names.contains($0) }
        architecture.build(g)
        let graph = try g.finish()
        let used = Set(graph.weights.map(\.name))
        let names = names.union(used)
        for number in 0..<architecture.dimensions.layers {
            let prefix = "blk.\(number)."
            let weights = graph.weights.filter { $0.name.hasPrefix(prefix) }
            guard !weights.isEmpty else { continue }
            let own = Dictionary(weights.map { (String($0.name.dropFirst(prefix.count)), $0.shape) }) { first, _ in
                first
            }
            let nodes = graph.nodes.filter { $0.layer == number }
            let routing = nodes.lazy
                .compactMap { if case .topExperts(let routing) = $0.op { routing } else { nil } }.first
            let experts = own["ffn_gate_inp.weight"].map { $0[0] }
            // Groups that are chosen together, or that share an expert.
            let sharing = nodes.lazy.compactMap { if case .expertGroups(let size) = $0.op { size } else { nil } }.first
            layers.append(
                Layer(
                    number: number, names: Set(own.keys), experts: experts,
                    groups: sharing.flatMap { size in experts.map { $0 / size } } ?? routing?.groups ?? 1,
                    heads: Self.heads(nodes, own, graph),
                    fusions: Fusion.candidates(own, prefix: prefix, architecture, names, used: used)))
        }
    }

    /// Tensors beside the projections that heads may have; with any other, a head is not known to be free to move.
    private static let headless: Set<String> = [
        "attn_norm.weight", "attn_norm.bias", "attn_output.bias", "attn_post_norm.weight",
    ]
    private static let headed: Set<String> = [
        "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_q.bias", "attn_k.bias", "attn_v.bias",
        "attn_qkv.weight", "attn_qkv.bias", "attn_output.weight", "attn_sinks.weight", "attn_q_norm.weight",
        "attn_k_norm.weight",
    ]

    private static func heads(_ nodes: [Node], _ own: [String: Shape], _ graph: Graph) -> Heads? {
        let attentions = nodes.compactMap { node -> (Attention, Node)? in
            if case .attention(let attention) = node.op { (attention, node) } else { nil }
        }
        // A bias by head, such as ALiBi's, belongs to the head's number.
        guard attentions.count == 1, let (attention, node) = attentions.first, !attention.bias,
            own["attn_output.weight"] != nil, !isFusedByHead(nodes, graph),
            own["attn_k.weight"] != nil || own["attn_qkv.weight"] != nil, hasOwnKeys(node, graph),
            own.keys.allSatisfy({ !$0.hasPrefix("attn_") || headless.contains($0) || headed.contains($0) })
        else { return nil }
        let (queries, keys) = (graph.values[node.operands[0]].shape, graph.values[node.operands[1]].shape)
        return Heads(queries: queries[1], keyValues: keys[1], valueSize: attention.valueSize, keySize: keys[2])
    }
}

extension TensorLayout {
    /// Whether an attention's keys are of its own layer, and no other looks at them.
    private static func hasOwnKeys(_ attention: Node, _ graph: Graph) -> Bool {
        let keys = attention.operands[1]
        guard case .node(let index) = graph.values[keys].source else { return false }
        let isShared = graph.nodes.contains { node in
            if case .attention = node.op { node.operands[1] == keys && node.layer != attention.layer } else { false }
        }
        return graph.nodes[index].layer == attention.layer && !isShared
    }

    /// Whether queries, keys and values of each head lie together in a fused matrix.
    private static func isFusedByHead(_ nodes: [Node], _ graph: Graph) -> Bool {
        func producer(_ value: ValueID) -> Node? {
            if case .node(let index) = graph.values[value].source { graph.nodes[index] } else { nil }
        }
        return nodes.contains { node in
            guard case .slice = node.op, let reshape = producer(node.operands[0]), case .reshape = reshape.op,
                let product = producer(reshape.operands[0]), case .matmul = product.op,
                case .weight(let index) = graph.values[product.operands[1]].source
            else { return false }
            return graph.weights[index].name.hasSuffix(".attn_qkv.weight")
        }
    }
}

extension TensorLayout.Layer {
    func permuteExperts(_ tensors: inout ChangedTensors, _ random: inout RandomStream) throws {
        guard let experts, experts > 1 else { return }
        let size = experts / groups
        let groupOrder = random.order(groups)
        let order = groupOrder.flatMap { group in random.order(size).map { group * size + $0 } }
        for name in names
        where name.contains("_exps.") && !name.contains("norm") || name.hasPrefix("exp_probs_b")
            || ["ffn_gate_inp.weight", "ffn_gate_inp.bias"].contains(name)
        {
            try tensors.permute(self.name(name), order, parts: experts)
        }
        for name in names where name.contains("_chexps.") {
            try tensors.permute(self.name(name), groupOrder, parts: groups)
        }
    }

    func permuteHeads(_ tensors: inout ChangedTensors, _ random: inout RandomStream) throws {
        guard let heads, heads.queries > 1 else { return }
        let ratio = heads.queries / heads.keyValues
        let groups = heads.keyValues > 1 ? random.order(heads.keyValues) : [0]
        let queries = groups.flatMap { group in (ratio > 1 ? random.order(ratio) : [0]).map { group * ratio + $0 } }
        // The output's columns can only move in whole blocks.
        guard let output = try tensors.data(name("attn_output.weight")),
            heads.valueSize.isMultiple(of: output.type.blockSize)
        else { return }
        try tensors.permute(output.name, queries, parts: output.shape.rows * heads.queries)
        for suffix in ["weight", "bias"] {
            try tensors.permute(name("attn_q.\(suffix)"), queries, parts: heads.queries)
            try tensors.permute(name("attn_k.\(suffix)"), groups, parts: heads.keyValues)
            try tensors.permute(name("attn_v.\(suffix)"), groups, parts: heads.keyValues)
            try permuteFused("attn_qkv.\(suffix)", &tensors, queries, groups, heads)
        }
        try tensors.permute(name("attn_sinks.weight"), queries, parts: heads.queries)
        // Norms of all heads together have a weight for each element, others one for all heads.
        for (norm, order) in [("attn_q_norm.weight", queries), ("attn_k_norm.weight", groups)] {
            if let data = try tensors.data(name(norm)), data.shape.count == order.count * heads.keySize,
                order.count > 1
            {
                try tensors.permute(data.name, order, parts: order.count)
            }
        }
    }

    private func permuteFused(
        _ fused: String, _ tensors: inout ChangedTensors, _ queries: [Int], _ groups: [Int], _ heads: TensorLayout.Heads
    ) throws {
        guard let data = try tensors.data(name(fused)) else { return }
        // Queries take what keys and values leave: a gate may follow each.
        let (keys, values) = (heads.keyValues * heads.keySize, heads.keyValues * heads.valueSize)
        let sizes = [(data.shape.rank == 1 ? data.shape.count : data.shape.rows) - keys - values, keys, values]
        let parts = try data.split(rows: sizes, names: ["q", "k", "v"].map { "\(data.name)#\($0)" })
        tensors.replace([], by: parts)
        for (part, order) in zip(parts, [queries, groups, groups]) {
            try tensors.permute(part.name, order, parts: order.count)
        }
        let permuted = try parts.compactMap { try tensors.data($0.name) }
        tensors.replace(parts.map(\.name), by: [TensorData(joining: permuted, name: data.name, shape: data.shape)])
    }
}

/// Tensors of one input that may be one tensor.
struct Fusion {
    var apart: [String]
    var whole: String
    var isFused: Bool
    /// Rows of the parts, of each of `repeats` groups.
    var rows: [Int]
    var repeats: Int

    /// Those of a layer that can be fused or split without anything else changing.
    /// - Parameter used: of the names, those that the model's graph uses.
    static func candidates(
        _ own: [String: Shape], prefix: String, _ architecture: any Architecture, _ names: Set<String>,
        used: Set<String>
    ) -> [Fusion] {
        let families = [
            (["attn_q", "attn_k", "attn_v"], "attn_qkv", 0), (["ffn_gate_exps", "ffn_up_exps"], "ffn_gate_up_exps", 1),
        ]
        return families.flatMap { parts, fused, axis -> [Fusion] in
            let apart = parts.map { prefix + $0 + ".weight" }, whole = prefix + fused + ".weight"
            let isFused = names.contains(whole)
            guard isFused || apart.allSatisfy(names.contains) else { return [] }
            // Biases of some parts only have no place beside a whole.
            let biases = parts.filter { names.contains(prefix + $0 + ".bias") }.count
            guard biases == 0 || biases == parts.count, !isFused || biases == 0,
                !names.contains(prefix + fused + ".bias")
            else { return [] }
            let other = isFused ? names.subtracting([whole]).union(apart) : names.subtracting(apart).union([whole])
            let g = GraphBuilder(batch: .inventory(.decode)) { other.contains($0) }
            architecture.build(g)
            guard let graph = try? g.finish() else { return [] }
            let shapes = Dictionary(graph.weights.map { ($0.name, $0.shape) }) { first, _ in first }
            let found = isFused
                ? apart.compactMap { shapes[$0] } : apart.compactMap { own[String($0.dropFirst(prefix.count))] }
            guard found.count == apart.count, let first = found.first,
                let fusedShape = isFused ? own[fused + ".weight"] : shapes[whole],
                fusedShape.rank == first.rank, found.map({ $0[axis] }).reduce(0, +) == fusedShape[axis],
                // Nothing else may come or go.
                Set(shapes.keys).symmetricDifference(used) == Set(apart + [whole])
            else { return [] }
            return [
                Fusion(
                    apart: apart, whole: whole, isFused: isFused, rows: found.map { $0[axis] },
                    repeats: axis == 0 ? 1 : first[0])
            ]
        }
    }

    func apply(_ tensors: inout ChangedTensors) throws {
        if isFused {
            guard let data = try tensors.data(whole) else { return }
            let split = try data.split(rows: Array(repeatElement(rows, count: repeats).joined()), names: nil)
            let parts = apart.indices.map { part in
                TensorData(
                    joining: (0..<repeats).map { split[$0 * rows.count + part] }, name: apart[part],
                    shape: data.shape.replacing(data.shape.rank - 2, with: rows[part]))
            }
            tensors.replace([whole], by: parts)
        } else {
            let parts = try apart.compactMap { try tensors.data($0) }
            // A row of one type cannot follow one of another.
            guard parts.count == apart.count, let first = parts.first,
                parts.allSatisfy({ $0.type == first.type })
            else { return }
            let pieces = try parts.enumerated().map { index, part in
                try part.split(rows: Array(repeating: rows[index], count: repeats), names: nil)
            }
            let shape = first.shape.replacing(first.shape.rank - 2, with: rows.reduce(0, +))
            tensors.replace(
                apart,
                by: [
                    TensorData(
                        joining: (0..<repeats).flatMap { group in pieces.map { $0[group] } }, name: whole, shape: shape)
                ])
        }
    }
}

extension TensorData {
    /// Consecutive rows as tensors of their own.
    func split(rows counts: [Int], names: [String]?) throws -> [TensorData] {
        let rank = shape.rank == 1 ? 1 : shape.last
        let total = shape.count / rank
        guard counts.reduce(0, +) == total, bytes.count.isMultiple(of: total) else {
            throw ModelError(subject: name, reason: "has \(total) rows, not \(counts)")
        }
        let length = bytes.count / total
        var start = 0
        return counts.enumerated().map { index, count in
            defer { start += count }
            let range = start * length ..< (start + count) * length
            return TensorData(
                name: names?[index] ?? name, shape: shape.rank == 1 ? [count] : [count, shape.last], type: type,
                byteOrder: byteOrder,
                bytes: bytes.withBytes { source in
                    TensorBytes(count: range.count) {
                        $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
                    }
                })
        }
    }

    /// Tensors of one type, one after the other.
    init(joining parts: [TensorData], name: String, shape: Shape) {
        let count = parts.reduce(0) { $0 + $1.bytes.count }
        self.init(
            name: name, shape: shape, type: parts.first?.type ?? .f32, byteOrder: parts.first?.byteOrder ?? .little,
            bytes: TensorBytes(count: count) { target in
                var offset = 0
                for part in parts {
                    part.bytes.withBytes { source in
                        UnsafeMutableRawBufferPointer(rebasing: target[offset ..< offset + source.count])
                            .copyMemory(from: source)
                        offset += source.count
                    }
                }
            })
    }
}
