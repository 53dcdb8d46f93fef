import Foundation

/// A node whose result the loss depends on.
struct AdjointCall {
    let builder: GraphBuilder
    let op: Op
    let operands: [Value]
    let result: Value
    /// What the loss changes by with each element of the result.
    let cotangent: Value
    /// Whether the gradient with respect to each operand is wanted.
    let depends: [Bool]
    let layer: Int?

    /// What an op gives that other ops stand for: what these give.
    /// - Parameter expression: the op's result in terms of others.
    func expanded(_ expression: ([Value]) -> Value) throws -> [Value?] {
        let first = builder.nodeCount
        let value = expression(operands)
        return try pulledBack([(value, cotangent)], from: first)
    }

    /// What values that were made of the operands give to these.
    /// - Parameter first: the first node that made the values.
    func pulledBack(_ seeds: [(value: Value, cotangent: Value)], from first: Int) throws -> [Value?] {
        let wanted = zip(operands, depends).filter(\.1).map(\.0.id)
        var gradients = try builder.pullBack(seeds, to: wanted, from: first)
        // An operand that is there twice is given all at once.
        return operands.map { gradients.removeValue(forKey: $0.id) }
    }

    /// - Throws: always.
    func none() throws -> [Value?] {
        guard depends.contains(true) else { return operands.map { _ in nil } }
        throw GraphError(op: op.name, layer: layer, reason: "no gradient of \(op.name)")
    }
}

