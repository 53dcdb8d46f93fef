import ModelGraph

/// What each op becomes.
extension Lowering {
    mutating func lower(_ node: Node) throws(Refusal) {
        if let reason = Self.refusal(node, in: graph) { throw Refusal(reason: "\(node.op.name): \(reason)") }
        let operands = node.operands
        let shapes = operands.map { graph.values[$0].shape }
        let shape = graph.values[node.result].shape
        let count = shape.count

        func read(_ operand: Int) throws(Refusal) -> Dispatch.Binding { .read(try placed(operands[operand])) }
        func result() throws(Refusal) -> Dispatch.Binding { .write(try placed(node.result)) }

        switch node.op {
        case .rows:
            check(node, operands[1], .count(shapes[0][0]))
            elementwise(
                .rows, constants: Dispatch.Constant.format(binding: 0),
                [.read(try table(operands[0])), try read(1), try result()], count,
                [shapes[0].count / max(shapes[0][0], 1)])

        case .matmul:
            let k = shapes[1][1], n = shapes[1][0], m = shapes[0].rows
            product(
                x: try read(0), weight: .read(try table(operands[1])), experts: nil, y: try result(),
                Product(m: m, n: n, k: k, xRow: k, yRow: n, weightRow: k, weightColumn: 1))
        case .expertMatmul:
            check(node, operands[2], .count(shapes[1][0]))
            let k = shapes[1][2], n = shapes[1][1], used = shapes[2][1]
            product(
                x: try read(0), weight: .read(try table(operands[1])), experts: try read(2), y: try result(),
                Product(
                    m: shapes[2][0] * used, n: n, k: k, xRow: k, xShare: shapes[0][1] == 1 ? used : 1, yRow: n,
                    weightBatch: n * k, weightRow: k, weightColumn: 1))
        case .headMatmul:
            let heads = shapes[1][0], n = shapes[1][1], k = shapes[1][2]
            product(
                x: try read(0), weight: .read(try table(operands[1])), experts: nil, y: try result(),
                Product(
                    batches: heads, m: shapes[0][0], n: n, k: k, xRow: heads * k, xBatch: k, yRow: heads * n,
                    yBatch: n, weightBatch: n * k, weightRow: k, weightColumn: 1))
        case .pool:
            // The tokens are the weight, transposed.
            let n = shapes[0][1], k = shapes[0][0]
            product(
                x: try read(1), weight: try read(0), experts: nil, y: try result(),
                Product(m: shapes[1][0], n: n, k: k, xRow: k, yRow: n, weightRow: 1, weightColumn: n))

        case .unary(let function):
            if let number = Self.number(function) { try unary(node, number) }
        case .affine(let scale, let bias):
            try unary(node, 8, scale, bias)
        case .clamp(let lower, let upper):
            try unary(node, 9, lower, upper)
        case .softcap(let cap):
            try unary(node, 10, cap)
        case .xielu(let function):
            elementwise(
                .xielu, [try read(0), try result()], count,
                reals: [function.positive, function.negative, function.beta, function.epsilon])
        case .binary(let function):
            try binary(node, Self.number(function))
        case .gated(.swiglu):
            try binary(node, 4)
        case .gated(.geglu):
            try binary(node, 5)
        case .gated(.clampedSwiGLU(let alpha, let limit)):
            try binary(node, 6, alpha, limit)

        case .reshape, .load: break
        // These are refused.
        case .groupNorm, .topBlocks, .spread, .permute, .crossEntropy, .crossEntropyAdjoint, .scatterRows,
            .scatterProducts, .attentionWeights, .normAdjoint, .groupNormAdjoint, .ropeFactorsAdjoint,
            .relativePositionBiasAdjoint, .neighbours, .recurrenceAdjoint:
            break
        case .slice(let axis, let start, _):
            copy(
                from: try read(0), strides: shapes[0].strides, fromOffset: start * shapes[0].strides[axis],
                to: try result(), strides: shape.strides, shape)
        case .concatenate(let axis):
            var start = 0
            for (operand, part) in shapes.enumerated() {
                copy(
                    from: try read(operand), strides: part.strides, to: try result(), strides: shape.strides,
                    toOffset: start * shape.strides[axis], part)
                start += part[axis]
            }
        case .broadcast:
            copy(
                from: try read(0), strides: shapes[0].strides(filling: shape), to: try result(),
                strides: shape.strides, shape)

        case .sum(let axis):
            elementwise(
                .sum, [try read(0), try result()], count,
                [shapes[0][axis], shapes[0].strides[axis]])
        case .norm(let norm, let epsilon, let weight, let bias):
            rowwise(
                .norm, constants: [.value(Self.number(norm)), .flag(weight), .flag(bias)],
                [
                    try read(0), try read(weight ? 1 : 0), try read(bias ? (weight ? 2 : 1) : 0), try result(),
                ],
                rows: shape.rows, [shape.rows, shape.last], reals: [epsilon])
        case .softmax:
            rowwise(
                .softmax, [try read(0), try result()], rows: shape.rows, [shape.rows, shape.last])

        case .rope(let rope, _):
            elementwise(
                .rope, constants: [.flag(rope.pairing == .neox)],
                [try read(0), try table(for: node), try result()], count,
                [shape[1], shape[2], rope.offset, rope.dimensions])
        case .mask(let mask):
            let (kind, extent): (UInt32, Int) =
                switch mask.window {
                case .unlimited: (0, 0)
                case .sliding(let n): (1, n)
                case .chunked(let n): (2, n)
                case .symmetric(let n): (3, n)
                }
            elementwise(
                .mask, constants: [.flag(mask.causal), .value(kind)],
                [try read(0), try read(1), try read(2), try read(3), try result()], count,
                [shape[1], extent])
        case .alibi:
            elementwise(
                .alibi, [try table(for: node), try read(0), try read(1), try result()], count,
                [shape[1], shape[2]])
        case .relativePositionBias(let bidirectional, _):
            elementwise(
                .relativeBias, constants: [.flag(bidirectional)],
                [try read(0), try table(for: node), try read(1), try read(2), try result()], count,
                [shape[0], shape[1], shape[2], shapes[0][0] / (bidirectional ? 2 : 1)])
        case .attention(let attention):
            lower(
                attention, shapes, queries: try read(0), keys: try read(1), values: try read(2),
                mask: try read(3), bias: attention.bias ? try read(4) : nil,
                sinks: attention.sinks ? try read(operands.count - 1) : nil, result: try result())
        case .attentionTemperature, .constant, .windowPosition, .replace:
            copy(
                from: try table(for: node), strides: shape.strides, to: try result(), strides: shape.strides, shape)

        case .indexScores:
            elementwise(
                .indexScores, [try read(0), try read(1), try read(2), try read(3), try result()], count,
                [shape[1], shapes[0][1], shapes[0][2]])
        case .topCells(let limit):
            elementwise(.topCells, [try read(0), try result()], shape[0], [shape[1], min(limit, shape[1])])

        case .topExperts(let routing):
            elementwise(
                .topExperts, [try read(0), try result()], shape[0],
                [shapes[0][1], routing.used, routing.groups, routing.groupsUsed, routing.groupBest])
        case .takeExperts:
            check(node, operands[1], .count(shapes[0][1]))
            elementwise(
                .takeExperts, [try read(0), try read(1), try result()], count,
                [shapes[0][1], shapes[1][1]])
        case .expertGroups(let size):
            elementwise(.expertGroups, [try read(0), try result()], count, [size])

        case .store(let state, _):
            check(node, operands[1], .rows(of: state))
            elementwise(
                .store, constants: [.isHalf(state)], [try read(0), try read(1), .write(.state(state))], shapes[0].count,
                [graph.states[state].row.count])
        case .convolution(let state):
            check(node, operands[2], .rows(of: state))
            elementwise(
                .convolution, [try read(0), try read(1), try read(2), .readWrite(.state(state)), try result()],
                shape[1], [shape[0], shapes[1][1]])
        case .tokenShift(let state):
            check(node, operands[1], .rows(of: state))
            elementwise(
                .tokenShift, [try read(0), try read(1), .readWrite(.state(state)), try result()], shape[1],
                [shape[0]])
        case .selectiveScan(let state):
            check(node, operands[5], .rows(of: state))
            elementwise(
                .selectiveScan, constants: [.flag(shapes[2][1] != 1)],
                [
                    try read(0), try read(1), try read(2), try read(3), try read(4), try read(5),
                    .readWrite(.state(state)), try result(),
                ],
                shape[1] * shape[2], [shape[0], shape[1], shape[2], shapes[3][1], shapes[3][2]])
        case .gatedDeltaRule(let state, let scale):
            check(node, operands[5], .rows(of: state))
            elementwise(
                .gatedDeltaRule, constants: [.flag(shapes[3][2] != 1)],
                [
                    try read(0), try read(1), try read(2), try read(3), try read(4), try read(5),
                    .readWrite(.state(state)), try result(),
                ],
                shape[1] * shape[2],
                [shape[0], shape[1], shapes[0][1], shape[2]], reals: [scale])
        case .linearAttention(let state, let scale, let bonus):
            check(node, operands[operands.count - 1], .rows(of: state))
            elementwise(
                .linearAttention, constants: [.flag(shapes[3][2] != 1), .flag(bonus)],
                [
                    try read(0), try read(1), try read(2), try read(3), try read(bonus ? 4 : 3),
                    try read(operands.count - 1), .readWrite(.state(state)), try result(),
                ],
                shape[1] * shape[2], [shape[0], shape[1], shape[2]], reals: [scale])
        case .wkv7(let state):
            check(node, operands[6], .rows(of: state))
            elementwise(
                .wkv7,
                [
                    try read(0), try read(1), try read(2), try read(3), try read(4), try read(5), try read(6),
                    .readWrite(.state(state)), try result(),
                ],
                shape[1] * shape[2], [shape[0], shape[2]])
        }

        if case .store(let state, let cells) = node.op { need(cells, of: state) }
        if case .load(let state, let cells) = node.op { need(cells, of: state) }
    }

