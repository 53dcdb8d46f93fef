/// How a graph asks for a tensor that models have or have not, and for which of two shapes one has.
public enum OptionalTensor {
    /// What is asked where a tensor has this many rows in some models and another number in others.
    public static func name(_ name: String, rows: Int) -> String { "\(name) of \(rows) rows" }
}
