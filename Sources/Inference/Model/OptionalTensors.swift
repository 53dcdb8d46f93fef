import Architectures
import GGUF

/// Which of the tensors that a model may lack it has.
public struct OptionalTensors: Sendable {
    let contains: @Sendable (String) -> Bool

    /// - Parameter contains: whether the model has the optional tensor of this name.
    public init(_ contains: @escaping @Sendable (String) -> Bool) { self.contains = contains }

    public static let all = OptionalTensors { _ in true }
    public static let none = OptionalTensors { _ in false }
    /// Those that a file has.
    public static func of(_ tensors: some Sequence<TensorInfo>) -> OptionalTensors { .only(names(tensors)) }
    /// Their names, and what a graph asks where a tensor comes in two shapes.
    public static func names(_ tensors: some Sequence<TensorInfo>) -> Set<String> {
        Set(tensors.flatMap { [$0.name, OptionalTensor.name($0.name, rows: $0.shape.dimensions.first ?? 1)] })
    }
    public static func only(_ names: Set<String>) -> OptionalTensors { OptionalTensors(names.contains) }
}
