import Devices
import GGUF
import ModelGraph

/// A node that runs elsewhere than its placement says, because that device cannot run it.
public struct Fallback: Hashable, Sendable, CustomStringConvertible {
    public var device: String
    public var op: String
    public var layer: Int?
    public var reason: String

    public var description: String {
        "\(device) cannot run \(op)\(layer.map { " of layer \($0)" } ?? ""): \(reason)"
    }
}

/// The device of each node of a graph.
struct Assignment {
    private(set) var devices: [any Device] = []
    private(set) var fallbacks: [Fallback] = []

    /// A node runs where a rule places its last weight operand, else where its layer is placed; a node
    /// that its device cannot run, on `cpu`. All nodes of one state run on one device: where the state is
    /// already, or else where the first of them would run that they can all run on.
    /// - Parameter homes: the devices of states by name, where these are fixed.
    init(
        _ graph: Graph, placement: Placement, devices available: DeviceSet, homes: [String: any Device],
        weightTypes: [TensorType]
    ) throws {
        func unsupported(_ node: Node, on device: any Device) -> String? {
            device.unsupported(node, in: graph, weightTypes: weightTypes)
        }
        func fallBack(_ node: Node, from device: any Device, _ reason: String) throws -> any Device {
            fallbacks.append(Fallback(device: device.name, op: node.op.name, layer: node.layer, reason: reason))
            let cpu = try available.named("cpu")
            if let other = unsupported(node, on: cpu) {
                throw DeviceError(
                    device: cpu.name,
                    reason: "cannot run \(node.op.name) either, on which \(device.name) gave up: \(other)")
            }
            return cpu
        }

        var ruled: [String: (any Device)?] = [:]
        func wanted(_ node: Node) throws -> any Device {
            let name = node.operands.last { if case .weight = graph.values[$0].source { true } else { false } }
                .flatMap {
                    if case .weight(let index) = graph.values[$0].source { graph.weights[index].name } else { nil }
                }
            if let name, !placement.tensors.isEmpty {
                if let known = ruled[name] {
                    if let known { return known }
                } else {
                    let device = try placement.device(ofTensor: name).map(available.named)
                    ruled[name] = .some(device)
                    if let device { return device }
                }
            }
            return try available.named(placement.device(ofLayer: node.layer))
        }

        var homes = homes
        let users = Dictionary(grouping: graph.nodes) { $0.op.state }
        for (id, state) in graph.states.enumerated() where homes[state.name] == nil {
            guard let nodes = users[id], let first = nodes.first else { continue }
            var home = try wanted(first)
            for node in nodes {
                guard let reason = unsupported(node, on: home) else { continue }
                home = try fallBack(node, from: home, reason)
            }
            homes[state.name] = home
        }

        for node in graph.nodes {
            if let state = node.op.state, let home = homes[graph.states[state].name] {
                if let reason = unsupported(node, on: home) {
                    throw DeviceError(
                        device: home.name,
                        reason: "holds \(graph.states[state].name) but cannot run \(node.op.name) on it: \(reason)")
                }
                devices.append(home)
            } else {
                let device = try wanted(node)
                devices.append(try unsupported(node, on: device).map { try fallBack(node, from: device, $0) } ?? device)
            }
        }
    }

    /// Maximal runs of nodes on one device.
    func segments(of graph: Graph, wanted: [ValueID]) -> [(device: any Device, segment: Segment)] {
        var runs: [Range<Int>] = []
        for index in graph.nodes.indices {
            if let last = runs.last, devices[last.lowerBound] === devices[index] {
                runs[runs.count - 1] = last.lowerBound ..< index + 1
            } else {
                runs.append(index ..< index + 1)
            }
        }

        // The last run that uses each value: what is used after its own run must leave it.
        var lastUse: [ValueID: Int] = [:]
        for (run, nodes) in runs.enumerated() {
            for operand in graph.nodes[nodes].flatMap(\.operands) { lastUse[operand] = run }
        }
        for value in wanted { lastUse[value] = runs.count }

        return runs.enumerated().map { run, nodes in
            var inputs: [ValueID] = [], known: Set<ValueID> = []
            for operand in graph.nodes[nodes].flatMap(\.operands) where known.insert(operand).inserted {
                switch graph.values[operand].source {
                case .input: inputs.append(operand)
                case .node(let index) where !nodes.contains(index): inputs.append(operand)
                case .node, .weight: break
                }
            }
            let outputs = graph.nodes[nodes].map(\.result).filter { lastUse[$0, default: -1] > run }
            return (devices[nodes.lowerBound], Segment(graph: graph, nodes: nodes, inputs: inputs, outputs: outputs))
        }
    }
}
