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
            guard let cpu = available.devices.first(where: { $0.name == DeviceSet.fallback }) else {
                throw DeviceError(
                    device: device.name,
                    reason: "cannot run \(node.op.name) (\(reason)), "
                        + "and there is no \(DeviceSet.fallback) to run it instead")
            }
            fallbacks.append(Fallback(device: device.name, op: node.op.name, layer: node.layer, reason: reason))
            if let other = unsupported(node, on: cpu) {
                throw DeviceError(
                    device: cpu.name,
                    reason: "cannot run \(node.op.name) either, on which \(device.name) gave up: \(other)")
            }
            return cpu
        }

        var ruled: [String: (any Device)?] = [:]
        var ofLayers: [Int?: any Device] = [:]
        func wanted(_ node: Node) throws -> any Device {
            if !placement.tensors.isEmpty, let name = graph.lastWeight(of: node)?.name {
                if let known = ruled[name] {
                    if let known { return known }
                } else {
                    let device = try placement.device(ofTensor: name).map(available.named)
                    ruled[name] = .some(device)
                    if let device { return device }
                }
            }
            if let known = ofLayers[node.layer] { return known }
            let device = try available.named(placement.device(ofLayer: node.layer))
            ofLayers[node.layer] = device
            return device
        }

        var homes = homes
        var users: [[Int]] = Array(repeating: [], count: graph.states.count)
        for (index, node) in graph.nodes.enumerated() { if let state = node.op.state { users[state].append(index) } }
        for (state, nodes) in zip(graph.states, users) where homes[state.name] == nil {
            guard let first = nodes.first else { continue }
            var home = try wanted(graph.nodes[first])
            for node in nodes.map({ graph.nodes[$0] }) {
                guard let reason = unsupported(node, on: home) else { continue }
                home = try fallBack(node, from: home, reason)
            }
            homes[state.name] = home
        }

        devices.reserveCapacity(graph.nodes.count)
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
        var lastUse = Array(repeating: -1, count: graph.values.count)
        // Of each run, the values from outside, in the order of their first use.
        var inputs: [[ValueID]] = []
        for (run, nodes) in runs.enumerated() {
            var own: [ValueID] = []
            for node in graph.nodes[nodes] {
                for operand in node.operands where lastUse[operand] < run {
                    lastUse[operand] = run
                    switch graph.values[operand].source {
                    case .input: own.append(operand)
                    case .node(let index) where !nodes.contains(index): own.append(operand)
                    case .node, .weight: break
                    }
                }
            }
            inputs.append(own)
        }
        for value in wanted { lastUse[value] = runs.count }

        return runs.enumerated().map { run, nodes in
            let outputs: [ValueID] = graph.nodes[nodes].lazy.map(\.result).filter { lastUse[$0] > run }
            return (devices[nodes.lowerBound], Segment(
                graph: graph, nodes: nodes, inputs: inputs[run], outputs: outputs))
        }
    }
}

extension Graph {
    /// The last weight among a node's operands.
    fileprivate func lastWeight(of node: Node) -> Weight? {
        for operand in node.operands.reversed() {
            if case .weight(let index) = values[operand].source { return weights[index] }
        }
        return nil
    }
}
