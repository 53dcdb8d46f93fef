import Foundation

/// A file that goes when nobody needs it any more.
final class TemporaryFile {
    let path: String

    init(bytes: [UInt8]) throws {
        let folder = FileManager.default.temporaryDirectory
        path = folder.appendingPathComponent("gguf-fuzz-\(UUID().uuidString).gguf").path
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        } catch {
            throw Discard(reason: "\(path): cannot be written")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
