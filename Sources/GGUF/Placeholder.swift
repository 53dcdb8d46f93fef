// Replaced by the module's own files.
public enum ByteOrder: Hashable, Sendable { case little, big }
public enum TensorType: UInt32, CaseIterable, Hashable, Sendable { case f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, i8 = 24, i16, i32, i64, f64, bf16 = 30 }
