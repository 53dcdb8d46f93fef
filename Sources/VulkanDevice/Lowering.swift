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
    let planStart, scratchStart: Int
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
    static let alignment = BufferPlan.alignment * 4

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
    func table(_ value: ValueID) throws(Refusal) -> Dispatch.Place {
        if case .weight(let index) = graph.values[value].source { return .weight(index) }
        return try placed(value)
    }

    func placed(_ value: ValueID) throws(Refusal) -> Dispatch.Place {
        guard let place = place(value) else { throw Refusal(reason: "value \(value) lies nowhere") }
        return place
    }

    static func table(of node: Node, in graph: Graph) -> HostTable? {
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
        case .constant(let numbers):
            return .numbers(numbers)
        case .windowPosition(let length, let part):
            return .windowPositions(length: length, part, positions: operands[0])
        case .replace(let table):
            return .replacements(table, indices: operands[0])
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
        case .unary(let function):
            if number(function) == nil { return "no shader for \(function.rawValue)" }
        case .groupNorm, .topBlocks, .spread, .permute, .crossEntropy, .crossEntropyAdjoint, .scatterRows,
            .scatterProducts, .attentionWeights, .normAdjoint, .groupNormAdjoint, .ropeFactorsAdjoint,
            .relativePositionBiasAdjoint, .neighbours, .recurrenceAdjoint:
            return "no shader"
        default: break
        }
        return nil
    }

    mutating func need(_ rows: Int, of state: StateID) {
        stateRows[state] = max(stateRows[state] ?? 0, rows)
    }

    mutating func check(_ node: Node, _ value: ValueID, _ bound: IndexCheck.Bound) {
        indexChecks.append(IndexCheck(op: node.op.name, value: value, bound: bound))
    }

    func table(for node: Node) throws(Refusal) -> Dispatch.Binding {
        guard let table = Self.table(of: node, in: graph), let place = tablePlaces[table] else {
            throw Refusal(reason: "\(node.op.name): no table")
        }
        return .read(place)
    }

    // MARK: Shapes of dispatches

    /// As `GROUP` of `common.glsl`.
    static let group = 64

    /// An invocation for each of `count` things, which is the shader's first push constant.
    mutating func elementwise(
        _ shader: Shader, constants: [Dispatch.Constant] = [], _ bindings: [Dispatch.Binding], _ count: Int,
        _ integers: [Int] = [], reals: [Double] = []
    ) {
        append(
            shader, constants, bindings, [count] + integers, reals,
            groups: (count + Self.group - 1) / Self.group)
    }

    /// A workgroup for each row.
    mutating func rowwise(
        _ shader: Shader, constants: [Dispatch.Constant] = [], _ bindings: [Dispatch.Binding], rows: Int,
        _ integers: [Int], reals: [Double] = []
    ) {
        append(shader, constants, bindings, integers, reals, groups: rows)
    }

    /// Push constants are integers, then reals. Integers wrap as a shader's do; `init` has seen to it that no
    /// extent is that large.
    mutating func append(
        _ shader: Shader, _ constants: [Dispatch.Constant], _ bindings: [Dispatch.Binding], _ integers: [Int],
        _ reals: [Double], groups: Int
    ) {
        let push = integers.map { UInt32(truncatingIfNeeded: $0) } + reals.map { Float($0).bitPattern }
        dispatches.append(
            Dispatch(shader: shader, constants: constants, bindings: bindings, push: push, groups: groups))
    }
}
