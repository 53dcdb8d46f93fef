import GGUF

/// A GGUF file of a control vector, for engines that take its elements and not the file.
public struct ControlVectorFile {
    private let source: FileSource
    /// Elements of a direction.
    public let width: Int

    /// - Returns: nil where the file is something else, or no GGUF file at all.
    public init?(path: String) {
        guard let source = try? FileSource(path: path),
            source.metadata.string(AdapterFormat.architecture) == AdapterFormat.controlVector
        else { return nil }
        self.source = source
        width = source.tensors.first?.shape.last ?? 0
    }

    /// The directions after all blocks but the first, one after the other: zeros where the file has none.
    /// - Parameter layers: of the model.
    /// - Throws: `ModelError` for a tensor that is no direction of the others' width.
    public func elements(layers: Int) throws -> [Float] {
        var elements = [Float](repeating: 0, count: max(0, layers - 1) * width)
        for tensor in source.tensors {
            let layer = tensor.name.hasPrefix(AdapterFormat.direction)
                ? Int(tensor.name.dropFirst(AdapterFormat.direction.count)) : nil
            guard let layer, layer > 0, layer < layers, tensor.shape == [width], tensor.type == .f32 else {
                throw ModelError(subject: tensor.name, reason: "is no direction after a block of the model")
            }
            let bytes = try source.data(of: tensor).littleEndian()
            bytes.withBytes { bytes in
                for index in 0..<width {
                    elements[(layer - 1) * width + index] = bytes.loadUnaligned(
                        fromByteOffset: 4 * index, as: Float.self)
                }
            }
        }
        return elements
    }
}
