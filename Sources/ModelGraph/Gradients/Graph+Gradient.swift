/// Losses of a graph, and their derivatives, in reverse mode: for each op from the last to the first, what the loss
/// changes by with its operands, in terms of ops again (`Op.adjoints`).
///
/// Source: Griewank and Walther 2008, "Evaluating Derivatives", chapter 3.
extension Graph {
    /// What is differentiated.
    public enum Objective: Hashable, Sendable {
        /// The mean cross-entropy of the output's rows, of which `Input.targets` says what each is to predict: of the
        /// logits, or, of a graph that has none, of the embeddings as if they were logits.
        case crossEntropy
        /// The sum of the embeddings' elements times those of `Input.cotangent`: of an encoder, whose decoder says what
        /// its loss gives to them.
        case cotangent
    }

    /// The graph with the loss as its only output.
    /// - Throws: `GraphError` of a graph without an output.
    public func withLoss() throws -> Graph {
        let builder = GraphBuilder(continuing: self)
        let loss = try builder.crossEntropy(of: self)
        var result = try builder.finish()
        result.outputs = [.loss: loss.id]
        return result.pruned
    }

    /// The graph with the loss, and its gradient with respect to every weight that it depends on and to the encoder's
    /// output, as its only outputs. Weights are differentiated as they are decoded; choices (of experts, cells, blocks)
    /// are constant, and so is what caches and recurrent states hold at first: these must be empty, since some ops run
    /// again from there.
    /// - Throws: `GraphError` of a graph without an output, or of an op that has no derivative.
    public func differentiated(_ objective: Objective = .crossEntropy) throws -> Graph {
        let builder = GraphBuilder(continuing: self)
        let seed: (value: Value, cotangent: Value)
        switch objective {
        case .crossEntropy:
            seed = (try builder.crossEntropy(of: self), builder.apply(.constant([1])))
        case .cotangent:
            let output = try builder.output(of: self)
            seed = (output, builder.input(.cotangent, output.shape))
        }

        var targets: [Output: ValueID] = [:]
        for (id, info) in values.enumerated() {
            switch info.source {
            case .weight(let index) where weights[index].role != .places:
                targets[.gradient(weight: weights[index].name)] = id
            case .input(.encoderOutput): targets[.cotangent(.encoderOutput)] = id
            default: break
            }
        }
        let gradients = try builder.pullBack([seed], to: Array(targets.values), from: 0)
        var result = try builder.finish()
        result.outputs = objective == .crossEntropy ? [.loss: seed.value.id] : [:]
        for (output, id) in targets { result.outputs[output] = gradients[id]?.id }
        return result.pruned
    }

    /// Without the nodes on which no output depends, but for those that write states.
    var pruned: Graph {
        var isUsed = Array(repeating: false, count: values.count)
        for id in outputs.values { isUsed[id] = true }
        var kept: [Node] = []
        for node in nodes.reversed() where isUsed[node.result] || node.op.state != nil {
            for operand in node.operands { isUsed[operand] = true }
            kept.append(node)
        }
        var result = self
        result.nodes = kept.reversed()
        for (index, node) in result.nodes.enumerated() { result.values[node.result].source = .node(index) }
        result.inputs = inputs.filter { isUsed[$0.value] }
        return result
    }
}

extension GraphBuilder {
    /// `[R, …]`: the logits, or, where there are none, the embeddings.
    fileprivate func output(of graph: Graph) throws -> Value {
        guard let id = graph.outputs[.logits] ?? graph.outputs[.embeddings] else {
            throw GraphError(op: "crossEntropy", layer: nil, reason: "the graph has no output")
        }
        return existing(id)
    }

    fileprivate func crossEntropy(of graph: Graph) throws -> Value {
        let output = try output(of: graph)
        // A column of scores is one choice among all of them.
        let rows = output.shape.last == 1 ? 1 : output.shape.rows
        layer = nil
        return apply(.crossEntropy, output.reshaped([rows, output.shape.count / rows]), input(.targets, [rows]))
    }

    /// What values give to targets on which they depend, from what is given to the values.
    /// - Parameters:
    ///   - seeds: values, and what the loss changes by with each of their elements. A value may be there more than
    ///     once.
    ///   - targets: of which the gradient is wanted.
    ///   - first: the first node that is gone back through; all that make the values of targets come before it.
    /// - Returns: a gradient of the target's shape; none where no seed depends on it.
    /// - Throws: `GraphError` of an op that has no derivative.
    func pullBack(
        _ seeds: [(value: Value, cotangent: Value)], to targets: [ValueID], from first: Int
    ) throws -> [ValueID: Value] {
        let nodes = (first..<nodeCount).map { node($0) }
        // What is stored is loaded again.
        var stores: [StateID: ValueID] = [:]
        var loaded: [ValueID: ValueID] = [:]
        var depends = Set(targets)
        for node in nodes {
            if case .store(let state, _) = node.op { stores[state] = node.result }
            if case .load(let state, _) = node.op { loaded[node.result] = stores[state] }
            let operands = node.operands + [loaded[node.result]].compactMap { $0 }
            if element(of: node.result) == .real, operands.contains(where: depends.contains) {
                depends.insert(node.result)
            }
        }

        var cotangents: [ValueID: Value] = [:]
        func give(_ cotangent: Value, to id: ValueID) {
            guard depends.contains(id) else { return }
            cotangents[id] = cotangents[id].map { $0 + cotangent } ?? cotangent
        }
        let outerLayer = layer
        defer { layer = outerLayer }
        for (value, cotangent) in seeds { give(cotangent, to: value.id) }
        for node in nodes.reversed() {
            guard let cotangent = cotangents.removeValue(forKey: node.result) else { continue }
            layer = node.layer ?? outerLayer
            if let store = loaded[node.result] {
                give(cotangent.resized(to: existing(store).shape[0]), to: store)
                continue
            }
            let call = AdjointCall(
                builder: self, op: node.op, operands: node.operands.map(existing), result: existing(node.result),
                cotangent: cotangent, depends: node.operands.map(depends.contains), layer: node.layer)
            for (operand, given) in zip(node.operands, try node.op.adjoints(call)) {
                if let given { give(given, to: operand) }
            }
        }
        return cotangents.filter { targets.contains($0.key) }
    }
}
