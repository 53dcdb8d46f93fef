import Devices
import Engines
import Foundation
import GGUF
import Inference
import ModelGraph

/// A small model that is made so that its logits tell how one thing was computed: a `llama` or `gemma` of one block, in
/// which everything else is exact or adds nothing.
struct ProbeModel {
    var metadata = Metadata()
    /// Biases and other tensors that a file may lack.
    var optional: Set<String> = []
    /// What is not named is F32.
    var types: [String: TensorType] = [:]
    /// The elements of tensors; `[rows, columns]`. What is not named is zero, norms are one.
    var elements: [String: @Sendable (_ row: Int, _ column: Int) -> Float] = [:]

    /// Tokens, and logits of each.
    static let vocabulary = 32

    /// - Parameters:
    ///   - architecture: `llama` or `gemma`.
    ///   - width: of the residual stream.
    init(_ architecture: String = "llama", width: Int, heads: Int = 1, headSize: Int = 8, feedForward: Int = 1) {
        metadata["general.architecture"] = .string(architecture)
        metadata["tokenizer.ggml.model"] = .string("no_vocab")
        for (key, value) in [
            ("vocab_size", Self.vocabulary), ("context_length", 512), ("embedding_length", width), ("block_count", 1),
            ("feed_forward_length", feedForward), ("attention.head_count", heads), ("attention.head_count_kv", heads),
            ("attention.key_length", headSize), ("attention.value_length", headSize),
            ("rope.dimension_count", headSize),
        ] { metadata["\(architecture).\(key)"] = .uint32(UInt32(value)) }
        metadata["\(architecture).attention.layer_norm_rms_epsilon"] = .float32(1e-12)
        metadata["\(architecture).rope.freq_base"] = .float32(10_000)
        self.architecture = architecture
    }

    private let architecture: String

    mutating func set(_ key: String, _ value: Int) { metadata["\(architecture).\(key)"] = .uint32(UInt32(value)) }

    func source() throws -> MemorySource {
        let (types, elements, optional) = (types, elements, optional)
        return try MemorySource(metadata, optional: .only(optional), type: { types[$0.name] ?? .f32 }) { tensor in
            let fill = elements[tensor.name]
            let width = tensor.shape.last, isScale = tensor.role == .scale
            guard let rowBytes = tensor.type.byteCount(rowLength: width, rows: 1) else {
                throw ModelError(subject: tensor.name, reason: "cannot be encoded as \(tensor.type.name)")
            }
            // Encoding takes long: a tensor of quantised weights has a few rows again and again.
            let rows = tensor.type.blockSize > 1 ? min(Self.quantisedRows, tensor.shape.rows) : tensor.shape.rows
            let encoded = try EncodedRows.shared.bytes(tensor.type, isCached: tensor.type.blockSize > 1, width, rows) {
                let values = (0..<rows * width).map { fill?($0 / width, $0 % width) ?? (isScale ? 1 : 0) }
                return try [UInt8](unsafeUninitializedCapacity: rows * rowBytes) { buffer, count in
                    try values.withUnsafeBufferPointer { try tensor.type.encode(
                        $0, into: UnsafeMutableRawBufferPointer(buffer)) }
                    count = rows * rowBytes
                }
            }
            let bytes = TensorBytes(count: tensor.shape.rows * rowBytes) { bytes in
                for row in 0..<tensor.shape.rows {
                    let start = row % rows * rowBytes
                    UnsafeMutableRawBufferPointer(rebasing: bytes[row * rowBytes..<(row + 1) * rowBytes])
                        .copyBytes(from: encoded[start..<start + rowBytes])
                }
            }
            return TensorData(name: tensor.name, shape: tensor.shape, type: tensor.type, bytes: bytes)
        }
    }

    private static let quantisedRows = 8
}

/// Rows of quantised weights, which are the same in all models of a type.
private final class EncodedRows: @unchecked Sendable {
    static let shared = EncodedRows()
    private struct Key: Hashable {
        var type: TensorType
        var width: Int
        var rows: Int
    }
    private let lock = NSLock()
    private var known: [Key: [UInt8]] = [:]

    func bytes(
        _ type: TensorType, isCached: Bool, _ width: Int, _ rows: Int, _ encode: () throws -> [UInt8]
    ) rethrows -> [UInt8] {
        guard isCached else { return try encode() }
        let key = Key(type: type, width: width, rows: rows)
        if let bytes = lock.withLock({ known[key] }) { return bytes }
        let bytes = try encode()
        lock.withLock { known[key] = bytes }
        return bytes
    }
}

/// Numbers that look random and are the same everywhere.
enum ProbeNumbers {
    private static func hash(_ a: Int, _ b: Int, _ salt: Int) -> UInt64 {
        var z = UInt64(
            truncatingIfNeeded: a &* 0x9E37 &+ b) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(salt) &* 0xD1B5_4A32_D192_ED03
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// −1 or 1.
    static func sign(_ a: Int, _ b: Int, _ salt: Int) -> Float { hash(a, b, salt) & 1 == 0 ? 1 : -1 }

    /// 0 ..< `bound`.
    static func integer(
        _ a: Int, _ b: Int, _ salt: Int, below bound: Int
    ) -> Int { Int(hash(a, b, salt) % UInt64(bound)) }

    /// Nearly normal, of deviation 1, with as many bits as float32 has.
    static func normal(_ a: Int, _ b: Int, _ salt: Int) -> Float {
        let sum = (0..<4).reduce(0.0) { $0 + Double(hash(a, b, salt &* 31 &+ $1) >> 11) * 0x1p-53 - 0.5 }
        return Float(sum * 3.0.squareRoot())
    }
}
