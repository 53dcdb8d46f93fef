/// Which of the tensors that a model may lack it has.
public struct OptionalTensors: Sendable {
    let contains: @Sendable (String) -> Bool

    /// - Parameter contains: whether the model has the optional tensor of this name.
    public init(_ contains: @escaping @Sendable (String) -> Bool) { self.contains = contains }

    public static let all = OptionalTensors { _ in true }
    public static let none = OptionalTensors { _ in false }
    public static func only(_ names: Set<String>) -> OptionalTensors { OptionalTensors(names.contains) }
}
