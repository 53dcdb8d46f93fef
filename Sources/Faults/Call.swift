import Devices
import ModelGraph

/// A node that is about to run, or has run, on its own.
struct Call {
    let site: Site
    /// The node's operands; those that are weights hold no elements: `weight(_:)` reads them.
    var operands: [Elements]
    /// The operands of the first run of this very graph, which a device that reuses it may have kept.
    let first: [Elements]
    /// What `run()` gave, and then what the fault makes of it.
    var result: Elements
    /// How many such nodes the device has run before this one.
    let ordinal: Int
    /// The state that the node uses.
    let state: (any DeviceState)?
    private let compute: ([Elements]) throws -> Elements
    private let readWeight: (Int) throws -> Elements

    init(
        site: Site, operands: [Elements], first: [Elements], ordinal: Int, state: (any DeviceState)?,
        compute: @escaping ([Elements]) throws -> Elements, readWeight: @escaping (Int) throws -> Elements
    ) {
        self.site = site
        self.operands = operands
        self.first = first
        self.ordinal = ordinal
        self.state = state
        self.compute = compute
        self.readWeight = readWeight
        result = Elements(site.graph.values[site.node.result], [])
    }

    /// Computes the result from the operands as they are now, as the device does.
    mutating func run() throws { result = try compute(operands) }

    /// An operand, whether it is a weight or not.
    func operand(_ index: Int) throws -> Elements {
        site.weight(index) == nil ? operands[index] : try readWeight(index)
    }

    /// The leading rows of the node's state.
    func readState(rows: Int) throws -> Elements {
        guard let state, let row = site.op.state.map({ site.graph.states[$0].row }) else {
            throw DeviceError(device: "faulty", reason: "\(site.op.name) has no state")
        }
        return Elements(row.repeated(rows), try state.read(rows: rows))
    }

    func writeState(_ rows: Elements) throws { try state?.write(rows.values) }

    /// Changes the leading rows of the node's state.
    func editState(rows: Int, _ edit: (inout Elements) throws -> Void) throws {
        var elements = try readState(rows: rows)
        try edit(&elements)
        try writeState(elements)
    }
}
