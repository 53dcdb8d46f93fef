import Devices
import ModelGraph

/// The memory of a session's states, each on the device whose nodes use it.
struct StateStore {
    struct Entry {
        var state: State
        var device: any Device
        var memory: any DeviceState
        var rows: Int
    }
    /// In the order in which the graph declares them.
    private(set) var entries: [Entry] = []
    private var indices: [String: Int] = [:]

    mutating func allocate(_ state: State, on device: any Device, rows: Int, type: StateType) throws {
        indices[state.name] = entries.count
        entries.append(
            Entry(state: state, device: device, memory: try device.allocate(state, rows: rows, type: type), rows: rows))
    }

    func clear() throws {
        for entry in entries { for row in 0..<entry.rows { try entry.memory.clear(row: row) } }
    }

    subscript(_ name: String) -> Entry? { indices[name].map { entries[$0] } }

    var homes: [String: any Device] { Dictionary(entries.map { ($0.state.name, $0.device) }) { first, _ in first } }
    func entries(_ kind: State.Kind) -> [Entry] { entries.filter { $0.state.kind == kind } }
    func has(_ kind: State.Kind) -> Bool { entries.contains { $0.state.kind == kind } }
}
