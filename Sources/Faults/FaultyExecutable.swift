import Devices
import ModelGraph

/// A segment in parts: the nodes that a fault has a hand in run one by one, what lies between as it would.
/// Values cross from part to part on the host.
final class FaultyExecutable: Executable {
    private let segment: Segment
    private var parts: [Part] = []
    private let device: any Device
    private let counter: RunCounter

    private struct Part {
        var segment: Segment
        var executable: any Executable
        /// Nil where nothing is wrong.
        var intervention: Intervention?
    }

    private final class Intervention {
        /// The node as it runs, each of its operands a value of its own.
        let site: Site
        /// The values that these operands are given.
        let sources: [ValueID]
        let act: (inout Call) throws -> Void
        var first: [Elements]?
        var weights: [Int: Elements] = [:]

        init(site: Site, sources: [ValueID], act: @escaping (inout Call) throws -> Void) {
            self.site = site
            self.sources = sources
            self.act = act
        }
    }

    /// - Parameter change: what becomes of each node.
    init(
        _ segment: Segment, on device: any Device, counter: RunCounter, _ change: (Site) -> Change?
    ) throws {
        self.segment = segment
        self.device = device
        self.counter = counter
        var graph = segment.graph
        var known = Set(segment.inputs)
        for node in graph.nodes[segment.nodes] {
            for operand in node.operands { if case .weight = graph.values[operand].source { known.insert(operand) } }
        }
        var interventions: [Int: (inout Call) throws -> Void] = [:]
        for index in segment.nodes {
            switch change(Site(graph: graph, index: index)) {
            // What this segment is not given cannot be read here.
            case .op(let op, let operands)? where known.isSuperset(of: operands):
                try graph.replace(node: index, by: op, operands)
            case .around(let act)?:
                interventions[index] = act
            case .op?, nil: break
            }
            known.insert(graph.nodes[index].result)
        }
        try cut(graph, interventions)
    }

    /// Cuts the nodes before and after each that the fault has a hand in.
    private func cut(_ graph: Graph, _ interventions: [Int: (inout Call) throws -> Void]) throws {
        var start = segment.nodes.lowerBound
        var ranges: [Range<Int>] = []
        for index in interventions.keys.sorted() {
            ranges += [start..<index, index..<index + 1]
            start = index + 1
        }
        ranges.append(start..<segment.nodes.upperBound)

        for nodes in ranges where !nodes.isEmpty {
            var part = Self.part(of: segment, graph, nodes)
            var intervention: Intervention?
            if let act = interventions[nodes.lowerBound] {
                part = try Self.separated(part)
                intervention = Intervention(
                    site: Site(graph: part.graph, index: nodes.lowerBound),
                    sources: graph.nodes[nodes.lowerBound].operands, act: act)
            }
            parts.append(Part(segment: part, executable: try device.compile(part), intervention: intervention))
        }
    }

    private static func part(of whole: Segment, _ graph: Graph, _ nodes: Range<Int>) -> Segment {
        var inputs: [ValueID] = []
        for operand in graph.nodes[nodes].flatMap(\.operands) where !inputs.contains(operand) {
            switch graph.values[operand].source {
            case .node(let index) where nodes.contains(index): break
            case .weight: break
            case .node, .input: inputs.append(operand)
            }
        }
        let read = Set(graph.nodes[nodes.upperBound..<whole.nodes.upperBound].flatMap(\.operands) + whole.outputs)
        let outputs = graph.nodes[nodes].map(\.result).filter(read.contains)
        return Segment(graph: graph, nodes: nodes, inputs: inputs, outputs: outputs)
    }

    /// The node of a part, with each operand a value of its own that can be changed without the others.
    private static func separated(_ part: Segment) throws -> Segment {
        var part = part
        let node = part.graph.nodes[part.nodes.lowerBound]
        part.inputs = []
        var operands = node.operands
        for (index, operand) in operands.enumerated() {
            if case .weight = part.graph.values[operand].source { continue }
            if operands[..<index].contains(operand) { operands[index] = part.graph.duplicate(operand) }
            part.inputs.append(operands[index])
        }
        try part.graph.replace(node: part.nodes.lowerBound, by: node.op, operands)
        part.outputs = [node.result]
        return part
    }

    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor]
    ) throws -> [HostTensor] {
        let states = states.map { ($0 as? FaultyState)?.wrapped ?? $0 }
        var values = Dictionary(zip(segment.inputs, inputs)) { first, _ in first }
        func value(_ id: ValueID) throws -> HostTensor {
            guard let value = values[id] else {
                throw DeviceError(device: device.name, reason: "value \(id) is missing")
            }
            return value
        }
        for part in parts {
            if let intervention = part.intervention {
                values[intervention.site.node.result] = try run(part, intervention, weights, states, value)
            } else {
                let results = try part.executable.run(
                    weights: weights, states: states, inputs: part.segment.inputs.map(value))
                for (id, result) in zip(part.segment.outputs, results) { values[id] = result }
            }
        }
        return try segment.outputs.map(value)
    }

    private func run(
        _ part: Part, _ intervention: Intervention, _ weights: [(any DeviceTensor)?], _ states: [(any DeviceState)?],
        _ value: (ValueID) throws -> HostTensor
    ) throws -> HostTensor {
        let site = intervention.site
        let isWeight = site.operands.indices.map { site.weight($0) != nil }
        let operands = try zip(site.operands, intervention.sources).enumerated().map { index, ids in
            Elements(site.graph.values[ids.0], isWeight[index] ? [] : try value(ids.1).doubles)
        }
        if intervention.first == nil { intervention.first = operands }
        var call = Call(
            site: site, operands: operands, first: intervention.first ?? operands, ordinal: counter.next(),
            state: site.op.state.flatMap { states[$0] },
            compute: { operands in
                let given = zip(operands, isWeight).filter { !$0.1 }.map(\.0.host)
                let results = try part.executable.run(weights: weights, states: states, inputs: given)
                return Elements(site.graph.values[site.node.result], results[0].doubles)
            },
            readWeight: { [device] index in
                if let known = intervention.weights[index] { return known }
                let read = try Self.read(site, index, weights, device)
                intervention.weights[index] = read
                return read
            })
        try intervention.act(&call)
        return call.result.host
    }

    /// The elements of a weight as the device has them: what it gives when asked to multiply them by one.
    private static func read(
        _ site: Site, _ operand: Int, _ weights: [(any DeviceTensor)?], _ device: any Device
    ) throws -> Elements {
        guard let weight = site.weight(operand),
            case .weight(let index) = site.graph.values[site.operands[operand]].source
        else { throw DeviceError(device: device.name, reason: "operand \(operand) of \(site.op.name) is no weight") }
        let builder = GraphBuilder(batch: .inventory(.decode)) { _ in true }
        let copy = builder.apply(.affine(scale: 1, bias: 0), builder.weight(weight.name, weight.shape, weight.role))
        let executable = try device.compile(
            Segment(graph: builder.finish(), nodes: 0..<1, inputs: [], outputs: [copy.id]))
        let results = try executable.run(weights: [weights[index]], states: [], inputs: [])
        return Elements(weight.shape, results[0].doubles)
    }
}
