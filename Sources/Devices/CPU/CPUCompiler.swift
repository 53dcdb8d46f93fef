import CKernels
import ModelGraph

/// Turns nodes into steps: everything that does not depend on the values is worked out here.
struct CPUCompiler {
    let graph: Graph
    let plan: BufferPlan
    let kernels: CPUKernels
    let threads: Int
    private(set) var steps: [CPUStep] = []
    private(set) var usedWeights: Set<Int> = []
    /// Weights that some op reads as floats.
    private(set) var floatWeights: Set<Int> = []
    /// The rows that each state must have at least.
    private(set) var stateRows: [StateID: Int] = [:]
    /// Rotations that have a table, and where it is.
    private var ropeTables: [RopeTable: Int] = [:]
    /// Elements of all tables.
    private(set) var tableSize = 0
    /// The product with a weight that is the last step so far; nil if that is another op.
    private(set) var lastProduct: CPUProduct?
    /// Elements that the neediest step needs while it runs.
    private(set) var temporarySize = 0

    init(segment: Segment, plan: BufferPlan, device: CPUDevice) {
        graph = segment.graph
        self.plan = plan
        kernels = device.kernels.functions
        threads = device.threads
    }

    mutating func add(_ node: Node) throws {
        let operands = node.operands
        let y = node.result
        for operand in operands {
            guard let place = plan[operand] else {
                throw CPUDevice.error("\(node.op.name): nothing gives value \(operand)")
            }
            if case .weight(let index) = place { usedWeights.insert(index) }
        }

        switch node.op {
        case .rows: rows(operands[0], operands[1], y)
        case .matmul: matmul(operands[0], operands[1], y)
        case .expertMatmul: expertMatmul(operands[0], operands[1], operands[2], y)
        case .headMatmul: headMatmul(operands[0], operands[1], y)

        case .unary(let function): unary(function, floats(operands[0]), y)
        case .binary(let operation):
            try binary(operation, floats(operands[0]), floats(operands[1]), y)
        case .affine(let scale, let bias):
            let (x, count, kernel) = (floats(operands[0]), count(y), kernels.affine)
            step { kernel($0[x], $0[y], count, Float(scale), Float(bias)) }
        case .clamp(let lower, let upper):
            let (x, count, kernel) = (floats(operands[0]), count(y), kernels.clamp)
            step { kernel($0[x], $0[y], count, Float(lower), Float(upper)) }
        case .softcap(let cap):
            let (x, count, kernel) = (floats(operands[0]), count(y), kernels.softcap)
            step { kernel($0[x], $0[y], count, Float(cap)) }
        case .xielu(let function):
            let (x, count, kernel) = (floats(operands[0]), count(y), kernels.xielu)
            let parameters = CPUXIELU(
                positive: Float(function.positive), negative: Float(function.negative), beta: Float(function.beta),
                epsilon: Float(function.epsilon))
            step { kernel($0[x], $0[y], count, parameters) }
        case .gated(let activation): gated(activation, floats(operands[0]), floats(operands[1]), y)
        case .reshape: floats(operands[0])
        case .slice(let axis, let start, _): slice(axis, start, floats(operands[0]), y)
        case .concatenate(let axis): concatenate(axis, operands.map { floats($0) }, y)
        case .broadcast: try broadcast(floats(operands[0]), y)
        case .constant(let numbers):
            let numbers = numbers.map { Float($0) }
            step { $0[y].update(from: numbers, count: numbers.count) }

        case .sum(let axis):
            let shape = shape(operands[0])
            let (outer, inner) = (shape.count(before: axis), shape.count(after: axis))
            let (x, kernel) = (floats(operands[0]), kernels.sum)
            step { kernel($0[x], $0[y], outer, shape[axis], inner) }
        case .norm(let kind, let epsilon, let weight, let bias):
            norm(
                kind, epsilon, floats(operands[0]), weight: weight ? floats(operands[1]) : nil,
                bias: bias ? floats(operands[operands.count - 1]) : nil, y)
        case .groupNorm(let groups, let epsilon): groupNorm(groups, epsilon, floats(operands[0]), operands[1], y)
        case .softmax:
            let (x, shape, kernel) = (floats(operands[0]), shape(y), kernels.softmax)
            step { kernel($0[x], $0[y], shape.rows, shape.last) }

        case .rope(let rope, let factors):
            self.rope(rope, floats(operands[0]), operands[1], factors: factors ? floats(operands[2]) : nil, y)
        case .mask(let mask): self.mask(mask, operands, y)
        case .alibi(let heads, let maxBias): alibi(heads, maxBias, operands[0], operands[1], y)
        case .relativePositionBias(let bidirectional, let maxDistance):
            relativePositionBias(bidirectional, maxDistance, floats(operands[0]), operands[1], operands[2], y)
        case .attention(let attention): self.attention(attention, operands.map { floats($0) }, y)
        case .attentionTemperature(let scale, let length, let offset):
            attentionTemperature(scale, length, offset, operands[0], y)

        case .indexScores: indexScores(operands.map { floats($0) }, y)
        case .topBlocks(let selection):
            topBlocks(selection, floats(operands[0]), mask: floats(operands[1]), operands[2], operands[3], y)
        case .windowPosition(let length, let part):
            let (positions, count) = (operands[0], shape(y)[0])
            step { run in
                for i in 0..<count {
                    run.indices(y)[i] = Int32(part.of(Int(run.indices(positions)[i]), length: length))
                }
            }
        case .replace(let table):
            let (indices, count) = (operands[0], shape(y)[0])
            step { run in
                for i in 0..<count { run.indices(y)[i] = Int32(table[Int(run.indices(indices)[i])]) }
            }
        case .topCells(let count):
            let (x, shape, kernel) = (floats(operands[0]), shape(y), kernels.top_cells)
            step { kernel($0[x], $0[y], shape[0], shape[1], count) }

        case .topExperts(let routing):
            let (x, shape, kernel) = (floats(operands[0]), shape(operands[0]), kernels.top_experts)
            step {
                kernel(
                    $0[x], $0.indices(y), shape[0], shape[1], routing.used, routing.groups, routing.groupsUsed,
                    routing.groupBest)
            }
        case .takeExperts: takeExperts(floats(operands[0]), operands[1], y)
        case .expertGroups(let size): expertGroups(size, operands[0], y)

        case .store(let id, let cells): store(id, cells, floats(operands[0]), operands[1])
        case .load(let id, let cells): require(id, rows: cells)
        case .convolution(let id): convolution(id, floats(operands[0]), floats(operands[1]), operands[2], y)
        case .tokenShift(let id): tokenShift(id, floats(operands[0]), operands[1], y)
        case .selectiveScan(let id): selectiveScan(id, operands[0..<5].map { floats($0) }, operands[5], y)
        case .gatedDeltaRule(let id, let scale): gatedDeltaRule(
            id, scale, operands[0..<5].map { floats($0) }, operands[5], y)
        case .linearAttention(let id, let scale, let bonus):
            linearAttention(
                id, scale, operands[0..<4].map { floats($0) }, bonus: bonus ? floats(operands[4]) : nil,
                operands[operands.count - 1], y)
        case .wkv7(let id): wkv7(id, operands[0..<6].map { floats($0) }, operands[6], y)

        case .spread: spread(floats(operands[0]), floats(operands[1]), y)
        case .pool:
            let (x, weights, tokens) = (floats(operands[0]), floats(operands[1]), shape(operands[0])[0])
            let (shape, kernel) = (shape(y), kernels.weighted_sum)
            step { kernel($0[weights], tokens, $0[x], shape[1], $0[y], shape[1], shape[0], shape[1], tokens) }

        case .permute(let axes): permute(axes, floats(operands[0]), y)
        case .crossEntropy: crossEntropy(floats(operands[0]), operands[1], y)
        case .crossEntropyAdjoint: crossEntropyAdjoint(floats(operands[0]), operands[1], floats(operands[2]), y)
        case .scatterRows(let count): scatterRows(count, floats(operands[0]), operands[1], y)
        case .scatterProducts(let count):
            scatterProducts(count, floats(operands[0]), floats(operands[1]), operands[2], y)
        case .attentionWeights(let sinks):
            let sinks = sinks ? floats(operands[2]) : nil
            attentionWeights(floats(operands[0]), mask: floats(operands[1]), sinks: sinks, y)
        case .normAdjoint(let kind, let epsilon):
            normAdjoint(kind, epsilon, floats(operands[0]), floats(operands[1]), y)
        case .groupNormAdjoint(let groups, let epsilon):
            groupNormAdjoint(groups, epsilon, floats(operands[0]), operands[1], floats(operands[2]), y)
        case .ropeFactorsAdjoint(let rope):
            ropeFactorsAdjoint(rope, floats(operands[0]), floats(operands[1]), operands[2], floats(operands[3]), y)
        case .relativePositionBiasAdjoint(let buckets, let bidirectional, let maxDistance):
            relativePositionBiasAdjoint(
                buckets, bidirectional, maxDistance, floats(operands[0]), operands[1], operands[2], y)
        case .neighbours(let distance): neighbours(distance, operands[0], y)
        case .recurrenceAdjoint(let readsBefore):
            recurrenceAdjoint(operands[0..<7].map { floats($0) }, slots: operands[7], readsBefore: readsBefore, y)
        }
    }

