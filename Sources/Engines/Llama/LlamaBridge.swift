import CLlama
import Foundation
import Inference

/// An open bridge: llama.cpp in this process.
final class LlamaBridge: Sendable {
    // The table is constant, and the engine that uses it does so from one thread at a time.
    nonisolated(unsafe) let functions: UnsafePointer<llama_bridge>

    /// Opens the library; a process has one bridge, since llama.cpp's log is the process's.
    /// - Throws: `EngineStartError`.
    init(path: String, libraryFolder: String) throws {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw EngineStartError("\(path): cannot be opened: \(String(cString: dlerror()))")
        }
        guard let table = dlsym(handle, LLAMA_BRIDGE_ENTRY) else {
            throw EngineStartError("\(path): is no bridge to llama.cpp")
        }
        functions = UnsafePointer(table.assumingMemoryBound(to: llama_bridge.self))
        guard functions.pointee.version == LLAMA_BRIDGE_VERSION else {
            throw EngineStartError(
                "\(path): is a bridge of version \(functions.pointee.version), expected \(LLAMA_BRIDGE_VERSION)")
        }
        // What does not fit is not called: it would read garbage.
        var difference = [CChar](repeating: 0, count: 256)
        guard functions.pointee.fits_headers(&difference, difference.count) else {
            let said = difference.withUnsafeBufferPointer { Self.text($0.baseAddress) }
            throw EngineStartError(
                "\(libraryFolder): is of another llama.cpp, \(version), than the headers in "
                    + "\(Self.text(functions.pointee.headers)): \(said)")
        }
        functions.pointee.start(libraryFolder) { text in
            if let text { LlamaLog.shared.append(String(cString: text)) }
        }
    }

    /// What contexts and models of this version can be asked for.
    var settings: Set<Setting> { Set(Self.named(functions.pointee.settings)) }

    /// What contexts of this version can be adapted by.
    var adapters: [Adapter.Kind] { Self.named(functions.pointee.adapters) }

    /// The values that the bridge names, up to the first that is none.
    /// - Parameter names: the last is followed by NULL.
    private static func named<Value: RawRepresentable<String>>(
        _ names: UnsafePointer<UnsafePointer<CChar>?>
    ) -> [Value] {
        var values: [Value] = []
        while let name = names[values.count], let value = Value(rawValue: String(cString: name)) { values.append(value) }
        return values
    }

    var version: String {
        "ggml \(Self.text(functions.pointee.ggml_version())) (\(Self.text(functions.pointee.ggml_commit())))"
    }

    /// Backends that are libraries in a folder and do not load, or that find no device, and why.
    func absentBackends(libraryFolder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: libraryFolder)) ?? []
        let unloaded = names.sorted().compactMap { name -> String? in
            // There are several of the CPU, of which one is wanted.
            guard name.wholeMatch(of: #/libggml-(?!base\.|cpu)[a-z0-9]+\.(so|dylib)/#) != nil else { return nil }
            let path = "\(libraryFolder)/\(name)"
            if dlopen(path, RTLD_LAZY | RTLD_NOLOAD) != nil { return nil }
            guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
                return "\(name): \(Self.text(dlerror()).split(separator: "\n").first ?? "cannot be opened")"
            }
            dlclose(handle)
            return "\(name): finds no device"
        }
        let empty = (0..<functions.pointee.backend_count()).compactMap { index -> String? in
            var devices: Int32 = 0
            let name = Self.text(functions.pointee.backend(index, &devices))
            // Whose devices are machines that one would have to name.
            return devices > 0 || name == "RPC" ? nil : "\(name): finds no device"
        }
        return unloaded + empty
    }

    /// Empty where there is none.
    static func text(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "" }
}

/// What llama.cpp says while it works: why it refuses something is said nowhere else.
final class LlamaLog: @unchecked Sendable {
    static let shared = LlamaLog()
    private let lock = NSLock()
    private var errors: [String] = []

    func append(_ text: String) {
        // The supervisor reads it if the worker dies.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
        let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
        lock.withLock { if !line.isEmpty && errors.count < 100 { errors.append(line) } }
    }

    func clear() { lock.withLock { errors = [] } }

    /// The first error since `clear`: what comes after it are its consequences.
    var reason: String {
        let first = lock.withLock { errors.first } ?? "gives no reason"
        // `function: error loading model: reason`
        let words = first.components(separatedBy: ": ")
        let reason = words.drop { word in
            let isFunction = !word.contains(" ") && ["_", "::", "~"].contains { word.contains($0) }
            let isPreamble = ["error", "failed to load model"].contains { word.hasPrefix($0) } && word != words.last
            return isFunction || isPreamble
        }
        return (reason.isEmpty ? words[...] : reason).joined(separator: ": ")
    }
}
