/// The element types of the format: plain numbers, and blocks of quantised ones.
///
/// Raw values, block sizes and byte counts as in ggml; numbers of types that ggml has removed stay unused.
public enum TensorType: UInt32, CaseIterable, Hashable, Sendable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q8_1 = 9
    case q2_K = 10
    case q3_K = 11
    case q4_K = 12
    case q5_K = 13
    case q6_K = 14
    case q8_K = 15
    case iq2_XXS = 16
    case iq2_XS = 17
    case iq3_XXS = 18
    case iq1_S = 19
    case iq4_NL = 20
    case iq3_S = 21
    case iq2_S = 22
    case iq4_XS = 23
    case i8 = 24
    case i16 = 25
    case i32 = 26
    case i64 = 27
    case f64 = 28
    case iq1_M = 29
    case bf16 = 30
    case tq1_0 = 34
    case tq2_0 = 35
    case mxfp4 = 39
    case nvfp4 = 40
    case q1_0 = 41
    case q2_0 = 42

    /// As the field writes it: `F32`, `Q4_0`, `IQ2_XXS`.
    public var name: String { String(describing: self).uppercased() }

    /// The type of this name, in either case.
    public init?(name: String) {
        guard let type = Self.allCases.first(where: { $0.name == name.uppercased() }) else { return nil }
        self = type
    }

    /// Elements of one block; 1 for plain numbers.
    public var blockSize: Int { layout.elements }
    public var bytesPerBlock: Int { layout.bytes }
    public var isQuantized: Bool { blockSize > 1 }

    /// Bytes of a tensor whose rows are `rowLength` long; nil if a row is no whole number of blocks or
    /// the count overflows.
    public func byteCount(rowLength: Int, rows: Int) -> Int? {
        guard rowLength >= 0, rows >= 0, rowLength % blockSize == 0 else { return nil }
        let (row, overflow) = (rowLength / blockSize).multipliedReportingOverflow(by: bytesPerBlock)
        guard !overflow else { return nil }
        let (total, overflows) = row.multipliedReportingOverflow(by: rows)
        return overflows ? nil : total
    }

    /// Bytes of `elements` consecutive elements; nil if they are no whole number of blocks.
    public func byteCount(elements: Int) -> Int? { byteCount(rowLength: elements, rows: 1) }
}
