import CVulkan
import Devices
import ModelGraph

/// A segment as one command buffer, recorded again only when weights or states are others than before.
///
/// The arena holds, in this order: the host's tables, the inputs, and everything between. Tables and
/// inputs go up before each run in one copy, outputs come down after it.
final class VulkanExecutable: Executable {
    private let context: Context
    private let segment: Segment
    private let lowering: Lowering
    private let arena: Region
    /// Where the host writes tables and inputs: the arena itself where the host sees it.
    private let upload: Region
    private let uploadBytes: Int
    /// Where the host reads outputs, and at which bytes; nil where it sees device memory.
    private let download: Region?
    private let downloadOffsets: [Int]
    private let weightsUsed: Set<Int>
    private let statesUsed: Set<StateID>

    private let commands: OpaquePointer
    /// What the recording binds; kept alive with it.
    private var bound: (weights: [VulkanTensor?], states: [VulkanState?])?

    init(context: Context, segment: Segment) throws {
        self.context = context
        self.segment = segment
        do {
            lowering = try Lowering(segment)
        } catch {
            throw context.error(error.reason)
        }
        arena = try context.deviceMemory.allocate(bytes: max(lowering.arenaBytes, 4))

        var uploadBytes = lowering.tables.map { $0.offset + $0.table.count(in: segment.graph) * 4 }.max() ?? 0
        for input in segment.inputs {
            guard case .arena(let start, let bytes)? = lowering.place(input) else { continue }
            uploadBytes = max(uploadBytes, start + bytes)
        }
        self.uploadBytes = uploadBytes
        upload = arena.address == nil ? try context.hostMemory.allocate(bytes: max(uploadBytes, 4)) : arena

        var downloadBytes = 0
        var offsets: [Int] = []
        for output in segment.outputs {
            offsets.append(downloadBytes)
            downloadBytes += segment.graph.values[output].shape.count * 4
        }
        downloadOffsets = offsets
        download = arena.address == nil ? try context.hostMemory.allocate(bytes: max(downloadBytes, 4)) : nil

        let places = lowering.dispatches.flatMap { $0.bindings.map(\.place) }
            + segment.outputs.compactMap { [lowering] in lowering.place($0) }
        var weights: Set<Int> = []
        var states: Set<StateID> = Set(lowering.stateRows.keys)
        for place in places {
            switch place {
            case .weight(let index), .floats(let index): weights.insert(index)
            case .state(let id): states.insert(id)
            case .arena: break
            }
        }
        for case (.rotation(_, _, let factors?), _) in lowering.tables { weights.insert(factors) }
        weightsUsed = weights
        statesUsed = states
        commands = try context.takeCommands()
    }

