/// The order of the bytes in every number of a GGUF file, tensor data included.
public enum ByteOrder: String, Hashable, Sendable {
    case little, big

    /// The order of the machine that runs this.
    public static var host: ByteOrder { Int32(1).littleEndian == 1 ? .little : .big }
}
