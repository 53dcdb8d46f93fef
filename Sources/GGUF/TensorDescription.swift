/// Everything that a file says of a tensor but its data.
public struct TensorDescription: Hashable, Sendable {
    /// ggml's limit.
    public static let maximumDimensionCount = 4

    public let name: String
    /// Sizes in elements, the fastest dimension first, as GGUF has them. None at all means one element.
    public let dimensions: [Int]
    public let type: TensorType
    /// Where the data starts, in bytes from the start of the data section.
    public let offset: Int
    public let elementCount: Int
    public let byteCount: Int

    /// Throws `GGUFError` where there are too many dimensions, one is negative, the first is not whole
    /// blocks, or the size overflows.
    public init(name: String, dimensions: [Int], type: TensorType, offset: Int = 0) throws {
        func invalid(_ reason: String) -> GGUFError { GGUFError(reason: "tensor \(quoted(name)): \(reason)") }

        guard dimensions.count <= Self.maximumDimensionCount else {
            throw invalid("\(dimensions.count) dimensions; at most \(Self.maximumDimensionCount) are allowed")
        }
        // The product leaves zeros out, so that a zero does not hide sizes that overflow.
        var product = 1
        for dimension in dimensions {
            guard dimension >= 0 else { throw invalid("dimension \(dimension) is negative") }
            let (next, overflow) = product.multipliedReportingOverflow(by: max(dimension, 1))
            guard !overflow else { throw invalid("the number of elements of \(dimensions) overflows") }
            product = next
        }
        let row = dimensions.first ?? 1
        guard row % type.blockSize == 0 else {
            throw invalid("rows of \(row) elements are not whole blocks of \(type.name) (\(type.blockSize) elements)")
        }
        elementCount = dimensions.contains(0) ? 0 : product
        guard let byteCount = type.byteCount(elements: elementCount) else {
            throw invalid("the size in bytes of \(dimensions) \(type.name) overflows")
        }
        self.name = name
        self.dimensions = dimensions
        self.type = type
        self.offset = offset
        self.byteCount = byteCount
    }
}
