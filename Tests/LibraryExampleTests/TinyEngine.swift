import Devices
import Engines
import Foundation
import GGUF
import Inference

/// An engine of one's own: a llama decoder in plain loops, one token at a time.
///
/// It stands for yours. What it lacks (experts, YaRN, embeddings, half-precision caches, other architectures) it says
/// by throwing `Unsupported`; what its sessions do when a script asks for it is the protocol `ScriptSession`.
final class TinyEngine: Engine {
    /// What is wrong with it, on purpose.
    enum Defect: CaseIterable {
        /// Query heads take the key heads in turn, not in groups.
        case interleavedHeads
        /// Shifted keys keep their rotation.
        case forgottenRotation
    }

    let name = "tiny"
    let devices = [
        EngineDevice(
            name: "tiny:cpu", summary: "plain loops", precision: Precision(storage: .float32, accumulation: .float32))
    ]
    private let defect: Defect?

    init(_ defect: Defect? = nil) { self.defect = defect }

    func load(_ source: any TensorSource) throws -> any EngineModel { try TinyModel(source, defect) }
    func load(file path: String) throws -> any EngineModel { try load(FileSource(path: path)) }
}

final class TinyModel: EngineModel {
    struct Matrix {
        var rows: Int
        var elements: [Float]
    }
    let layers, width, heads, groups, headSize: Int
    let epsilon, magnitude: Float
    /// Of each pair of a head: what a position turns it by.
    let frequencies: [Double]
    let weights: [String: Matrix]
    let defect: TinyEngine.Defect?

    init(_ source: any TensorSource, _ defect: TinyEngine.Defect?) throws {
        let metadata = source.metadata
        func value<Value>(_ key: String, _ read: (String) -> Value?, default absent: Value? = nil) throws -> Value {
            guard metadata["llama.\(key)"] != nil, let value = read("llama.\(key)") else {
                guard let absent else { throw Refusal("llama.\(key) is missing") }
                return absent
            }
            return value
        }
        guard metadata.string("general.architecture") == "llama" else {
            throw Unsupported("other architectures than llama")
        }
        guard try value("expert_count", metadata.integer, default: 0) == 0 else { throw Unsupported("experts") }
        guard try value("pooling_type", metadata.integer, default: 0) == 0 else { throw Unsupported("embeddings") }
        guard metadata["llama.attention.causal"] != .bool(false) else {
            throw Unsupported("tokens that see later ones")
        }
        let scaling = try value("rope.scaling.type", metadata.string, default: "linear")
        guard ["linear", "none"].contains(scaling) else { throw Unsupported("RoPE scaled by \(scaling)") }

        layers = try value("block_count", metadata.integer)
        width = try value("embedding_length", metadata.integer)
        heads = try value("attention.head_count", metadata.integer)
        groups = try value("attention.head_count_kv", metadata.integer, default: heads)
        headSize = try value("attention.key_length", metadata.integer, default: width / heads)
        epsilon = Float(try value("attention.layer_norm_rms_epsilon", metadata.double))
        magnitude = Float(try value("rope.scaling.attn_factor", metadata.double, default: 1))
        let base = try value("rope.freq_base", metadata.double, default: 10_000)
        let factor = scaling == "none" ? 1 : try value("rope.scaling.factor", metadata.double, default: 1)

        var weights: [String: Matrix] = [:]
        for tensor in source.tensors {
            let data = try source.data(of: tensor)
            var elements = [Float](repeating: 0, count: tensor.shape.count)
            try data.bytes.withBytes { bytes in
                try elements.withUnsafeMutableBufferPointer {
                    try data.type.decode(bytes, order: data.byteOrder, into: $0)
                }
            }
            weights[tensor.name] = Matrix(rows: tensor.shape.rows, elements: elements)
        }
        self.weights = weights
        let stretch = factor == 0 ? 1 : factor
        let factors = weights["rope_freqs.weight"]?.elements
        var frequencies: [Double] = []
        for pair in 0..<headSize / 2 {
            let frequency = pow(base, -Double(2 * pair) / Double(headSize)) / stretch
            frequencies.append(frequency / Double(factors?[pair] ?? 1))
        }
        self.frequencies = frequencies
        self.defect = defect
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        guard script.options.cacheType == .full else { throw Unsupported("half-precision caches") }
        return try script.play(willBegin: willBegin) { TinySession(self) }
    }

    func save(to path: String) throws { throw Unsupported("saving a model") }

    // MARK: Arithmetic

    func matrix(_ name: String) throws -> Matrix {
        guard let matrix = weights[name] else { throw Refusal("\(name) is missing") }
        return matrix
    }

    func linear(_ name: String, _ x: [Float]) throws -> [Float] {
        let matrix = try self.matrix("\(name).weight")
        let y = matrix.elements.withUnsafeBufferPointer { rows in
            (0..<matrix.rows).map { row in dot(UnsafeBufferPointer(rebasing: rows[(row * x.count)...]), x) }
        }
        return try weights["\(name).bias"] == nil ? y : sum(y, self.matrix("\(name).bias").elements)
    }

    /// Queries, keys and values, from three matrices or from one.
    func projections(_ block: String, _ x: [Float]) throws -> [Float] {
        let parts = ["q", "k", "v"].map { "\(block)attn_\($0)" }
        guard weights["\(block)attn_qkv.weight"] != nil else { return try parts.flatMap { try linear($0, x) } }
        // Some files join the matrices, but not their biases.
        let biases = parts.compactMap { weights["\($0).bias"]?.elements }
        let y = try linear("\(block)attn_qkv", x)
        return biases.count == 3 ? sum(y, Array(biases.joined())) : y
    }

    func norm(_ name: String, _ x: [Float]) throws -> [Float] {
        let scale = 1 / (x.withUnsafeBufferPointer { dot($0, x) } / Float(x.count) + epsilon).squareRoot()
        return zip(x, try matrix("\(name).weight").elements).map { $0 * scale * $1 }
    }

    /// Neighbouring elements of each head turned by a position.
    func rotated(_ x: ArraySlice<Float>, by position: Int, magnitude: Float) -> [Float] {
        var y = Array(x)
        for pair in 0..<y.count / 2 {
            let angle = Double(position) * frequencies[pair % (headSize / 2)]
            let (c, s) = (magnitude * Float(cos(angle)), magnitude * Float(sin(angle)))
            (y[2 * pair], y[2 * pair + 1]) = (
                y[2 * pair] * c - y[2 * pair + 1] * s, y[2 * pair] * s + y[2 * pair + 1] * c
            )
        }
        return y
    }

    private func dot(_ row: UnsafeBufferPointer<Float>, _ x: [Float]) -> Float {
        x.withUnsafeBufferPointer { x in
            var (sum, index) = (Float(0), 0)
            while index < x.count {
                sum += row[index] * x[index]
                index += 1
            }
            return sum
        }
    }

    func sum(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { $0 + $1 } }
}
