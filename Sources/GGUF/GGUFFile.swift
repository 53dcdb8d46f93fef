/// A GGUF file of version 2 or 3, in either byte order: its metadata, and its tensors mapped into memory.
///
/// The initialiser checks all that the file says of itself, so that whatever is read from a
/// `GGUFFile` later lies within the file.
public final class GGUFFile: Sendable {
    /// The path of the file, or the name that its bytes were given.
    public let path: String
    public let version: UInt32
    public let byteOrder: ByteOrder
    /// In bytes: the start of the data section and of every tensor in it is a multiple of this.
    public let alignment: Int
    public let metadata: Metadata
    /// In the order in which the file lists them.
    public let tensors: [TensorDescription]
    /// Where the data section starts, in bytes from the start of the file.
    public let dataOffset: Int

    private let contents: FileContents
    private let indices: [String: Int]

    /// Throws `GGUFError`, with the offset and the reason, for a file that cannot be read or is malformed.
    public convenience init(path: String) throws {
        try self.init(path: path, contents: FileContents(mapping: path))
    }

    /// A file that is in memory; `name` stands for its path.
    public convenience init(bytes: [UInt8], name: String = "memory") throws {
        try self.init(path: name, contents: FileContents(copying: bytes))
    }

    private init(path: String, contents: FileContents) throws {
        let header = try withExtendedLifetime(contents) { try Header(contents.bytes, file: path) }
        // A tokenizer's texts are megabytes, and lie in the metadata now.
        contents.release(first: header.dataOffset)
        self.path = path
        self.contents = contents
        version = header.version
        byteOrder = header.byteOrder
        alignment = header.alignment
        metadata = header.metadata
        tensors = header.tensors
        dataOffset = header.dataOffset
        indices = header.indices
    }

    /// The same file, mapped once, without some of its metadata.
    private init(_ file: GGUFFile, metadata: Metadata) {
        (path, version, byteOrder, alignment) = (file.path, file.version, file.byteOrder, file.alignment)
        (tensors, dataOffset, contents, indices) = (file.tensors, file.dataOffset, file.contents, file.indices)
        self.metadata = metadata
    }

    /// The same file, mapped once, without the values of some keys: they can take more memory than all else.
    public func removingMetadata(where isRemoved: (String, MetadataValue) -> Bool) -> GGUFFile {
        GGUFFile(self, metadata: metadata.removing(where: isRemoved))
    }

    public func tensor(named name: String) -> TensorDescription? {
        indices[name].map { tensors[$0] }
    }

    /// The data of one of the file's tensors, in the file's byte order: the mapping itself, valid while
    /// the file is alive.
    public func bytes(of tensor: TensorDescription) -> UnsafeRawBufferPointer {
        precondition(self.tensor(named: tensor.name) == tensor, "the tensor is not one of this file")
        // The header made sure that the sum fits and lies within the file.
        let start = dataOffset + tensor.offset
        return UnsafeRawBufferPointer(rebasing: contents.bytes[start..<start + tensor.byteCount])
    }

    /// The size of the file.
    public var byteCount: Int { contents.bytes.count }

    /// The bytes of the whole file, valid within `body`.
    ///
    /// Throws `GGUFError` where it has to be mapped once more and cannot be: the pages of its header were given back.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        let whole = contents.isWhole ? contents : try FileContents(mapping: path)
        return try withExtendedLifetime(whole) { try body(whole.bytes) }
    }

    /// The bytes of a tensor, valid within `body`.
    public func withBytes<R>(
        of tensor: TensorDescription, _ body: (UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R {
        try withExtendedLifetime(contents) { try body(bytes(of: tensor)) }
    }

    /// The elements of one of the file's tensors, the fastest dimension first.
    ///
    /// Throws `GGUFError` for a type whose data is not defined in the byte order of the file.
    public func floats(of tensor: TensorDescription) throws -> [Float] {
        try elements(of: tensor) { try tensor.type.decode($0, order: byteOrder, into: $1) }
    }

    /// The same, in double precision.
    public func doubles(of tensor: TensorDescription) throws -> [Double] {
        try elements(of: tensor) { try tensor.type.decode($0, order: byteOrder, into: $1) }
    }

    private func elements<Real>(
        of tensor: TensorDescription,
        _ decode: (UnsafeRawBufferPointer, UnsafeMutableBufferPointer<Real>) throws -> Void
    ) throws -> [Real] {
        try withBytes(of: tensor) { bytes in
            try [Real](unsafeUninitializedCapacity: tensor.elementCount) { target, initialized in
                try decode(bytes, UnsafeMutableBufferPointer(rebasing: target[..<tensor.elementCount]))
                initialized = tensor.elementCount
            }
        }
    }
}
