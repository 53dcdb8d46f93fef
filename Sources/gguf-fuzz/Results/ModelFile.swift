import Architectures
import Engines
import Foundation
import GGUF
import Inference
import Tokenizers

/// A model's GGUF file, or the parts that it was split into, as results files know it.
struct ModelFile {
    let path: String
    private var parts: GGUFParts
    /// nil where the architecture is none of ours, or the metadata contradicts itself: other engines may know better.
    let architecture: (any Architecture)?

    var source: FileSource { FileSource(parts) }

    init(path: String) throws {
        self.path = path
        parts = try GGUFParts(path: path)
        architecture = try? ArchitectureCatalog.read(parts.metadata)
        Understanding.noteUnreadKeys(of: parts.metadata, in: path)
    }

    var architectureName: String? { parts.metadata.string("general.architecture") }
    /// Positions that the model was trained on, where its metadata says so.
    var context: Int? { architectureName.flatMap { parts.metadata.integer("\($0).context_length") } }

    /// The tokens that llama.cpp's `llama-results` makes of a prompt: those that mark beginning and end as the model
    /// wants them, and control tokens that the text spells out only as text.
    /// - Throws: `CommandError` where the file has no tokenizer, or the prompt has no tokens.
    func tokens(of prompt: String) throws -> [Int] {
        let ids = try CommandError.naming(path) { try Tokenizer(parts.metadata).encode(prompt, addSpecial: true) }
        guard !ids.isEmpty else { throw CommandError("--prompt: has no tokens") }
        return ids
    }

    /// Lets go of what only the tokenizer needs: a large vocabulary and its merges take as much memory as some weights.
    mutating func removeTokenizer() {
        // A model may leave it to the tokens to say how many there are.
        let isCounted = architectureName.map { parts.metadata["\($0).vocab_size"] != nil } ?? false
        parts = parts.removingMetadata { key, value in
            key.hasPrefix("tokenizer.") && value.array != nil && (isCounted || key != "tokenizer.ggml.tokens")
        }
    }

    /// Reads all of the model, so that it lies in memory before it is needed, and shows how far that has come.
    /// - Parameter hashing: whether to work out the SHA-256 of the content, of all parts in their order.
    /// - Returns: the hash, in hexadecimal.
    /// - Throws: `CommandError`.
    func read(hashing: Bool) throws -> String? {
        let size = source.files.reduce(0) { $0 + $1.byteCount }
        // What does not fit into memory would be read for nothing.
        guard hashing || UInt64(size) <= ProcessInfo.processInfo.physicalMemory else { return nil }
        var hash = SHA256()
        var done = 0
        try ProgressLine.during("\(path): reading") { update in
            for file in source.files {
                // Not where it is mapped: the pages would count as this process's a second time.
                try FileBytes.forEachPiece(of: file.path) { piece in
                    if hashing { hash.update(piece) }
                    done += piece.count
                    update("\(path): reading, \(Format.bytes(done)) of \(Format.bytes(size))")
                }
            }
        }
        return hashing ? hash.finalize() : nil
    }
}
