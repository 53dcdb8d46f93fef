import ModelGraph

/// Walks the nodes of a segment in their order.
final class ReferenceExecutable: Executable {
    private let segment: Segment
    private let device: ReferenceDevice
    private var graph: Graph { segment.graph }

    init(_ segment: Segment, on device: ReferenceDevice) {
        self.segment = segment
        self.device = device
    }

    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor]
    ) throws -> [HostTensor] {
        var values = try weightValues(weights)
        guard inputs.count == segment.inputs.count else {
            throw failure("\(inputs.count) inputs for a segment that has \(segment.inputs.count)")
        }
        for (id, input) in zip(segment.inputs, inputs) {
            let info = graph.values[id]
            guard input.count == info.shape.count, (input.indices != nil) == (info.element == .index) else {
                throw failure("an input of \(input.count) elements is not \(info.element.rawValue) \(info.shape)")
            }
            values[id] = ReferenceValue(info.shape, input.doubles)
        }

        let states = states.map { $0 as? ReferenceState }
        let rounder = device.rounder()
        for node in graph.nodes[segment.nodes] {
            do {
                let operands = try node.operands.map { id in
                    guard let value = values[id] else { throw Missing(what: "operand \(id)") }
                    return value
                }
                var result = try evaluate(node.op, operands, States(states: states), rounder)
                if node.op.isInexact { rounder.round(&result) }
                values[node.result] = ReferenceValue(graph.values[node.result].shape, result)
            } catch {
                let layer = node.layer.map { "layer \($0): " } ?? ""
                throw failure("\(layer)\(node.op.name): \(error)")
            }
        }

        return try segment.outputs.map { id in
            guard let value = values[id] else { throw failure("output \(id) is not computed") }
            return graph.values[id].element == .index ? .index(value.elements.map { Int32($0) }) : .double(value.elements)
        }
    }

    private func evaluate(_ op: Op, _ x: [ReferenceValue], _ states: States, _ rounder: Rounder) throws -> [Double] {
        typealias Ops = ReferenceOps
        return switch op {
        case .rows: try Ops.rows(x[0], x[1])
        case .matmul: Ops.matmul(x[0], x[1])
        case .expertMatmul: try Ops.expertMatmul(x[0], x[1], x[2])
        case .headMatmul: Ops.headMatmul(x[0], x[1])

        case .unary(let function): Ops.unary(function, x[0])
        case .binary(let function): Ops.binary(function, x[0], x[1])
        case .affine(let scale, let bias): Ops.affine(x[0], scale, bias)
        case .clamp(let lower, let upper): Ops.clamp(x[0], lower, upper)
        case .softcap(let cap): Ops.softcap(x[0], cap)
        case .gated(let activation): Ops.gated(activation, x[0], x[1])
        case .reshape: x[0].elements
        case .slice(let axis, let start, let count): Ops.slice(x[0], axis, start, count)
        case .concatenate(let axis): Ops.concatenate(x, axis)
        case .broadcast(let shape): Ops.broadcast(x[0], shape)

        case .sum(let axis): Ops.sum(x[0], axis)
        case .norm(let kind, let epsilon, let weight, let bias):
            Ops.norm(kind, epsilon, x[0], weight: weight ? x[1] : nil, bias: bias ? x[x.count - 1] : nil)
        case .softmax: Ops.softmax(x[0])

        case .rope(let rope, let factors): try Ops.rope(rope, x[0], x[1], factors: factors ? x[2] : nil)
        case .mask(let mask): try Ops.mask(mask, x[0], x[1], x[2], x[3])
        case .alibi(let heads, let maxBias): try Ops.alibi(heads, maxBias, x[0], x[1])
        case .relativePositionBias(let bidirectional, let maxDistance):
            try Ops.relativePositionBias(bidirectional, maxDistance, x[0], x[1], x[2])
        case .attention(let attention):
            Ops.attention(
                attention, x[0], x[1], x[2], x[3], bias: attention.bias ? x[4] : nil,
                sinks: attention.sinks ? x[x.count - 1] : nil)
        case .attentionTemperature(let scale, let length, let offset):
            Ops.attentionTemperature(x[0], scale, length, offset)

        case .topExperts(let routing): Ops.topExperts(routing, x[0]) { device.note($0) }
        case .takeExperts: try Ops.takeExperts(x[0], x[1])

        case .store(let id, let cells): try Ops.store(x[0], x[1], states[id], cells, rounder)
        case .load(let id, let cells): try Ops.load(states[id], cells)
        case .convolution(let id): try Ops.convolution(x[0], x[1], x[2], states[id])
        case .tokenShift(let id): try Ops.tokenShift(x[0], x[1], states[id])
        case .selectiveScan(let id): try Ops.selectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], states[id])
        case .gatedDeltaRule(let id, let scale):
            try Ops.gatedDeltaRule(x[0], x[1], x[2], x[3], x[4], x[5], scale, states[id])
        case .wkv7(let id): try Ops.wkv7(x[0], x[1], x[2], x[3], x[4], x[5], x[6], states[id])

        case .pool: Ops.pool(x[0], x[1])
        }
    }

    private func weightValues(_ weights: [(any DeviceTensor)?]) throws -> [ReferenceValue?] {
        try graph.values.map { info in
            guard case .weight(let index) = info.source, weights.indices.contains(index), let weight = weights[index] else {
                return nil
            }
            guard let tensor = weight as? ReferenceTensor, tensor.value.shape == info.shape else {
                throw failure("\(graph.weights[index].name) is not \(info.shape) of this device")
            }
            return tensor.value
        }
    }

    private func failure(_ reason: String) -> DeviceError { DeviceError(device: ReferenceDevice.name, reason: reason) }

    private struct States {
        var states: [ReferenceState?]

        subscript(_ id: StateID) -> ReferenceState {
            get throws {
                guard states.indices.contains(id), let state = states[id] else { throw Missing(what: "state \(id)") }
                return state
            }
        }
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
        case .rows, .clamp, .reshape, .slice, .concatenate, .broadcast, .mask, .relativePositionBias, .topExperts,
            .takeExperts, .store, .load, .tokenShift, .unary(.relu):
            false
        case .matmul, .expertMatmul, .headMatmul, .unary, .binary, .affine, .softcap, .gated, .sum, .norm, .softmax,
            .rope, .alibi, .attention, .attentionTemperature, .convolution, .selectiveScan, .gatedDeltaRule, .wkv7,
            .pool:
            true
        }
    }
}
