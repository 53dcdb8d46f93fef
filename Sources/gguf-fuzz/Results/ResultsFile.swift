import Architectures
import Devices
import Foundation
import GGUF

/// What a model gave for one sequence of tokens, kept to be compared with what it gives elsewhere or later.
///
/// A GGUF file: `results.*` metadata, and tensors `tokens` (I32), `encoder_tokens` (I32, for models with an
/// encoder and a decoder) and `logits` or `embeddings` (a row for each token; one row where pooled), F64
/// from devices that compute in float64, else F32.
struct ResultsFile {
    var architecture: String
    /// Name of the model's file, without folders.
    var modelName: String
    /// SHA-256 of the model's file.
    var modelHash: String
    var engine: String
    var engineVersion: String
    var device: String
    var deviceSummary: String
    var placement: String
    var cacheType: StateType
    var context: Int
    var pooling: Pooling
    var tokens: [Int]
    var encoderTokens: [Int]
    var kind: Evaluation.Kind
    var width: Int
    /// `[rows, width]`
    var elements: HostTensor

    var rows: [[Double]] {
        let all = elements.doubles
        return stride(from: 0, to: all.count, by: width).map { Array(all[$0..<$0 + width]) }
    }

    func write(to path: String) throws {
        var metadata = Metadata()
        metadata["general.type"] = .string("results")
        for (key, text) in [
            ("architecture", architecture), ("model.name", modelName), ("model.sha256", modelHash), ("engine", engine),
            ("engine.version", engineVersion), ("device", device), ("device.summary", deviceSummary),
            ("placement", placement), ("cache_type", cacheType.rawValue),
        ] { metadata["results.\(key)"] = .string(text) }
        metadata["results.context"] = .uint32(UInt32(clamping: context))
        metadata["results.pooling"] = .uint32(UInt32(pooling.rawValue))

        func tensor<Element>(
            _ name: String, _ type: TensorType, _ dimensions: [Int], _ elements: [Element]
        ) -> GGUFWriter.Tensor {
            GGUFWriter.Tensor(name: name, dimensions: dimensions, type: type) { try elements.withUnsafeBytes($0) }
        }
        var tensors = [tensor("tokens", .i32, [tokens.count], tokens.map { Int32(clamping: $0).littleEndian })]
        if !encoderTokens.isEmpty {
            tensors.append(
                tensor(
                    "encoder_tokens", .i32, [encoderTokens.count],
                    encoderTokens.map { Int32(clamping: $0).littleEndian }))
        }
        let dimensions = [width, elements.count / width]
        switch elements {
        case .double(let elements):
            tensors.append(tensor(kind.rawValue, .f64, dimensions, elements.map(\.bitPattern.littleEndian)))
        default:
            tensors.append(tensor(kind.rawValue, .f32, dimensions, elements.floats.map(\.bitPattern.littleEndian)))
        }
        try GGUFWriter.write(metadata, tensors, to: path)
    }
}

extension ResultsFile {
    init(reading path: String) throws {
        let file = try GGUFFile(path: path)
        func missing(_ what: String) -> GGUFError { GGUFError(file: path, reason: "is no results file: \(what)") }
        func text(_ key: String) throws -> String {
            guard let text = file.metadata["results.\(key)"]?.string else {
                throw missing("results.\(key) is missing or no string")
            }
            return text
        }
        func integer(_ key: String) throws -> Int {
            guard let integer = file.metadata["results.\(key)"]?.integer else {
                throw missing("results.\(key) is missing or no integer")
            }
            return integer
        }
        func tensor(_ name: String) throws -> (dimensions: [Int], elements: HostTensor)? {
            guard let found = file.tensor(named: name) else { return nil }
            let elements: HostTensor = switch found.type {
            case .i32: .index(try file.doubles(of: found).map { Int32($0) })
            case .f32: .float(try file.floats(of: found))
            case .f64: .double(try file.doubles(of: found))
            default: throw missing("\(name) is of type \(found.type.name)")
            }
            return (found.dimensions, elements)
        }
        func ids(_ name: String) throws -> [Int]? { try tensor(name)?.elements.indices?.map(Int.init) }

        architecture = try text("architecture")
        modelName = try text("model.name")
        modelHash = try text("model.sha256")
        engine = try text("engine")
        engineVersion = try text("engine.version")
        device = try text("device")
        deviceSummary = try text("device.summary")
        placement = try text("placement")
        guard let cacheType = StateType(rawValue: try text("cache_type")) else {
            throw missing("results.cache_type is unknown")
        }
        self.cacheType = cacheType
        context = try integer("context")
        guard let pooling = Pooling(rawValue: try integer("pooling")) else {
            throw missing("results.pooling is unknown")
        }
        self.pooling = pooling
        guard let tokens = try ids("tokens"), !tokens.isEmpty else { throw missing("there are no tokens") }
        self.tokens = tokens
        encoderTokens = try ids("encoder_tokens") ?? []
        if let logits = try tensor("logits") {
            (kind, elements, width) = (.logits, logits.elements, logits.dimensions.first ?? 0)
        } else if let embeddings = try tensor("embeddings") {
            (kind, elements, width) = (.embeddings, embeddings.elements, embeddings.dimensions.first ?? 0)
        } else {
            throw missing("there are neither logits nor embeddings")
        }
        guard width > 0, elements.count > 0, elements.indices == nil else {
            throw missing("\(kind.rawValue) are empty")
        }
    }
}