extension Op {
    /// What the loss changes by with each operand, where the cotangent says what it changes by with the result: nil for
    /// operands with which the result does not change, or changes in steps only. The one declaration of each
    /// derivative.
    /// - Throws: `GraphError` where none is declared.
    func adjoints(_ call: AdjointCall) throws -> [Value?] {
        let (x, y, d, g) = (call.operands, call.result, call.cotangent, call.builder)
        switch self {
        // MARK: Tables and products with weights
        case .rows: return [g.apply(.scatterRows(count: x[0].shape[0]), d, x[1]), nil]
        case .matmul:
            let rows = x[0].reshaped([x[0].shape.rows, x[0].shape.last])
            let given = d.reshaped([d.shape.rows, d.shape.last])
            return [
                given.matmul(x[1].permuted(1, 0)).reshaped(x[0].shape),
                given.permuted(1, 0).matmul(rows.permuted(1, 0)),
            ]
        case .expertMatmul:
            let (experts, used) = (x[2], x[2].shape[1])
            let rows = g.apply(.expertMatmul, d, x[1].permuted(0, 2, 1), experts)
            let all = x[0].broadcast([d.shape[0], used, x[0].shape[2]])
            let products = g.apply(
                .scatterProducts(count: x[1].shape[0]), d.joinedRows, all.joinedRows,
                experts.reshaped([experts.shape.count]))
            return [rows.reduced(to: x[0].shape), products, nil]
        case .headMatmul:
            return [
                g.apply(.headMatmul, d, x[1].permuted(0, 2, 1)),
                g.apply(.headMatmul, d.permuted(2, 1, 0), x[0].permuted(1, 2, 0)).permuted(1, 0, 2),
            ]

        // MARK: Elementwise and shape
        case .unary(let function): return [function.derivative(x[0], y).map { d * $0 }]
        case .binary(.add): return [d, d.reduced(to: x[1].shape)]
        case .binary(.subtract): return [d, (-d).reduced(to: x[1].shape)]
        case .binary(.multiply): return [d * x[1], (d * x[0]).reduced(to: x[1].shape)]
        case .binary(.divide): return [d / x[1], (-(d * y / x[1])).reduced(to: x[1].shape)]
        case .affine(let scale, _): return [d * scale]
        case .clamp(let lower, let upper): return [d * x[0].isBetween(lower, upper)]
        case .softcap(let cap):
            let share = y * (1 / cap)
            return [d * (-(share * share) + 1)]
        case .xielu(let function):
            let isPositive = x[0](.step)
            let power = x[0].clamped(-.infinity, function.epsilon)(.exp) * x[0].isBetween(-.infinity, function.epsilon)
            let (above, below) = (x[0] * (2 * function.positive), power * function.negative + -function.negative)
            return [d * (isPositive * above + (-isPositive + 1) * below + function.beta)]
        case .gated(let activation): return try call.expanded { activation.expression(gate: $0[0], up: $0[1]) }
        case .reshape: return [d.reshaped(x[0].shape)]
        case .slice(let axis, let start, let count):
            let rest = x[0].shape[axis] - start - count
            let before = start > 0 ? [g.zeros(x[0].shape.replacing(axis, with: start))] : []
            let after = rest > 0 ? [g.zeros(x[0].shape.replacing(axis, with: rest))] : []
            return [g.apply(.concatenate(axis: axis), before + [d] + after)]
        case .concatenate(let axis):
            var start = 0
            return x.map { part in
                defer { start += part.shape[axis] }
                return d.slice(axis, start, part.shape[axis])
            }
        case .broadcast: return [d.reduced(to: x[0].shape)]
        case .permute(let axes):
            return [g.apply(.permute(axes: axes.indices.map { axis in axes.firstIndex(of: axis) ?? axis }), d)]
        case .constant: return []

        // MARK: Reductions and norms
        case .sum: return [d.broadcast(x[0].shape)]
        case .norm(let kind, let epsilon, let weight, let bias):
            let scaled = weight ? d * x[1] : d
            var given: [Value?] = [g.apply(.normAdjoint(kind, epsilon: epsilon), x[0], scaled)]
            if weight { given.append((d * x[0].norm(kind, epsilon)).reduced(to: x[1].shape)) }
            if bias { given.append(d.reduced(to: x[x.count - 1].shape)) }
            return given
        case .groupNorm(let groups, let epsilon):
            return [g.apply(.groupNormAdjoint(groups: groups, epsilon: epsilon), x[0], x[1], d), nil]
        case .softmax: return [(d - (d * y).sum(d.shape.rank - 1)) * y]

        // MARK: Positions and attention
        case .rope(var rope, let factors):
            let turned = factors ? g.apply(.ropeFactorsAdjoint(rope), y, d, x[1], x[2]) : nil
            rope.isReversed.toggle()
            let back = g.apply(.rope(rope, factors: factors), [d] + x.dropFirst())
            return [back, nil] + (factors ? [turned] : [])
        case .relativePositionBias(let bidirectional, let maxDistance):
            let adjoint = Op.relativePositionBiasAdjoint(
                buckets: x[0].shape[0], bidirectional: bidirectional, maxDistance: maxDistance)
            return [g.apply(adjoint, d, x[1], x[2]), nil, nil]
        case .attention(let attention): return try call.expanded { attention.expression($0) }
        case .attentionWeights(let sinks):
            let mean = (d * y).sum(2)
            let scores = (d - mean) * y
            // What a token does not give to its cells, it gives to the sink.
            let sink = sinks ? ((y.sum(2) + -1) * mean).sum(0).reshaped(x[2].shape) : nil
            return [scores, scores.sum(1).reshaped(x[1].shape)] + (sinks ? [sink] : [])
        case .indexScores: return try call.expanded { Self.indexScores($0) }
        case .mask, .alibi, .attentionTemperature, .topCells, .topBlocks, .windowPosition, .replace, .neighbours:
            return x.map { _ in nil }

        // MARK: Routing
        case .takeExperts:
            let count = x[0].shape[1]
            let chosen = g.identity(count, outside: 0, on: 1).rows(x[1])
            return [(d.inRows.broadcast(chosen.shape) * chosen).sum(1).reshaped(x[0].shape), nil]
        case .topExperts, .expertGroups: return x.map { _ in nil }

        // MARK: State
        case .store: return [d.rows(x[1]), nil]
        case .load: return []
        case .convolution:
            let (slots, taps) = (x[2], x[1].shape[1])
            let columns = (0..<taps).map { x[1].slice(1, $0, 1).reshaped([x[1].shape[0]]) }
            let given = columns.enumerated().map { tap, weights in d.moved(by: tap - taps + 1, slots) * weights }
            let kernel = (0..<taps).map { tap in
                (d * x[0].moved(by: taps - 1 - tap, slots)).sum(0).reshaped([x[1].shape[0], 1])
            }
            return [given.dropFirst().reduce(given[0]) { $0 + $1 }, g.apply(.concatenate(axis: 1), kernel), nil]
        case .tokenShift: return [d.moved(by: -1, x[1]), nil]
        case .selectiveScan:
            let first = g.nodeCount
            let (heads, steps) = (x[0].shape[1], x[1](.softplus).inRows)
            let (b, c) = (x[3].repeatedHeads(heads), x[4].repeatedHeads(heads))
            let (decay, none) = ((steps.broadcast(b.shape) * x[2])(.exp), g.zeros(b.shape))
            let recurrence = Recurrence(r: c, w: decay, k: b, v: x[0] * steps, a: none, b: none)
            return try call.pulledBack(recurrence.adjoints(d, slots: x[5]), from: first)
        case .gatedDeltaRule(_, let scale):
            let first = g.nodeCount
            let heads = x[2].shape[1], rates = x[4].inRows
            let (q, k, w) = (x[0].repeatedHeads(heads), x[1].repeatedHeads(heads), x[3](.exp).broadcast(x[2].shape))
            let recurrence = Recurrence(r: q * scale, w: w, k: k, v: x[2] * rates, a: k * w, b: -(k * rates))
            return try call.pulledBack(recurrence.adjoints(d, slots: x[5]), from: first)
        case .linearAttention(_, let scale, let bonus):
            let first = g.nodeCount
            let (q, k, v, none) = (x[0] * scale, x[1], x[2], g.zeros(x[0].shape))
            let recurrence = Recurrence(
                r: q, w: x[3](.exp).broadcast(x[0].shape), k: k, v: v, a: none, b: none, readsBefore: bonus)
            // The token's own product.
            let own = bonus ? [(value: v * (q * k * x[4]).sum(2), cotangent: d)] : []
            return try call.pulledBack(own + recurrence.adjoints(d, slots: x[x.count - 1]), from: first)
        case .wkv7:
            let recurrence = Recurrence(r: x[0], w: x[1], k: x[2], v: x[3], a: x[4], b: x[5])
            return recurrence.adjoints(d, slots: x[6]).map(\.cotangent) + [nil]

        // MARK: Output
        case .spread(let columns):
            // A row for each column of `x`: 1 at its place.
            let ones = g.identity(x[1].shape[0], outside: -.infinity, on: 0)
            let places = g.apply(.spread(columns: columns), ones, x[1])(.exp)
            return [d.matmul(places), nil]
        case .pool: return [g.apply(.pool, d, x[1].permuted(1, 0)), d.matmul(x[0])]

        // MARK: Loss and derivatives
        case .crossEntropy: return [g.apply(.crossEntropyAdjoint, x[0], x[1], d), nil]
        case .scatterRows: return [d.rows(x[1]), nil]
        case .crossEntropyAdjoint, .scatterProducts, .normAdjoint, .groupNormAdjoint, .ropeFactorsAdjoint,
            .relativePositionBiasAdjoint, .recurrenceAdjoint:
            return try call.none()
        }
    }

