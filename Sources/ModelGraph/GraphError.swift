/// A graph that does not fit together: which op, in which layer, and why.
public struct GraphError: Error, Hashable, Sendable, CustomStringConvertible {
    public var op: String
    public var layer: Int?
    public var reason: String

    public init(op: String, layer: Int?, reason: String) {
        self.op = op
        self.layer = layer
        self.reason = reason
    }

    public var description: String {
        "\(layer.map { "layer \($0): " } ?? "")\(op): \(reason)"
    }
}
