import Devices
import GGUF
import ModelGraph

/// What goes wrong when a session handles states of one kind; what is nil goes as it should.
struct StateEffect: Sendable {
    var kind: State.Kind
    /// The type that rows are kept in, of the one that was asked for.
    var type: (@Sendable (StateType) -> StateType)?
    var clear: (@Sendable (_ state: any DeviceState, _ row: StateRow) throws -> Void)?
    var copy: (@Sendable (_ state: any DeviceState, _ source: StateRow, _ target: StateRow) throws -> Void)?
    /// What becomes of the elements that were read, row by row.
    var read: (@Sendable (inout Elements) -> Void)?
    /// What becomes of the elements that are to be written, row by row; the second holds what was there.
    var write: (@Sendable (inout Elements, Elements) -> Void)?
}

/// A row of a state that holds the other rows too.
struct StateRow: Sendable {
    let index: Int
    let shape: Shape

    func read(_ state: any DeviceState) throws -> [Double] {
        Array(try state.read(rows: index + 1).suffix(shape.count))
    }

    func write(_ elements: [Double], to state: any DeviceState) throws {
        let before = try state.read(rows: index)
        try state.write(before + elements)
    }
}

/// A device's state that a session reaches through a fault; the device itself is given what it wraps.
final class FaultyState: DeviceState {
    let wrapped: any DeviceState
    private let row: Shape
    private let effect: StateEffect

    init(_ wrapped: any DeviceState, row: Shape, _ effect: StateEffect) {
        self.wrapped = wrapped
        self.row = row
        self.effect = effect
    }

    func clear(row index: Int) throws {
        guard let clear = effect.clear else { return try wrapped.clear(row: index) }
        try clear(wrapped, StateRow(index: index, shape: row))
    }

    func copy(row index: Int, to other: Int) throws {
        guard let copy = effect.copy else { return try wrapped.copy(row: index, to: other) }
        try copy(wrapped, StateRow(index: index, shape: row), StateRow(index: other, shape: row))
    }

    func read(rows: Int) throws -> [Double] {
        var elements = Elements(row.repeated(rows), try wrapped.read(rows: rows))
        if rows > 0 { effect.read?(&elements) }
        return elements.values
    }

    func write(_ elements: [Double]) throws {
        let shape = row.repeated(elements.count / max(1, row.count))
        var new = Elements(shape, elements)
        if let write = effect.write, shape[0] > 0 {
            write(&new, Elements(shape, try wrapped.read(rows: shape[0])))
        }
        try wrapped.write(new.values)
    }
}
