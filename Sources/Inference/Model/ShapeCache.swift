import Architectures
import ModelGraph

/// What was made for batches of different shapes, kept as long as it is not too much: batches of ever new shapes must
/// not fill the memory, and a large model's graphs are large.
struct ShapeCache<Value> {
    private var values: [BatchShape: Value] = [:]
    private var nodes = 0
    /// Nodes of all graphs together: those of some dozens of toys, or of some shapes of a large model.
    private static var greatest: Int { 4096 }

    subscript(shape: BatchShape) -> Value? { values[shape] }

    mutating func update(_ body: (inout Value) throws -> Void) rethrows {
        for shape in values.keys { if let value = values[shape] { values[shape] = try updated(value, body) } }
    }

    private func updated(_ value: Value, _ body: (inout Value) throws -> Void) rethrows -> Value {
        var value = value
        try body(&value)
        return value
    }

    /// - Parameter graph: which the value is, or was made of.
    mutating func insert(_ value: Value, _ graph: Graph, for shape: BatchShape) {
        if nodes + graph.nodes.count > Self.greatest {
            values.removeAll()
            nodes = 0
        }
        values[shape] = value
        nodes += graph.nodes.count
    }
}