    /// `indexScores` in terms of others.
    private static func indexScores(_ x: [Value]) -> Value {
        let (queries, keys, weights, mask) = (x[0], x[1], x[2], x[3])
        let products = queries.matmul(keys.reshaped([keys.shape[0], keys.shape[2]]))(.relu)
        // Where the mask is −∞, so is the score, whatever the products are.
        let isSeen = (mask + -leastLogit)(.step)
        return (products * weights.inRows).sum(1).reshaped(mask.shape) * isSeen + mask
    }
}

extension Unary {
    /// The derivative at `x`, where the function is `y`; nil where it is 0 everywhere.
    fileprivate func derivative(_ x: Value, _ y: Value) -> Value? {
        switch self {
        case .silu:
            let share = x(.sigmoid)
            return share * (x * (-share + 1) + 1)
        case .gelu:
            // With t = tanh(c (x + 0.044715 x³)): (1 + t) / 2 + x / 2 · (1 − t²) · c (1 + 3 · 0.044715 x²).
            let (c, square) = ((2 / Double.pi).squareRoot(), x * x)
            let t = (x * (square * (0.044715 * c) + c))(.tanh)
            return (t + x * ((-(t * t) + 1) * (square * (3 * 0.044715 * c) + c)) + 1) * 0.5
        case .geluErf:
            let density = (x * x * -0.5)(.exp) * (1 / (2 * Double.pi).squareRoot())
            return (x * 0.5.squareRoot())(.erf) * 0.5 + x * density + 0.5
        case .relu: return x(.step)
        case .squaredReLU: return x(.relu) * 2
        case .sigmoid: return y * (-y + 1)
        case .tanh: return -(y * y) + 1
        // Beyond float32's numbers, what gives nothing gives no infinity times nothing either.
        case .exp: return y.clamped(-.infinity, Double(Float.greatestFiniteMagnitude))
        case .softplus: return x(.sigmoid)
        case .rootOfSoftplus: return x(.sigmoid) / y * 0.5
        case .erf: return (-(x * x))(.exp) * (2 / Double.pi.squareRoot())
        case .step: return nil
        }
    }
}

extension GatedActivation {
    /// The activation in terms of other ops.
    fileprivate func expression(gate: Value, up: Value) -> Value {
        switch self {
        case .swiglu: gate(.silu) * up
        case .geglu: gate(.gelu) * up
        case .clampedSwiGLU(let alpha, let limit):
            gate.clamped(-.infinity, limit) * (gate.clamped(-.infinity, limit) * alpha)(.sigmoid)
                * (up.clamped(-limit, limit) + 1)
        }
    }
}