    private mutating func unary(_ node: Node, _ function: UInt32, _ a: Double = 0, _ b: Double = 0) throws(Refusal) {
        elementwise(
            .unary, constants: [.value(function)],
            [.read(try placed(node.operands[0])), .write(try placed(node.result))],
            graph.values[node.result].shape.count, reals: [a, b])
    }

    private mutating func binary(
        _ node: Node, _ function: UInt32, _ alpha: Double = 0, _ limit: Double = 0
    ) throws(Refusal) {
        let shape = graph.values[node.result].shape, other = graph.values[node.operands[1]].shape
        guard let walk = Walk(shape, strides: [other.strides(filling: shape)]) else {
            throw Refusal(reason: "binary: too many dimensions")
        }
        elementwise(
            .binary, constants: [.value(function), .flag(shape.count == other.count)],
            [
                .read(try placed(node.operands[0])), .read(try placed(node.operands[1])),
                .write(try placed(node.result)),
            ],
            shape.count, walk.extents + walk.strides[0], reals: [alpha, limit])
    }

    private mutating func copy(
        from source: Dispatch.Binding, strides fromStrides: [Int], fromOffset: Int = 0,
        to target: Dispatch.Binding, strides toStrides: [Int], toOffset: Int = 0, _ shape: Shape
    ) {
        // A box in dense memory always joins to fewer dimensions than a walk has; broadcasts were checked.
        guard let walk = Walk(shape, strides: [fromStrides, toStrides]) else { return }
        elementwise(
            .copy, [source, target], shape.count,
            [fromOffset, toOffset] + walk.extents + walk.strides.flatMap { $0 })
    }

    // MARK: Numbers that the shaders know

    /// Nil where no shader knows it.
    static func number(_ function: Unary) -> UInt32? {
        switch function {
        case .silu: 0
        case .gelu: 1
        case .relu: 2
        case .squaredReLU: 3
        case .sigmoid: 4
        case .tanh: 5
        case .exp: 6
        case .softplus: 7
        case .geluErf: 11
        case .rootOfSoftplus: 12
        case .erf, .step: nil
        }
    }

    private static func number(_ function: Binary) -> UInt32 {
        switch function {
        case .add: 0
        case .subtract: 1
        case .multiply: 2
        case .divide: 3
        }
    }

    private static func number(_ norm: Norm) -> UInt32 {
        switch norm {
        case .layer: 0
        case .rms: 1
        case .l2: 2
        case .unit: 3
        }
    }
}
