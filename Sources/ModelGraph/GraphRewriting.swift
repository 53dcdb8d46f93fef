/// Changes to a graph that is built already, for what stands between a session and a device.
extension Graph {
    /// Puts another op in a node's place; its result keeps shape and readers.
    /// - Throws: `GraphError` if the operands do not fit the op, or its result not the node's readers.
    public mutating func replace(node index: Int, by op: Op, _ operands: [ValueID]) throws {
        let node = nodes[index]
        func error(_ reason: String) -> GraphError { GraphError(op: op.name, layer: node.layer, reason: reason) }
        let result: (shape: Shape, element: Element)
        do {
            result = try op.result(of: operands.map { values[$0] }, states: states)
        } catch {
            throw GraphError(op: op.name, layer: node.layer, reason: error.reason)
        }
        let info = values[node.result]
        guard result.shape == info.shape, result.element == info.element else {
            throw error(
                "gives \(result.element.rawValue) \(result.shape) in place of \(info.element.rawValue) \(info.shape)")
        }
        nodes[index].op = op
        nodes[index].operands = operands
    }

    /// Another value of the same shape and source, so that a node may be given something else in its place.
    public mutating func duplicate(_ value: ValueID) -> ValueID {
        values.append(values[value])
        return values.count - 1
    }
}
