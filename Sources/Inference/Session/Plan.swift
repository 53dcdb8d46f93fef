import Devices
import ModelGraph

/// A graph, ready to run: its segments, each compiled for its device.
struct Plan {
    let graph: Graph
    private var steps: [Step]

    private struct Step {
        var device: any Device
        var segment: Segment
        var executable: any Executable
        var weights: [(any DeviceTensor)?]
        var states: [(any DeviceState)?]
    }

    init(
        _ graph: Graph, _ assignment: Assignment, wanted: [Graph.Output], weights: LoadedWeights, states: StateStore
    ) throws {
        self.graph = graph
        steps = try assignment.segments(
            of: graph, wanted: wanted.compactMap { graph.outputs[$0] }
        ).map { device, segment in
            var step = Step(
                device: device, segment: segment, executable: try device.compile(segment),
                weights: Array(repeating: nil, count: graph.weights.count),
                states: Array(repeating: nil, count: graph.states.count))
            for node in graph.nodes[segment.nodes] {
                for operand in node.operands {
                    guard case .weight(let index) = graph.values[operand].source, step.weights[index] == nil else {
                        continue
                    }
                    step.weights[index] = try weights.tensor(graph.weights[index], on: device)
                }
                if let state = node.op.state { step.states[state] = states[graph.states[state].name]?.memory }
            }
            return step
        }
    }

    /// Takes weights anew, some of which have been replaced.
    mutating func reload(_ weights: LoadedWeights) throws {
        for step in steps.indices {
            for index in steps[step].weights.indices where steps[step].weights[index] != nil {
                steps[step].weights[index] = try weights.tensor(graph.weights[index], on: steps[step].device)
            }
        }
    }

    /// - Parameter inputs: at least those that the graph uses.
    /// - Returns: the wanted outputs that the graph has, with their shapes.
    func run(_ inputs: [Input: HostTensor], wanted: [Graph.Output]) throws -> [Graph.Output: (Shape, HostTensor)] {
        var values = try values(of: inputs)
        for step in steps { try run(step, &values) }
        var outputs: [Graph.Output: (Shape, HostTensor)] = [:]
        for output in wanted {
            if let id = graph.outputs[output], let tensor = values[id] {
                outputs[output] = (graph.values[id].shape, tensor)
            }
        }
        return outputs
    }

    /// - Parameters:
    ///   - inputs: at least those that the graph uses.
    ///   - output: one that the graph has, and the only one that was wanted.
    ///   - take: is given pieces of it, as `Executable.run` hands them over.
    func run(
        _ inputs: [Input: HostTensor], output: ValueID, take: (_ firstColumn: Int, HostTensor) -> Void
    ) throws {
        var values = try values(of: inputs)
        for step in steps.dropLast() { try run(step, &values) }
        guard let last = steps.last else { return }
        guard last.segment.outputs == [output] else {
            try run(last, &values)
            if let tensor = values[output] { take(0, tensor) }
            return
        }
        try last.executable.run(
            weights: last.weights, states: last.states, inputs: Self.operands(of: last, in: values), take: take)
    }

    private func values(of inputs: [Input: HostTensor]) throws -> [ValueID: HostTensor] {
        var values: [ValueID: HostTensor] = [:]
        for (input, id) in graph.inputs {
            guard let tensor = inputs[input] else {
                throw SessionError("the model's graph needs \(input.rawValue), which nothing supplies")
            }
            values[id] = tensor
        }
        return values
    }

    private func run(_ step: Step, _ values: inout [ValueID: HostTensor]) throws {
        let results = try step.executable.run(
            weights: step.weights, states: step.states, inputs: Self.operands(of: step, in: values))
        for (id, result) in zip(step.segment.outputs, results) { values[id] = result }
    }

    private static func operands(of step: Step, in values: [ValueID: HostTensor]) throws -> [HostTensor] {
        try step.segment.inputs.map { id in
            guard let tensor = values[id] else { throw SessionError("value \(id) is used before it is made") }
            return tensor
        }
    }
}

extension Graph {
    /// The number of rows in the tables that an input selects from: indices must be below it.
    func limit(of input: Input) -> Int? {
        guard let id = inputs[input] else { return nil }
        return nodes.lazy
            .filter { $0.op == .rows && $0.operands.last == id }
            .compactMap { values[$0.operands[0]].shape.dimensions.first }
            .min()
    }
}
