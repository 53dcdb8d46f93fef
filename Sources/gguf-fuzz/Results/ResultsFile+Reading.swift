import Devices
import Engines
import Foundation
import GGUF

extension ResultsFile {
    /// Reads a file of this program's or of `llama-results`'.
    /// - Throws: `GGUFError` or `CommandError`, for a file that is malformed, of another kind, or contradicts itself.
    init(reading path: String) throws {
        let file = try GGUFFile(path: path)
        let reader = ResultsReader(file: file)
        guard let modelPath = file.metadata.string("path_model") else {
            throw reader.failure("path_model is missing or no string")
        }
        self.modelPath = modelPath
        // `llama-results` writes nothing but that.
        let isOurs = file.metadata.keys.contains { $0.hasPrefix("results.") }
        origin = isOurs ? try reader.origin() : .llamaResults
        // Those below 0 are embeddings, of which only files of ours say the number.
        guard let tokens = try reader.indices("tokens", least: isOurs ? .min : 0)?.map(Int.init), !tokens.isEmpty else {
            throw reader.failure("there are no tokens")
        }
        self.tokens = tokens
        encoderTokens = try reader.indices("encoder_tokens")?.map(Int.init) ?? []
        positions = try reader.indices("positions")?.map(Int.init)

        var found = try ["logits", "embeddings", "top_logits"].compactMap { name in
            try reader.floats(name).map { (name: name, tensor: $0) }
        }
        // Beside logits they are more than is compared.
        if isOurs, found.count > 1 { found.removeAll { $0.name == "embeddings" } }
        guard found.count == 1, let (name, rows) = found.first else {
            throw reader.failure("it must hold one of logits, embeddings and top_logits")
        }
        kind = name == "embeddings" ? .embeddings : .logits
        elements = rows.elements
        let count = positions?.count ?? (origin.pooling == 0 ? tokens.count : 1)
        // `llama-results` writes rows of logits, and calls them columns.
        let isTransposed = !isOurs && rows.dimensions.first == tokens.count
        width = isTransposed ? elements.count / max(1, count) : rows.dimensions.first ?? 0
        guard width > 0, rows.dimensions.count <= 2, elements.count == count * width else {
            throw reader.failure("\(name) are \(rows.dimensions), for \(count) rows")
        }
        if let positions {
            let isAscending = zip(positions, positions.dropFirst()).allSatisfy(<)
            guard isAscending, positions.allSatisfy(tokens.indices.contains) else {
                throw reader.failure("positions are not ascending ones of \(tokens.count) tokens")
            }
        }
        if let index = elements.firstIndex(where: { $0.isNaN }) {
            throw reader.failure("\(name) are not a number in row \(index / width), at \(index % width)")
        }
        tops = try reader.indices("top_tokens")
        guard (tops != nil) == (name == "top_logits"), tops?.count ?? elements.count == elements.count else {
            throw reader.failure("top_logits and top_tokens do not go together")
        }
    }
}

/// Reads the values of one results file, with errors that name it.
private struct ResultsReader {
    let file: GGUFFile

    func failure(_ reason: String) -> CommandError { CommandError("\(file.path): is no results file: \(reason)") }

    func origin() throws -> ResultsFile.Origin {
        func text(_ key: String) throws -> String {
            guard let text = file.metadata.string("results.\(key)") else {
                throw failure("results.\(key) is missing or no string")
            }
            return text
        }
        guard let cacheType = StateType(rawValue: try text("cache_type")) else {
            throw failure("results.cache_type is unknown")
        }
        guard let precision = try? JSONDecoder().decode(Precision.self, from: Data(try text("precision").utf8)) else {
            throw failure("results.precision is unknown")
        }
        func integer(_ key: String) throws -> Int {
            guard let integer = file.metadata.integer("results.\(key)"), integer >= 0 else {
                throw failure("results.\(key) is missing or no number")
            }
            return integer
        }
        return ResultsFile.Origin(
            architecture: try text("architecture"),
            modelHash: file.metadata["results.model.sha256"] == nil ? nil : try text("model.sha256"),
            engine: try text("engine"), engineVersion: try text("engine.version"), device: try text("device"),
            deviceSummary: try text("device.summary"), precision: precision, placement: try text("placement"),
            cacheType: cacheType, flashAttention: file.metadata.bool("results.flash_attention"),
            context: try integer("context"), pooling: try integer("pooling"))
    }

    /// - Returns: nil where there is no such tensor.
    func indices(_ name: String, least: Int32 = 0) throws -> [Int32]? {
        guard let tensor = file.tensor(named: name) else { return nil }
        guard tensor.type == .i32 else { throw failure("\(name) are \(tensor.type.name), must be I32") }
        // Whatever is no index is refused here; doubles hold all of them.
        let indices = try file.doubles(of: tensor)
        guard indices.allSatisfy({ $0 >= Double(least) }) else { throw failure("\(name) hold a negative number") }
        return indices.map { Int32($0) }
    }

    func floats(_ name: String) throws -> (dimensions: [Int], elements: [Float])? {
        guard let tensor = file.tensor(named: name) else { return nil }
        guard tensor.type == .f32 else { throw failure("\(name) are \(tensor.type.name), must be F32") }
        guard tensor.elementCount > 0 else { throw failure("\(name) are empty") }
        return (tensor.dimensions, try file.floats(of: tensor))
    }
}
