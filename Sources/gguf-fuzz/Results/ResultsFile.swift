import Devices
import Engines
import Foundation
import GGUF

/// What a model gave for one sequence of tokens, kept to be compared with what it gives elsewhere or later.
///
/// A GGUF file that llama.cpp's `llama-results` can check: `path_model`, the tensor `tokens` (I32), and the tensor
/// `logits` (F32, a row for each token). What else there is, that tool does not look at: where the results come from,
/// as `results.*` metadata; `encoder_tokens` (I32), of models with an encoder and a decoder; `positions` (I32), where
/// there are results of some tokens only; `layer.N` (F32, a row for each token), the residual stream after block N, and
/// `encoder_layer.N`, where they were asked for; `embeddings` instead of `logits`, of models that have no logits, one
/// row if they pool; `top_logits` and `top_tokens` (I32) instead of `logits`, where only the greatest of each row are
/// kept.
struct ResultsFile {
    /// As it was named on the command line, which `llama-results` compares.
    var modelPath: String
    var origin: Origin
    var tokens: [Int]
    var encoderTokens: [Int] = []
    /// The tokens that the rows are of, ascending; nil: of all, or one row of a model that pools.
    var positions: [Int]?
    var kind: Results.Kind
    var width: Int
    /// `[rows, width]`
    var elements: [Float]
    /// `[rows, width]`: the tokens that the logits are of, the greatest logit first; nil: of the whole vocabulary.
    var tops: [Int32]?

    /// Where results come from. `llama-results` says nothing of this.
    struct Origin {
        var architecture = ""
        /// SHA-256 of the model's content.
        var modelHash: String?
        var engine = ""
        var engineVersion = ""
        var device = ""
        var deviceSummary = ""
        var precision: Precision
        var placement = ""
        var cacheType: StateType
        /// Of engines that have the choice; nil: none was made.
        var flashAttention: Bool?
        /// nil: as the model says.
        var context: Int?
        /// The raw value of how the embeddings became one.
        var pooling = 0

        /// A file of `llama-results` with the tool's default cache and attention, of ggml's CPU backend.
        static let llamaResults = Origin(
            engine: "llama-results", device: "llama-results", precision: .ggmlCPU, placement: "llama-results",
            cacheType: .half, flashAttention: true)
    }

    var rowCount: Int { elements.count / width }
    func row(_ index: Int) -> ArraySlice<Float> { elements[index * width..<(index + 1) * width] }
    /// The tokens of a row; nil: all of the vocabulary.
    func tops(_ index: Int) -> ArraySlice<Int32>? { tops.map { $0[index * width..<(index + 1) * width] } }

    /// The token that a row is of; nil where it is of all.
    func position(_ index: Int) -> Int? {
        positions.map { $0[index] } ?? (rowCount == tokens.count && origin.pooling == 0 ? index : nil)
    }
}

// MARK: Writing

extension ResultsFile {
    /// - Parameters:
    ///   - hash: SHA-256 of the model's content.
    ///   - blocks: the residual stream after each block.
    /// - Throws: `GGUFError`, `CommandError`.
    static func write(
        _ rows: RowFile, blocks: [BlockRows] = [], of evaluation: Evaluation, model: ModelFile, hash: String?,
        engine: PlacedEngine, to path: String
    ) throws {
        var metadata = Metadata()
        metadata["general.type"] = .string("results")
        metadata["path_model"] = .string(model.path)
        for (key, text) in [
            ("architecture", model.architectureName ?? ""), ("model.sha256", hash), ("engine", engine.engine.name),
            ("engine.version", engine.version), ("device", engine.device.name),
            ("device.summary", engine.device.summary), ("precision", engine.device.precision.json),
            ("placement", engine.placement.description), ("cache_type", evaluation.cacheType.rawValue),
            ("writer", "gguf-fuzz \(GGUFFuzz.version)"),
        ] {
            if let text { metadata["results.\(key)"] = .string(text) }
        }
        metadata["results.flash_attention"] = evaluation.flashAttention.map(MetadataValue.bool)
        metadata["results.context"] = .uint32(UInt32(clamping: evaluation.context))
        let pooling = rows.kind == .embeddings ? model.architecture?.traits.pooling.rawValue ?? 0 : 0
        metadata["results.pooling"] = .uint32(UInt32(clamping: pooling))

        func indices(_ name: String, _ dimensions: [Int], _ values: [Int]) -> GGUFWriter.Tensor {
            let elements = values.map { Int32(clamping: $0).littleEndian }
            return GGUFWriter.Tensor(name: name, dimensions: dimensions, type: .i32) {
                try elements.withUnsafeBytes($0)
            }
        }
        var tensors = [indices("tokens", [evaluation.tokens.count], evaluation.tokens)]
        if !evaluation.encoderTokens.isEmpty {
            tensors.append(indices("encoder_tokens", [evaluation.encoderTokens.count], evaluation.encoderTokens))
        }
        if let positions = evaluation.positions { tensors.append(indices("positions", [positions.count], positions)) }
        let dimensions = [rows.width, rows.keys.count]
        tensors.append(
            GGUFWriter.Tensor(
                name: rows.tops == nil ? rows.kind.rawValue : "top_logits", dimensions: dimensions, type: .f32,
                withBytes: rows.forEachPiece))
        if let tops = rows.tops { tensors.append(indices("top_tokens", dimensions, tops)) }
        tensors += blocks.map { block in
            let elements = block.elements.map(\.bitPattern.littleEndian)
            return GGUFWriter.Tensor(
                name: block.name, dimensions: [block.width, elements.count / block.width], type: .f32
            ) { try elements.withUnsafeBytes($0) }
        }
        try GGUFWriter.write(metadata, tensors, to: path)
    }
}

extension Precision {
    /// As a key's value: `{"accumulation":"float32","storage":"float32"}`.
    fileprivate var json: String? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// The greatest of many elements, which come one after the other.
struct GreatestElements {
    let count: Int
    /// With their indices, the greatest first; of equal ones the first.
    private(set) var best: [(index: Int, element: Double)] = []

    init(count: Int) { self.count = count }

    /// - Parameter first: the index of the first one.
    mutating func add(_ elements: ArraySlice<Double>, from first: Int) {
        for (index, element) in elements.enumerated() {
            if best.count == count, let last = best.last, element <= last.element { continue }
            // Few enter, so that a search from the end is short.
            var place = best.count
            while place > 0, best[place - 1].element < element { place -= 1 }
            best.insert((first + index, element), at: place)
            if best.count > count { best.removeLast() }
        }
    }
}
