import Inference

/// A GGUF file of an adapter, and how a model uses it.
public struct AdapterFile: Hashable, Sendable {
    public var path: String
    /// How often what the file holds is added.
    public var scale: Double
    /// Of a control vector: the blocks after which it is added; nil: all for which the file has something.
    public var layers: ClosedRange<Int>?

    public init(path: String, scale: Double = 1, layers: ClosedRange<Int>? = nil) {
        self.path = path
        self.scale = scale
        self.layers = layers
    }
}

extension AppliedAdapter {
    /// - Throws: `GGUFError`.
    init(_ file: AdapterFile) throws {
        self.init(try FileSource(path: file.path), scale: file.scale, layers: file.layers)
    }
}