extension Attention {
    /// The attention in terms of other ops. `R` query heads read one key head.
    fileprivate func expression(_ x: [Value]) -> Value {
        let (queries, mask, g) = (x[0], x[3], x[0].builder)
        let (tokens, heads, groups) = (queries.shape[0], queries.shape[1], x[1].shape[1])
        let ratio = heads / groups
        /// `[T, H, …] → [T · R, G, …]`
        func grouped(_ x: Value) -> Value {
            x.reshaped([tokens, groups, ratio, x.shape[2]]).permuted(0, 2, 1, 3)
                .reshaped([tokens * ratio, groups, x.shape[2]])
        }
        /// `[T · R, G, …] → [T, H, …]`
        func ungrouped(_ x: Value) -> Value {
            x.reshaped([tokens, ratio, groups, x.shape[2]]).permuted(0, 2, 1, 3).reshaped([tokens, heads, x.shape[2]])
        }
        var scores = ungrouped(g.apply(.headMatmul, grouped(queries), x[1].permuted(1, 0, 2))) * scale
        if let softcap { scores = scores.softcapped(softcap) }
        if bias { scores = scores + x[4].permuted(1, 0, 2) }
        let weights = g.apply(.attentionWeights(sinks: sinks), [scores, mask] + (sinks ? [x[x.count - 1]] : []))
        let values = x[2].slice(2, 0, valueSize).permuted(1, 2, 0)
        return ungrouped(g.apply(.headMatmul, grouped(weights), values))
    }
}

/// What `Op.recurrenceAdjoint` differentiates.
private struct Recurrence {
    var r, w, k, v, a, b: Value
    var readsBefore = false

    /// What each operand is given, in the order of `Op.wkv7`.
    func adjoints(_ d: Value, slots: Value) -> [(value: Value, cotangent: Value)] {
        let all = d.builder.apply(.recurrenceAdjoint(readsBefore: readsBefore), r, w, k, v, a, b, d, slots)
        let (size, values) = (r.shape[2], v.shape[2])
        func part(_ index: Int) -> Value { all.columns(index * size, size) }
        return [
            (r, part(0)), (w, part(1)), (k, part(2)), (v, all.columns(5 * size, values)), (a, part(3)), (b, part(4)),
        ]
    }
}

extension GraphBuilder {
    fileprivate func zeros(_ shape: Shape) -> Value {
        applyShared(.broadcast(shape), applyShared(.constant([0])))
    }

    /// `[n, n]`
    fileprivate func identity(_ count: Int, outside: Double, on diagonal: Double) -> Value {
        let numbers = (0..<count * count).map { $0 % (count + 1) == 0 ? diagonal : outside }
        return applyShared(.constant(numbers)).reshaped([count, count])
    }
}

extension Value {
    /// Summed over what was repeated to fill this shape: the adjoint of `broadcast`.
    fileprivate func reduced(to target: Shape) -> Value {
        var sum = self
        let missing = shape.rank - target.rank
        for axis in 0..<shape.rank where shape[axis] > 1 && (axis < missing || target[axis - missing] == 1) {
            sum = sum.sum(axis)
        }
        return sum.reshaped(target)
    }

    /// Each element a row.
    fileprivate var inRows: Value { reshaped(Shape(shape.dimensions + [1])) }

    /// The first two dimensions as one.
    fileprivate var joinedRows: Value { reshaped([shape[0] * shape[1], shape[2]]) }

    /// 1 where an element is between the bounds, else 0.
    fileprivate func isBetween(_ lower: Double, _ upper: Double) -> Value {
        let above = lower == -.infinity ? nil : (self + -lower)(.step)
        let below = upper == .infinity ? nil : (-self + upper)(.step)
        return switch (above, below) {
        case (let above?, let below?): above * below
        case (let one?, nil), (nil, let one?): one
        case (nil, nil): builder.applyShared(.constant([1]))
        }
    }

    /// So many rows: the first ones, and zeros after them.
    func resized(to count: Int) -> Value {
        let rows = shape[0]
        if count <= rows { return count < rows ? slice(0, 0, count) : self }
        return builder.apply(.concatenate(axis: 0), self, builder.zeros(shape.replacing(0, with: count - rows)))
    }

    /// Each token's row of the token that comes `distance` before it in its sequence; zeros where there is none.
    fileprivate func moved(by distance: Int, _ slots: Value) -> Value {
        if distance == 0 { return self }
        return resized(to: shape[0] + 1).rows(builder.applyShared(.neighbours(distance: distance), slots))
    }

    /// `[T, G, N] → [T, H, N]`: head `h` has what group `h / (H / G)` has.
    fileprivate func repeatedHeads(_ heads: Int) -> Value {
        let ratio = heads / shape[1]
        guard ratio > 1 else { return self }
        return reshaped([shape[0], shape[1], 1, shape[2]]).broadcast([shape[0], shape[1], ratio, shape[2]])
            .reshaped([shape[0], heads, shape[2]])
    }
}
