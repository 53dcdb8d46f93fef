import Foundation
import GGUF

/// An installed or built llama.cpp, and the bridge to it: a small library that is compiled against its headers.
public struct LlamaInstallation: Sendable {
    /// As `--engine llama=PREFIX` names it.
    public let prefix: String
    /// Where its libraries are.
    public let libraryFolder: String
    private let includeFolders: [String]
    private let headers: [String]
    /// The files of its libraries, each once.
    public let libraries: [String]

    /// - Parameter prefix: a folder with `include` and `lib`, as an installation, a Python package of llama.cpp or a
    ///   source tree with a `build` has them.
    /// - Throws: `EngineStartError` that says what is missing.
    public init(prefix: String) throws {
        let manager = FileManager.default
        func folder(_ names: [String], with file: String) -> [String] {
            names.map { "\(prefix)/\($0)" }.filter { manager.fileExists(atPath: "\($0)/\(file)") }
        }
        self.prefix = prefix
        guard manager.fileExists(atPath: prefix) else { throw EngineStartError("\(prefix): no such folder") }
        let includes = ["include", "ggml/include", "../include", "../ggml/include"]
        includeFolders = try ["llama.h", "ggml.h", "ggml-backend.h", "gguf.h"].reduce(into: []) { found, header in
            guard let first = folder(includes, with: header).first else {
                throw EngineStartError("\(prefix): no llama.cpp: there is no include/\(header)")
            }
            if !found.contains(first) { found.append(first) }
        }
        let ending = Self.libraryEnding
        let folders = ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "bin", "build/bin"]
        guard let library = folder(folders, with: "libllama.\(ending)").first else {
            throw EngineStartError("\(prefix): no llama.cpp: there is no lib/libllama.\(ending)")
        }
        libraryFolder = library
        func files(_ folder: String, where isWanted: (String) -> Bool) -> [String] {
            let names = (try? manager.contentsOfDirectory(atPath: folder)) ?? []
            return names.filter(isWanted).sorted().map { "\(folder)/\($0)" }
        }
        headers = includeFolders.flatMap { files($0) { $0.hasSuffix(".h") } }
        // A library has several names: one of each is enough.
        libraries = files(library) { name in
            (name.hasPrefix("libllama.") || name.hasPrefix("libggml")) && name.hasSuffix(".\(ending)")
        }
    }

    /// What the environment of a process must have that opens the libraries: what sanitizers need, where they are built
    /// with any.
    public var environment: [String: String] { LlamaSanitizer.environment(of: libraries) }

    #if os(macOS)
        private static let libraryEnding = "dylib"
    #else
        private static let libraryEnding = "so"
    #endif

    /// The compiled bridge: from the cache if it is there for this very llama.cpp, its headers and libraries.
    /// - Parameter willCompile: told the path, before it is compiled.
    /// - Throws: `EngineStartError` in the compiler's own words.
    public func bridge(willCompile: (String) -> Void) throws -> String {
        let key = try contentHash()
        let folder = try Self.cacheFolder().appendingPathComponent("llama-\(key.prefix(16))")
        let library = folder.appendingPathComponent("bridge.\(Self.libraryEnding)")
        if FileManager.default.fileExists(atPath: library.path) { return library.path }
        willCompile(library.path)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for (name, bytes) in [
                ("bridge.c", PackageResources.bridge_c), ("CLlama.h", PackageResources.CLlama_h),
            ] {
                try ReplacementFile.save(bytes, to: folder.appendingPathComponent(name).path)
            }
        } catch let error as GGUFError {
            throw EngineStartError("\(error)")
        } catch {
            throw EngineStartError("\(folder.path): cannot be made a folder: \(error.localizedDescription)")
        }
        try compile(folder, to: library)
        return library.path
    }

    /// Of all that the bridge depends on: a library that was built anew is another one.
    private func contentHash() throws -> String {
        var hash = SHA256()
        PackageResources.bridge_c.withUnsafeBytes { hash.update($0) }
        PackageResources.CLlama_h.withUnsafeBytes { hash.update($0) }
        for file in headers + libraries {
            guard let data = try? Data(contentsOf: URL(fileURLWithPath: file), options: .alwaysMapped) else {
                throw EngineStartError("\(file): cannot be read")
            }
            Data(file.utf8).withUnsafeBytes { hash.update($0) }
            data.withUnsafeBytes { hash.update($0) }
        }
        return hash.finalize()
    }

    /// `$XDG_CACHE_HOME/gguf-fuzz`, or what stands for it.
    private static func cacheFolder() throws -> URL {
        let environment = ProcessInfo.processInfo.environment
        if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") {
            return URL(fileURLWithPath: cache).appendingPathComponent("gguf-fuzz")
        }
        guard let home = environment["HOME"] else {
            throw EngineStartError("neither XDG_CACHE_HOME nor HOME says where the bridge to llama.cpp may be kept")
        }
        return URL(fileURLWithPath: home).appendingPathComponent(".cache/gguf-fuzz")
    }

    /// Where the headers are, and ggml's version where what came with them says it: they do not say it themselves.
    private var headerOrigin: String {
        let files = includeFolders.map { "\($0)/../CMakeLists.txt" } + ["\(libraryFolder)/cmake/ggml/ggml-config.cmake"]
        let version = files.lazy.compactMap { file -> String? in
            guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
            let numbers = text.matches(of: #/set\(GGML_VERSION_(?:MAJOR|MINOR|PATCH) "?([0-9]+)"?\)/#).map(\.1)
            return numbers.count == 3 ? numbers.joined(separator: ".") : nil
        }.first
        return includeFolders[0] + (version.map { " (ggml \($0))" } ?? "")
    }

    /// Words of the headers that the bridge asks for, since a preprocessor cannot: members of structures, constants.
    private var definitions: [String] {
        let text = headers.compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }.joined()
        let bridge = String(decoding: PackageResources.bridge_c, as: UTF8.self)
        return Set(bridge.matches(of: /LLAMA_HAS_([A-Za-z_]+)/).map(\.1)).filter(text.contains).sorted()
            .map { "-DLLAMA_HAS_\($0)" }
    }

    private func compile(_ folder: URL, to library: URL) throws {
        let compiler = ProcessInfo.processInfo.environment["CC"] ?? "cc"
        // Under another name until it is whole: somebody else may be compiling the same.
        let temporary = folder.appendingPathComponent("bridge-\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: temporary) }
        let includes = [folder.path] + includeFolders
        let arguments = ["-O1", "-std=c11", "-Wall", "-Werror=implicit-function-declaration", "-fPIC", "-shared"]
            + ["-fvisibility=hidden", "-DLLAMA_BRIDGE_HEADERS=\(headerOrigin.literal)"] + definitions
            + includes.map { "-I\($0)" }
            + [folder.appendingPathComponent("bridge.c").path, "-o", temporary.path]
            + ["-L\(libraryFolder)", "-lllama", "-lggml", "-lggml-base", "-Wl,-rpath,\(libraryFolder)"]
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [compiler] + arguments
        process.standardOutput = output
        process.standardError = output
        do {
            try process.run()
        } catch {
            throw EngineStartError("\(compiler): cannot be started: \(error.localizedDescription)")
        }
        let words = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw EngineStartError(
                "\(prefix): the bridge to this llama.cpp does not compile; \(compiler) says: \(Self.errors(words))")
        }
        guard rename(temporary.path, library.path) == 0 else {
            throw EngineStartError("\(library.path): cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// The lines that say what is wrong, the first few of them, on one line.
    private static func errors(_ words: String) -> String {
        let lines = words.split(whereSeparator: \.isNewline)
        let errors = lines.filter { $0.contains("error") || $0.contains("undefined") || $0.contains("not found") }
        let said = (errors.isEmpty ? lines : errors).prefix(3).joined(separator: "; ")
        return said.isEmpty ? "nothing" : said
    }
}

extension String {
    /// As C has it.
    fileprivate var literal: String { "\"" + flatMap { $0 == "\\" || $0 == "\"" ? ["\\", $0] : [$0] } + "\"" }
}
