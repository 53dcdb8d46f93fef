import GGUF

/// How a weight lies in the device's memory; numbered as in `Shaders/weight_types.glsl`.
enum WeightFormat: UInt32, CaseIterable {
    case float32, float16, bfloat16, q8_0, q4_0

    /// Nil for types that are converted to float32 when they are loaded.
    init?(_ type: TensorType) {
        switch type {
        case .f32: self = .float32
        case .f16: self = .float16
        case .bf16: self = .bfloat16
        case .q8_0: self = .q8_0
        case .q4_0: self = .q4_0
        default: return nil
        }
    }
}
