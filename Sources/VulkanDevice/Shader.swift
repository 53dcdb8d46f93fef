/// The shaders, by the names of their files in `Shaders`.
enum Shader: String, Hashable {
    case matmul
    case rows
    case unary
    case binary
    case copy
    case sum
    case norm
    case softmax
    case rope
    case mask
    case alibi
    case relativeBias = "relative_bias"
    case attention
    case indexScores = "index_scores"
    case topCells = "top_cells"
    case topExperts = "top_experts"
    case takeExperts = "take_experts"
    case store
    case convolution
    case tokenShift = "token_shift"
    case selectiveScan = "selective_scan"
    case gatedDeltaRule = "gated_delta_rule"
    case linearAttention = "linear_attention"
    case wkv7
}
