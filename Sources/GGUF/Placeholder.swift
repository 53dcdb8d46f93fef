// Replaced by the module's own files.
public enum ByteOrder: Hashable, Sendable { case little, big }
public enum TensorType: UInt32, CaseIterable, Hashable, Sendable { case f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, i8 = 24, i16, i32, i64, f64, bf16 = 30 }
public enum MetadataValue: Equatable, Sendable {
    case uint8(UInt8), int8(Int8), uint16(UInt16), int16(Int16), uint32(UInt32), int32(Int32), float32(Float), bool(Bool)
    case string(String), uint64(UInt64), int64(Int64), float64(Double)
    case array([MetadataValue])
    public var integer: Int? { if case .uint32(let v) = self { Int(v) } else { nil } }
    public var double: Double? { if case .float32(let v) = self { Double(v) } else { nil } }
    public var elements: [MetadataValue]? { if case .array(let v) = self { v } else { nil } }
    public var typeName: String { "" }
    public var summary: String { "" }
}
public struct Metadata: Equatable, Sendable {
    var d: [String: MetadataValue] = [:]
    public init() {}
    public subscript(_ k: String) -> MetadataValue? { get { d[k] } set { d[k] = newValue } }
}
