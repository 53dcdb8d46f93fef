import CKernels
import ModelGraph

/// A segment as a list of steps, each a prepared call of a kernel.
final class CPUExecutable: Executable {
    private let segment: Segment
    private let device: CPUDevice
    private let plan: BufferPlan
    private let compiler: CPUCompiler

    init(_ segment: Segment, device: CPUDevice) throws {
        self.segment = segment
        self.device = device
        plan = BufferPlan(
            graph: segment.graph, nodes: segment.nodes, inputs: segment.inputs, outputs: segment.outputs)
        var compiler = CPUCompiler(segment: segment, plan: plan, device: device)
        for index in segment.nodes { try compiler.add(segment.graph.nodes[index]) }
        for output in segment.outputs { try compiler.addOutput(output) }
        self.compiler = compiler
    }

    /// Elements of a piece of an output: more do not make it faster.
    private static let pieceSize = 1 << 17

    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor]
    ) throws -> [HostTensor] {
        try withRun(weights, states, inputs) { run in
            for step in compiler.steps { try step(run) }
            return segment.outputs.map { read($0, from: run) }
        }
    }

    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor],
        take: (_ firstColumn: Int, HostTensor) -> Void
    ) throws {
        guard let product = compiler.lastProduct, segment.outputs == [product.result],
            product.rows * product.width > Self.pieceSize
        else {
            for output in try run(weights: weights, states: states, inputs: inputs) { take(0, output) }
            return
        }
        // Whole tiles of each thread.
        let columns = max(1, Self.pieceSize / product.rows / 128) * 128
        try withRun(weights, states, inputs) { run in
            for step in compiler.steps.dropLast() { try step(run) }
            for first in stride(from: 0, to: product.width, by: columns) {
                let some = first..<min(first + columns, product.width)
                try product.columns(run, some)
                let piece = UnsafeBufferPointer(start: run[product.result], count: product.rows * some.count)
                take(first, .float(Array(piece)))
            }
        }
    }

    private func withRun<Result>(
        _ weights: [(any DeviceTensor)?], _ states: [(any DeviceState)?], _ inputs: [HostTensor],
        _ body: (CPURun) throws -> Result
    ) throws -> Result {
        let graph = segment.graph
        let tensors = try self.tensors(weights)
        let states = try self.states(states)
        return try device.arenas.withMemory(
            count: plan.arenaSize + compiler.tableSize + compiler.temporarySize) { arena in
            let count = max(1, graph.values.count)
            return try withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>.self, capacity: count) { values in
                for value in graph.values.indices {
                    switch plan[value] {
                    case .arena(let offset): values.initializeElement(at: value, to: arena + offset)
                    case .weight(let index):
                        // Steps only read weights; those that read them encoded do not look here.
                        let floats = compiler.floatWeights.contains(index) ? tensors[index]?.floats : nil
                        values.initializeElement(
                            at: value, to: floats.map(UnsafeMutablePointer.init(mutating:)) ?? arena)
                    case .state(let id): values.initializeElement(at: value, to: states[id]?.memory ?? arena)
                    case nil: values.initializeElement(at: value, to: arena)
                    }
                }
                let run = CPURun(
                    values: UnsafePointer(values.baseAddress.unsafelyUnwrapped), tensors: tensors, states: states,
                    tables: arena + plan.arenaSize,
                    scratch: arena + plan.arenaSize + compiler.tableSize)
                try write(inputs, to: run)
                return try body(run)
            }
        }
    }

    private func tensors(_ weights: [(any DeviceTensor)?]) throws -> [CPUTensor?] {
        var tensors = [CPUTensor?](repeating: nil, count: segment.graph.weights.count)
        for index in compiler.usedWeights {
            let weight = segment.graph.weights[index]
            guard weights.indices.contains(index), let tensor = weights[index] as? CPUTensor else {
                throw CPUDevice.error("\(weight.name): not loaded")
            }
            guard tensor.shape == weight.shape else {
                throw CPUDevice.error("\(weight.name): \(tensor.shape) where \(weight.shape) is needed")
            }
            tensors[index] = tensor
        }
        return tensors
    }

    private func states(_ given: [(any DeviceState)?]) throws -> [CPUState?] {
        var states = [CPUState?](repeating: nil, count: segment.graph.states.count)
        for (id, rows) in compiler.stateRows {
            let declared = segment.graph.states[id]
            guard given.indices.contains(id), let state = given[id] as? CPUState else {
                throw CPUDevice.error("\(declared.name): not allocated")
            }
            guard state.rowCount == declared.row.count, state.rows >= rows else {
                throw CPUDevice.error(
                    "\(declared.name): \(state.rows) rows of \(state.rowCount) "
                        + "where \(rows) of \(declared.row) are needed")
            }
            states[id] = state
        }
        return states
    }

    private func write(_ inputs: [HostTensor], to run: CPURun) throws {
        guard inputs.count == segment.inputs.count else {
            throw CPUDevice.error("\(inputs.count) inputs where \(segment.inputs.count) are needed")
        }
        for (value, tensor) in zip(segment.inputs, inputs) {
            let info = segment.graph.values[value]
            guard tensor.count == info.shape.count else {
                throw CPUDevice.error("an input of \(tensor.count) elements for \(info.shape)")
            }
            switch (info.element, tensor) {
            case (.index, .index(let elements)): run.indices(value).update(from: elements, count: elements.count)
            case (.real, .float(let elements)): run[value].update(from: elements, count: elements.count)
            case (.real, .double): run[value].update(from: tensor.floats, count: tensor.count)
            default: throw CPUDevice.error("an input of the wrong element type for \(info.shape)")
            }
        }
    }

    private func read(_ value: ValueID, from run: CPURun) -> HostTensor {
        let info = segment.graph.values[value]
        let count = info.shape.count
        return switch info.element {
        case .real: .float(Array(UnsafeBufferPointer(start: run[value], count: count)))
        case .index: .index(Array(UnsafeBufferPointer(start: run.indices(value), count: count)))
        }
    }
}
