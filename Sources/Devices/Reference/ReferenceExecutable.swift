import ModelGraph

/// Walks the nodes of a segment in their order.
final class ReferenceExecutable: Executable {
    private static let memory = CPUArenaPool()

    private let segment: Segment
    private let device: ReferenceDevice
    private var graph: Graph { segment.graph }
    /// Where the segment's inputs and results begin in a run's memory, by `ValueID`: each has room of its own.
    private var places: [Int]
    private var size = 0

    init(_ segment: Segment, on device: ReferenceDevice) {
        self.segment = segment
        self.device = device
        places = Array(repeating: 0, count: segment.graph.values.count)
        for id in segment.inputs + segment.graph.nodes[segment.nodes].map(\.result) {
            places[id] = size
            // A multiple of a cache line.
            size += (segment.graph.values[id].shape.count + 7) / 8 * 8
        }
    }

    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor]
    ) throws -> [HostTensor] {
        // These keep the memory that the values point to.
        try withExtendedLifetime((weights, states)) {
            // The pool counts in units of four bytes.
            try Self.memory.withMemory(count: 2 * size) { memory in
                let room = UnsafeMutableRawPointer(memory).bindMemory(to: Double.self, capacity: size)
                var values = try weightValues(weights)
                try write(inputs, to: &values, in: room)
                try evaluate(&values, States(graph: graph, states: states.map { $0 as? ReferenceState }), in: room)
                return try segment.outputs.map { try read($0, from: values) }
            }
        }
    }

    private func weightValues(_ weights: [(any DeviceTensor)?]) throws -> [ReferenceValue?] {
        try graph.values.map { info in
            guard case .weight(let index) = info.source, weights.indices.contains(index), let weight = weights[index]
            else { return nil }
            guard let tensor = weight as? ReferenceTensor, tensor.value.shape == info.shape else {
                throw failure("\(graph.weights[index].name) is not \(info.shape) of this device")
            }
            return tensor.value
        }
    }

    private func write(_ inputs: [HostTensor], to values: inout [ReferenceValue?], in room: Doubles) throws {
        guard inputs.count == segment.inputs.count else {
            throw failure("\(inputs.count) inputs for a segment that has \(segment.inputs.count)")
        }
        for (id, input) in zip(segment.inputs, inputs) {
            let info = graph.values[id]
            guard input.count == info.shape.count, (input.indices != nil) == (info.element == .index) else {
                throw failure("an input of \(input.count) elements is not \(info.element.rawValue) \(info.shape)")
            }
            input.copy(to: room + places[id])
            values[id] = ReferenceValue(info.shape, room + places[id])
        }
    }

    private func evaluate(_ values: inout [ReferenceValue?], _ states: States, in room: Doubles) throws {
        let rounder = device.rounder()
        for node in graph.nodes[segment.nodes] {
            do {
                let operands = try node.operands.map { id in
                    guard let value = values[id] else { throw Missing(what: "operand \(id)") }
                    return value
                }
                let shape = graph.values[node.result].shape
                if case .reshape = node.op {
                    values[node.result] = ReferenceValue(shape, operands[0].elements)
                } else {
                    let y = room + places[node.result]
                    try evaluate(node, operands, states, y, rounder)
                    if node.op.isInexact {
                        rounder.result(
                            y, count: shape.count, of: node.op.function, mayUnderflow: node.op == .unary(.sigmoid))
                    }
                    values[node.result] = ReferenceValue(shape, y)
                }
            } catch {
                let layer = node.layer.map { "layer \($0): " } ?? ""
                throw failure("\(layer)\(node.op.name): \(error)")
            }
        }
    }

    private func evaluate(
        _ node: Node, _ x: [ReferenceValue], _ states: States, _ y: Doubles, _ rounder: Rounder
    ) throws {
        typealias Ops = ReferenceOps
        switch node.op {
        case .rows: try Ops.rows(x[0], x[1], y)
        case .matmul: Ops.matmul(x[0], x[1], y, rounder)
        case .expertMatmul: try Ops.expertMatmul(x[0], x[1], x[2], y, rounder)
        case .headMatmul: Ops.headMatmul(x[0], x[1], y, rounder)

        case .unary(let function): Ops.unary(function, x[0], y, rounder)
        case .binary(let function): Ops.binary(function, x[0], x[1], y)
        case .affine(let scale, let bias): Ops.affine(x[0], scale, bias, y)
        case .clamp(let lower, let upper): Ops.clamp(x[0], lower, upper, y)
        case .softcap(let cap): Ops.softcap(x[0], cap, y)
        case .xielu(let function): Ops.xielu(x[0], function, y)
        case .gated(let activation): Ops.gated(activation, x[0], x[1], y, rounder)
        // Only another shape: the elements stay where they are.
        case .reshape: break
        case .slice(let axis, let start, let count): Ops.slice(x[0], axis, start, count, y)
        case .concatenate(let axis): Ops.concatenate(x, axis, y)
        case .broadcast(let shape): Ops.broadcast(x[0], shape, y)
        case .constant(let numbers): for (i, number) in numbers.enumerated() { y[i] = number }

        case .sum(let axis): Ops.sum(x[0], axis, y, rounder)
        case .norm(let kind, let epsilon, let weight, let bias):
            Ops.norm(kind, epsilon, x[0], weight: weight ? x[1] : nil, bias: bias ? x[x.count - 1] : nil, y, rounder)
        case .groupNorm(let groups, let epsilon): try Ops.groupNorm(groups, epsilon, x[0], x[1], y, rounder)
        case .softmax: Ops.softmax(x[0], y, rounder)

        case .rope(let rope, let factors): Ops.rope(rope, x[0], x[1], factors: factors ? x[2] : nil, y, rounder)
        case .mask(let mask): try Ops.mask(mask, x[0], x[1], x[2], x[3], y)
        case .alibi(let heads, let maxBias): Ops.alibi(heads, maxBias, x[0], x[1], y)
        case .relativePositionBias(let bidirectional, let maxDistance):
            try Ops.relativePositionBias(bidirectional, maxDistance, x[0], x[1], x[2], y)
        case .attention(let attention):
            Ops.attention(
                attention, x[0], x[1], x[2], x[3], bias: attention.bias ? x[4] : nil,
                sinks: attention.sinks ? x[x.count - 1] : nil,
                cache: cache(of: node.operands[1]).flatMap { states.type(of: $0) }, y, rounder)
        case .attentionTemperature(let scale, let length, let offset):
            Ops.attentionTemperature(x[0], scale, length, offset, y)

        case .indexScores:
            Ops.indexScores(
                x[0], x[1], x[2], x[3], cache: cache(of: node.operands[1]).flatMap { states.type(of: $0) }, y, rounder)
        case .topCells(let count): try Ops.topCells(count, x[0], y, device.decisions)
        case .topBlocks(let selection):
            try Ops.topBlocks(selection, x[0], x[1], x[2], x[3], y, device.decisions)
        case .windowPosition(let length, let part):
            for i in 0..<x[0].count { y[i] = Double(part.of(Int(x[0][i]), length: length)) }
        case .replace(let table):
            for i in 0..<x[0].count { y[i] = Double(table[Int(x[0][i])]) }

        case .topExperts(let routing): try Ops.topExperts(routing, x[0], y, rounder, device.decisions)
        case .takeExperts: try Ops.takeExperts(x[0], x[1], y)
        case .expertGroups(let size): Ops.expertGroups(size, x[0], y)

        case .store(let id, let cells): try Ops.store(x[0], x[1], states[id], cells, y, rounder)
        case .load(let id, let cells): try Ops.load(states[id], cells, y)
        case .convolution(let id): try Ops.convolution(x[0], x[1], x[2], states[id], y)
        case .tokenShift(let id): try Ops.tokenShift(x[0], x[1], states[id], y)
        case .selectiveScan(let id):
            try Ops.selectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], states[id], y, rounder)
        case .gatedDeltaRule(let id, let scale):
            try Ops.gatedDeltaRule(x[0], x[1], x[2], x[3], x[4], x[5], scale, states[id], y, rounder)
        case .linearAttention(let id, let scale, let bonus):
            try Ops.linearAttention(
                x[0], x[1], x[2], x[3], bonus: bonus ? x[4] : nil, x[x.count - 1], scale, states[id], y, rounder)
        case .wkv7(let id): try Ops.wkv7(x[0], x[1], x[2], x[3], x[4], x[5], x[6], states[id], y, rounder)

        case .spread(let columns): try Ops.spread(x[0], x[1], columns, y)
        case .pool: Ops.pool(x[0], x[1], y, rounder)
        }
    }

    /// The state that keys come from, as they are or in another shape; nil: they were computed.
    /// Another device may have it.
    private func cache(of id: ValueID) -> StateID? {
        guard case .node(let index) = graph.values[id].source else { return nil }
        let node = graph.nodes[index]
        switch node.op {
        case .load(let state, _), .store(let state, _): return state
        case .reshape, .slice, .broadcast, .concatenate: return node.operands.lazy.compactMap(cache(of:)).first
        default: return nil
        }
    }

    private func read(_ id: ValueID, from values: [ReferenceValue?]) throws -> HostTensor {
        guard let value = values[id] else { throw failure("output \(id) is not computed") }
        let elements = UnsafeBufferPointer(start: value.elements, count: value.count)
        return graph.values[id].element == .index ? .index(elements.map { Int32($0) }) : .double(Array(elements))
    }

    private func failure(_ reason: String) -> DeviceError { DeviceError(device: ReferenceDevice.name, reason: reason) }

    private struct States {
        var graph: Graph
        var states: [ReferenceState?]

        subscript(_ id: StateID) -> ReferenceState {
            get throws {
                guard states.indices.contains(id), let state = states[id], state.row == graph.states[id].row else {
                    throw Missing(what: "state \(id)")
                }
                return state
            }
        }

        /// Nil: another device has it.
        func type(of id: StateID) -> StateType? { states.indices.contains(id) ? states[id]?.type : nil }
    }

    private struct Missing: Error, CustomStringConvertible {
        var what: String
        var description: String { "\(what) was not supplied" }
    }
}

extension Op {
    /// Whether the result is computed: what is only moved or chosen is exact on any device.
    fileprivate var isInexact: Bool {
        switch self {
        case .rows, .clamp, .reshape, .slice, .concatenate, .broadcast, .mask, .relativePositionBias, .windowPosition,
            .replace, .topCells, .topBlocks, .topExperts, .takeExperts, .expertGroups, .store, .load, .tokenShift,
            .spread, .unary(.relu):
            false
        case .matmul, .expertMatmul, .headMatmul, .unary, .binary, .affine, .softcap, .xielu, .gated, .sum, .norm,
            .groupNorm, .softmax, .rope, .alibi, .attention, .attentionTemperature, .constant, .indexScores,
            .convolution, .selectiveScan, .gatedDeltaRule, .linearAttention, .wkv7, .pool:
            true
        }
    }
}

extension Op {
    /// What it computes, where a device may be less exact than it stores.
    public var function: Precision.Function? {
        switch self {
        case .norm, .groupNorm: .norm
        case .rope: .rope
        case .unary(.silu), .gated(.swiglu), .gated(.clampedSwiGLU): .silu
        case .unary(.gelu), .unary(.geluErf), .gated(.geglu): .gelu
        default: nil
        }
    }
}