    deinit { context.giveBack(commands) }

    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor]
    ) throws -> [HostTensor] {
        let graph = segment.graph
        let weights = try select(weightsUsed, of: graph.weights.count, from: weights, as: VulkanTensor.self, "weight")
        let states = try select(statesUsed, of: graph.states.count, from: states, as: VulkanState.self, "state")
        for (id, rows) in lowering.stateRows {
            guard let state = states[id], state.rows >= rows else {
                throw context.error("reads \(rows) rows of \(segment.graph.states[id].name), which has fewer")
            }
        }
        try fill(inputs, weights: weights, states: states)
        try record(weights: weights, states: states)
        try context.finishWrites()
        try context.check(vulkan_commands_run(commands))
        return try segment.outputs.indices.map { try output($0, weights: weights, states: states) }
    }

    // MARK: Before

    private func select<Kept: AnyObject>(
        _ used: Set<Int>, of count: Int, from given: [AnyObject?], as type: Kept.Type, _ what: String
    ) throws -> [Kept?] {
        try (0..<count).map { index in
            guard used.contains(index) else { return nil }
            guard given.indices.contains(index), let kept = given[index] as? Kept else {
                throw context.error("\(what) \(index) is missing or of another device")
            }
            return kept
        }
    }

    /// Checks indices and writes inputs and tables where the host writes.
    private func fill(_ inputs: [HostTensor], weights: [VulkanTensor?], states: [VulkanState?]) throws {
        let graph = segment.graph
        guard inputs.count == segment.inputs.count else {
            throw context.error("\(inputs.count) inputs for a segment of \(segment.inputs.count)")
        }
        let bytes = try context.hostBytes(upload, at: 0, count: uploadBytes)
        var indices: [ValueID: [Int32]] = [:]
        for (id, tensor) in zip(segment.inputs, inputs) {
            let info = graph.values[id]
            guard tensor.count == info.shape.count else {
                throw context.error("an input of \(tensor.count) elements for \(info.shape)")
            }
            guard case .arena(let start, let size)? = lowering.place(id) else { continue }
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + size])
            switch info.element {
            case .real:
                tensor.floats.withUnsafeBytes { target.copyMemory(from: $0) }
            case .index:
                guard let elements = tensor.indices else { throw context.error("an input of reals for indices") }
                indices[id] = elements
                elements.withUnsafeBytes { target.copyMemory(from: $0) }
            }
        }

        let host = HostIndices(graph: graph, inputs: indices)
        for check in lowering.indexChecks { try verify(check, host, states) }
        for (table, offset) in lowering.tables {
            let elements = try table.elements(
                in: graph,
                positions: { value in
                    guard case .exactly(let positions)? = host.known(value) else {
                        throw context.error("positions that are computed on the device are not supported")
                    }
                    return positions
                },
                factors: { index in
                    guard let factors = try weights[index]?.hostFloats() else {
                        throw context.error("weight \(index) is missing")
                    }
                    return factors
                })
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + elements.count * 4])
            elements.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    private func verify(_ check: Lowering.IndexCheck, _ host: HostIndices, _ states: [VulkanState?]) throws {
        let limit =
            switch check.bound {
            case .count(let count): count
            case .rows(let id): states[id]?.rows ?? 0
            }
        switch host.known(check.value) {
        case .exactly(let elements):
            if let wrong = elements.first(where: { $0 < 0 || Int($0) >= limit }) {
                throw context.error("\(check.op): index \(wrong) is outside 0 ..< \(limit)")
            }
        case .below(let bound):
            if bound > limit { throw context.error("\(check.op): indices below \(bound) for \(limit) rows") }
        case nil:
            throw context.error("\(check.op): indices that cannot be checked")
        }
    }

    // MARK: Recording

    private func record(weights: [VulkanTensor?], states: [VulkanState?]) throws {
        if let bound, same(bound.weights, weights), same(bound.states, states) { return }
        bound = nil
        try context.check(vulkan_commands_begin(commands))
        if arena.address == nil, uploadBytes > 0 {
            vulkan_commands_copy(commands, upload.range(0, uploadBytes), arena.range(0, uploadBytes))
            vulkan_commands_barrier(commands)
        }

        var hazards = Hazards()
        for dispatch in lowering.dispatches where dispatch.groups > 0 {
            let ranges = try dispatch.bindings.map { try range($0.place, weights, states) }
            if hazards.add(zip(dispatch.bindings, ranges).map { ($0.access, $1) }) {
                vulkan_commands_barrier(commands)
            }
            let constants = dispatch.constants.map { constant(of: $0, dispatch, weights, states) }
            let pipeline = try context.pipeline(dispatch.shader, bindings: ranges.count, constants: constants)
            let (x, y) = try fold(dispatch.groups)
            try context.check(
                vulkan_commands_dispatch(
                    commands, pipeline, ranges, UInt32(ranges.count), dispatch.push, UInt32(dispatch.push.count),
                    x, y))
        }

        if let download {
            vulkan_commands_barrier(commands)
            for (output, offset) in zip(segment.outputs, downloadOffsets) {
                guard let place = lowering.place(output) else { continue }
                let bytes = segment.graph.values[output].shape.count * 4
                guard bytes > 0 else { continue }
                var source = try range(place, weights, states)
                source.bytes = UInt64(bytes)
                vulkan_commands_copy(commands, source, download.range(offset, bytes))
            }
        }
        try context.check(vulkan_commands_end(commands))
        bound = (weights, states)
    }

    private func same<Kept: AnyObject>(_ a: [Kept?], _ b: [Kept?]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0 === $1 }
    }

    private func range(
        _ place: Dispatch.Place, _ weights: [VulkanTensor?], _ states: [VulkanState?]
    ) throws -> VulkanRange {
        let range: VulkanRange? =
            switch place {
            case .arena(let offset, let bytes): arena.range(offset, max(bytes, 4))
            case .weight(let index): weights[index]?.range
            case .floats(let index): try weights[index]?.floatRange()
            case .state(let id): states[id]?.range
            }
        guard let range else { throw context.error("a weight or state is missing") }
        guard range.bytes <= UInt64(context.limits.bindingBytes) else {
            throw context.error(
                "a value of \(range.bytes) bytes exceeds the \(context.limits.bindingBytes) bytes of a binding")
        }
        return range
    }

    private func constant(
        of constant: Dispatch.Constant, _ dispatch: Dispatch, _ weights: [VulkanTensor?], _ states: [VulkanState?]
    ) -> UInt32 {
        switch constant {
        case .value(let value): return value
        case .isHalf(let id): return states[id]?.isHalf == true ? 1 : 0
        case .format(let property, let binding):
            guard case .weight(let index) = dispatch.bindings[binding].place, let tensor = weights[index] else {
                return WeightFormat.float32[property]
            }
            return tensor.format[property]
        }
    }

    /// More workgroups than one dimension may have, in two.
    private func fold(_ groups: Int) throws -> (UInt32, UInt32) {
        let x = min(groups, context.limits.groupsX)
        let y = (groups + x - 1) / x
        guard y <= context.limits.groupsY else { throw context.error("\(groups) workgroups are too many") }
        return (UInt32(x), UInt32(y))
    }

    // MARK: After

    private func output(_ index: Int, weights: [VulkanTensor?], states: [VulkanState?]) throws -> HostTensor {
        let value = segment.outputs[index]
        let info = segment.graph.values[value]
        let bytes: UnsafeRawBufferPointer
        if let download {
            bytes = UnsafeRawBufferPointer(
                try context.hostBytes(download, at: downloadOffsets[index], count: info.shape.count * 4))
        } else {
            guard let place = lowering.place(value) else { throw context.error("output \(index) is not computed") }
            bytes = try mapped(place, count: info.shape.count * 4, weights, states)
        }
        return switch info.element {
        case .real: .float(Array(bytes.bindMemory(to: Float.self)))
        case .index: .index(Array(bytes.bindMemory(to: Int32.self)))
        }
    }

    private func mapped(
        _ place: Dispatch.Place, count: Int, _ weights: [VulkanTensor?], _ states: [VulkanState?]
    ) throws -> UnsafeRawBufferPointer {
        let (region, offset): (Region?, Int) =
            switch place {
            case .arena(let offset, _): (arena, offset)
            case .weight(let index), .floats(let index): (try weights[index]?.floatRegion(), 0)
            case .state(let id): (states[id]?.region, 0)
            }
        guard let region else { throw context.error("an output is missing") }
        return UnsafeRawBufferPointer(try context.hostBytes(region, at: offset, count: count))
    }
}

/// Which dispatches must wait for those before them: what has been read and written since the last
/// barrier.
private struct Hazards {
    private struct Span {
        var memory: OpaquePointer
        var bytes: Range<UInt64>
        func meets(_ other: Span) -> Bool { memory == other.memory && bytes.overlaps(other.bytes) }
    }
    private var reads: [Span] = []
    private var writes: [Span] = []

    /// - Returns: whether a barrier is needed before the dispatch of these bindings.
    mutating func add(_ bindings: [(access: Dispatch.Access, range: VulkanRange)]) -> Bool {
        let spans = bindings.map { binding in
            let range = binding.range
            return (binding.access, Span(memory: range.memory, bytes: range.offset..<range.offset + range.bytes))
        }
        let mustWait = spans.contains { access, span in
            writes.contains { $0.meets(span) } || (access != .read && reads.contains { $0.meets(span) })
        }
        if mustWait {
            reads = []
            writes = []
        }
        for (access, span) in spans {
            if access != .write { reads.append(span) }
            if access != .read { writes.append(span) }
        }
        return mustWait
    }
}
