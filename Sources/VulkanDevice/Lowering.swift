import Devices
import ModelGraph

/// A segment as runs of shaders over an arena.
struct Lowering {
    /// An index that must lie below a bound, lest a shader read outside its table.
    struct IndexCheck {
        enum Bound {
            case count(Int)
            case rows(of: StateID)
        }
        var op: String
        var value: ValueID
        var bound: Bound
    }

    let graph: Graph
    private let plan: BufferPlan
    /// Bytes of the arena where the values begin, and where the scores of attention lie while it runs.
    private let planStart, scratchStart: Int
    private var tablePlaces: [HostTable: Dispatch.Place] = [:]

    /// Tables and the bytes of the arena where they begin: before all values.
    private(set) var tables: [(table: HostTable, offset: Int)] = []
    private(set) var dispatches: [Dispatch] = []
    private(set) var indexChecks: [IndexCheck] = []
    /// Rows of states that the segment reads.
    private(set) var stateRows: [StateID: Int] = [:]
    let arenaBytes: Int

    init(_ segment: Segment) throws(Refusal) {
        graph = segment.graph
        plan = BufferPlan(
            graph: graph, nodes: segment.nodes, inputs: segment.inputs, outputs: segment.outputs)
        let nodes = graph.nodes[segment.nodes]
        for node in nodes {
            for value in node.operands + [node.result] where graph.values[value].shape.count > Int(Int32.max) / 4 {
                throw Refusal(reason: "\(node.op.name): \(graph.values[value].shape) is too large for 32-bit offsets")
            }
        }

        var start = 0
        for node in nodes {
            guard let table = Self.table(of: node, in: graph), tablePlaces[table] == nil else { continue }
            let bytes = table.count(in: graph) * 4
            tablePlaces[table] = .arena(start, bytes: bytes)
            tables.append((table, start))
            start += (bytes + Self.alignment - 1) / Self.alignment * Self.alignment
        }
        planStart = start
        scratchStart = start + plan.arenaSize * 4
        var scratch = 0
        for node in nodes {
            guard case .attention = node.op else { continue }
            let shapes = node.operands.map { segment.graph.values[$0].shape }
            scratch = max(scratch, shapes[0][1] * Self.partTokens(shapes) * shapes[1][0] * 4)
        }
        arenaBytes = scratchStart + scratch
        for node in nodes { try lower(node) }
    }

    /// Why a node cannot be lowered.
    struct Refusal: Error { var reason: String }

    /// Bytes to which bindings are aligned.
    private static let alignment = BufferPlan.alignment * 4

    // MARK: Places

    /// Where a value lies, as float32 or index; nil for one that the segment does not know.
    func place(_ value: ValueID) -> Dispatch.Place? {
        let bytes = graph.values[value].shape.count * 4
        return switch plan[value] {
        case .arena(let element): .arena(planStart + element * 4, bytes: bytes)
        case .weight(let index): .floats(index)
        case .state(let state): .state(state)
        case nil: nil
        }
    }

    /// Where the table of a matrix product or look-up lies: a weight's own format if it has its own shape.
    private func table(_ value: ValueID) throws(Refusal) -> Dispatch.Place {
        if case .weight(let index) = graph.values[value].source { return .weight(index) }
        return try placed(value)
    }

    private func placed(_ value: ValueID) throws(Refusal) -> Dispatch.Place {
        guard let place = place(value) else { throw Refusal(reason: "value \(value) lies nowhere") }
        return place
    }

    private static func table(of node: Node, in graph: Graph) -> HostTable? {
        let operands = node.operands
        switch node.op {
        case .rope(let rope, let hasFactors):
            var factors: Int?
            if hasFactors, case .weight(let index) = graph.values[operands[2]].source { factors = index }
            return .rotation(rope, positions: operands[1], factors: factors)
        case .attentionTemperature(let scale, let length, let offset):
            return .temperature(scale: scale, length: length, offset: offset, positions: operands[0])
        case .alibi(let heads, let maxBias):
            return .alibiSlopes(heads: heads, maxBias: maxBias)
        case .relativePositionBias(let bidirectional, let maxDistance):
            let buckets = graph.values[operands[0]].shape[0] / (bidirectional ? 2 : 1)
            return .bucketDistances(buckets: buckets, maxDistance: maxDistance)
        default:
            return nil
        }
    }

    // MARK: What is refused