    mutating func addOutput(_ value: ValueID) throws {
        guard plan[value] != nil else { throw CPUDevice.error("nothing gives output \(value)") }
        floats(value)
    }

    // MARK: For the ops, in their own files

    mutating func step(_ step: @escaping CPUStep) {
        steps.append(step)
        lastProduct = nil
    }

    mutating func step(_ product: CPUProduct) {
        step { try product.columns($0, 0..<product.width) }
        lastProduct = product
    }

    func shape(_ value: ValueID) -> Shape { graph.values[value].shape }
    func count(_ value: ValueID) -> Int { graph.values[value].shape.count }

    /// Notes that the value is read as floats; a weight of another type is converted once for it.
    @discardableResult
    mutating func floats(_ value: ValueID) -> ValueID {
        if case .weight(let index)? = plan[value] { floatWeights.insert(index) }
        return value
    }

    func matrix(_ value: ValueID) -> CPUMatrixSource {
        if case .weight(let index)? = plan[value] { .weight(index) } else { .value(value) }
    }

    mutating func require(_ id: StateID, rows: Int) { stateRows[id] = max(stateRows[id] ?? 0, rows) }

    /// Makes sure that a step finds this many elements in `CPURun.scratch`.
    mutating func temporary(_ count: Int) { temporarySize = max(temporarySize, count) }

    /// The table's first element in `CPURun.tables`, and whether it has yet to be filled: the cosines of
    /// every token and pair, then the sines.
    mutating func table(_ key: RopeTable, count: Int) -> (offset: Int, isNew: Bool) {
        if let offset = ropeTables[key] { return (offset, false) }
        let offset = tableSize
        ropeTables[key] = offset
        tableSize += (count + BufferPlan.alignment - 1) / BufferPlan.alignment * BufferPlan.alignment
        return (offset, true)
    }
}

/// A product with a weight, some of whose columns can be had at a time.
struct CPUProduct {
    let result: ValueID
    let rows: Int
    let width: Int
    /// Computes `[rows, columns.count]` elements, which lie where all would.
    let columns: (CPURun, Range<Int>) throws -> Void
}

/// What the angles of a rotation depend on.
struct RopeTable: Hashable {
    /// Without pairing and offset, which have no part in them.
    var rope: Rope
    var positions: ValueID
    var factors: ValueID?

    init(_ rope: Rope, positions: ValueID, factors: ValueID?) {
        self.rope = rope
        self.rope.pairing = .normal
        self.rope.offset = 0
        self.positions = positions
        self.factors = factors
    }
}