    /// Why a node cannot run whatever its weights' types, or nil.
    static func refusal(_ node: Node, in graph: Graph) -> String? {
        let operands = node.operands
        let shapes = operands.map { graph.values[$0].shape }
        let result = graph.values[node.result].shape
        switch node.op {
        case .binary:
            if Walk(result, strides: [shapes[1].strides(filling: result)]) == nil {
                return "broadcasts along more than \(Walk.rank) separate dimensions"
            }
        case .broadcast:
            if Walk(result, strides: [shapes[0].strides(filling: result), result.strides]) == nil {
                return "broadcasts along more than \(Walk.rank) separate dimensions"
            }
        case .rope(_, let factors):
            if factors, case .weight = graph.values[operands[2]].source {} else if factors {
                return "frequency factors that are no weight"
            }
        default: break
        }
        return nil
    }

    // MARK: Ops

    private mutating func lower(_ node: Node) throws(Refusal) {
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
                .rows, constants: [.format(binding: 0)],
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
            try unary(node, Self.number(function))
        case .affine(let scale, let bias):
            try unary(node, 8, scale, bias)
        case .clamp(let lower, let upper):
            try unary(node, 9, lower, upper)
        case .softcap(let cap):
            try unary(node, 10, cap)
        case .binary(let function):
            try binary(node, Self.number(function))
        case .gated(.swiglu):
            try binary(node, 4)
        case .gated(.geglu):
            try binary(node, 5)
        case .gated(.clampedSwiGLU(let alpha, let limit)):
            try binary(node, 6, alpha, limit)

        case .reshape, .load:
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
                .rope, constants: [.flag(rope.pairing == .neox)], [try read(0), try table(for: node), try result()], count,
                [shape[1], shape[2], rope.offset, rope.dimensions])
        case .mask(let mask):
            let (kind, extent): (UInt32, Int) =
                switch mask.window {
                case .unlimited: (0, 0)
                case .sliding(let n): (1, n)
                case .chunked(let n): (2, n)
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
        case .attentionTemperature:
            copy(
                from: try table(for: node), strides: shape.strides, to: try result(), strides: shape.strides, shape)

        case .topExperts(let routing):
            elementwise(
                .topExperts, [try read(0), try result()], shape[0],
                [shapes[0][1], routing.used, routing.groups, routing.groupsUsed])
        case .takeExperts:
            check(node, operands[1], .count(shapes[0][1]))
            elementwise(
                .takeExperts, [try read(0), try read(1), try result()], count,
                [shapes[0][1], shapes[1][1]])

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

    /// Scores, their softmax and the sums of values, for as many tokens at a time as the scratch memory
    /// holds.
    private mutating func lower(
        _ attention: Attention, _ shapes: [Shape], queries: Dispatch.Binding, keys: Dispatch.Binding,
        values: Dispatch.Binding, mask: Dispatch.Binding, bias: Dispatch.Binding?, sinks: Dispatch.Binding?,
        result: Dispatch.Binding
    ) {
        let (tokens, heads, keySize) = (shapes[0][0], shapes[0][1], shapes[0][2])
        let (cells, keyHeads, valueStride) = (shapes[1][0], shapes[1][1], shapes[2][2])
        let part = Self.partTokens(shapes)
        let scratch = Dispatch.Place.arena(scratchStart, bytes: heads * part * cells * 4)
        for first in stride(from: 0, to: tokens, by: part) {
            let count = min(part, tokens - first)
            product(
                x: queries, weight: keys, experts: nil, y: .write(scratch),
                Product(
                    batches: heads, m: count, n: cells, k: keySize, xFirst: first * heads * keySize,
                    xRow: heads * keySize, xBatch: keySize, yRow: cells, yBatch: count * cells,
                    weightBatch: keySize, weightShare: heads / keyHeads, weightRow: keyHeads * keySize,
                    weightColumn: 1))
            rowwise(
                .attention,
                constants: [.flag(attention.softcap != nil), .flag(bias != nil), .flag(sinks != nil)],
                [.readWrite(scratch), mask, bias ?? mask, sinks ?? mask], rows: heads * count,
                [heads * count, count, first, tokens, cells], reals: [attention.scale, attention.softcap ?? 1])
            product(
                x: .read(scratch), weight: values, experts: nil, y: result,
                Product(
                    batches: heads, m: count, n: attention.valueSize, k: cells, xRow: cells,
                    xBatch: count * cells, yFirst: first * heads * attention.valueSize,
                    yRow: heads * attention.valueSize, yBatch: attention.valueSize, weightBatch: valueStride,
                    weightShare: heads / keyHeads, weightRow: 1, weightColumn: keyHeads * valueStride,
                    skipsZeros: true))
        }
    }

    /// Bytes of scores that are kept at once, unless those of one token are more.
    private static let scratchBytes = 64 << 20

    private static func partTokens(_ shapes: [Shape]) -> Int {
        min(shapes[0][0], max(1, scratchBytes / max(shapes[0][1] * shapes[1][0] * 4, 1)))
    }

    private mutating func need(_ rows: Int, of state: StateID) {
        stateRows[state] = max(stateRows[state] ?? 0, rows)
    }

    private mutating func check(_ node: Node, _ value: ValueID, _ bound: IndexCheck.Bound) {
        indexChecks.append(IndexCheck(op: node.op.name, value: value, bound: bound))
    }

    private func table(for node: Node) throws(Refusal) -> Dispatch.Binding {
        guard let table = Self.table(of: node, in: graph), let place = tablePlaces[table] else {
            throw Refusal(reason: "\(node.op.name): no table")
        }
        return .read(place)
    }

    // MARK: Shapes of dispatches

    /// As `GROUP` of `common.glsl`.
    private static let group = 64

    /// An invocation for each of `count` things, which is the shader's first push constant.
    private mutating func elementwise(
        _ shader: Shader, constants: [Dispatch.Constant] = [], _ bindings: [Dispatch.Binding], _ count: Int,
        _ integers: [Int] = [], reals: [Double] = []
    ) {
        append(
            shader, constants, bindings, [count] + integers, reals,
            groups: (count + Self.group - 1) / Self.group)
    }

    /// A workgroup for each row.
    private mutating func rowwise(
        _ shader: Shader, constants: [Dispatch.Constant] = [], _ bindings: [Dispatch.Binding], rows: Int,
        _ integers: [Int], reals: [Double] = []
    ) {
        append(shader, constants, bindings, integers, reals, groups: rows)
    }

    /// Push constants are integers, then reals. Integers wrap as a shader's do; `init` has seen to it that no
    /// extent is that large.
    private mutating func append(
        _ shader: Shader, _ constants: [Dispatch.Constant], _ bindings: [Dispatch.Binding], _ integers: [Int],
        _ reals: [Double], groups: Int
    ) {
        let push = integers.map { UInt32(truncatingIfNeeded: $0) } + reals.map { Float($0).bitPattern }
        dispatches.append(
            Dispatch(shader: shader, constants: constants, bindings: bindings, push: push, groups: groups))
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

    /// The extents and strides of `matmul.comp`.
    private struct Product {
        var batches = 1
        var m, n, k: Int
        var xFirst = 0
        var xRow: Int
        var xBatch = 0
        var xShare = 1
        var yFirst = 0
        var yRow: Int
        var yBatch = 0
        var weightBatch = 0
        var weightShare = 1
        var weightRow, weightColumn: Int
        var skipsZeros = false
    }

    private mutating func product(
        x: Dispatch.Binding, weight: Dispatch.Binding, experts: Dispatch.Binding?, y: Dispatch.Binding,
        _ product: Product
    ) {
        // Few rows, or a matrix for each: a tile of one row, else of 8 or 32, by 64.
        let isFlat = experts != nil || product.m < 6
        let (rows, columns, height) = isFlat ? (1, 1, 1) : product.m < 24 ? (1, 8, 8) : (4, 8, 8)
        let tilesM = (product.m + height * rows - 1) / (height * rows)
        let width = Self.group / height * columns
        let tilesN = (product.n + width - 1) / width
        let groups = tilesM * tilesN * product.batches
        let tile = [rows, columns, height].map { Dispatch.Constant.value(UInt32($0)) }
        append(
            .matmul, [.format(binding: 1), .flag(experts != nil)] + tile + [.flag(product.skipsZeros)], [x, weight, experts ?? x, y],
            [
                groups, tilesM, tilesN, product.m, product.n, product.k,
                product.xFirst, product.xRow, product.xBatch, product.xShare,
                product.yFirst, product.yRow, product.yBatch,
                product.weightBatch, product.weightShare, product.weightRow, product.weightColumn,
            ], [], groups: groups)
    }

    // MARK: Numbers that the shaders know

    private static func number(_ function: Unary) -> UInt32 {
        switch function {
        case .silu: 0
        case .gelu: 1
        case .relu: 2
        case .squaredReLU: 3
        case .sigmoid: 4
        case .tanh: 5
        case .exp: 6
        case .softplus: 7
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
