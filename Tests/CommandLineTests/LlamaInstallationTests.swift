import Foundation
import Testing

@Suite("A llama.cpp that is none")
struct LlamaInstallationTests {
    private let headers = ["llama.h", "ggml.h", "ggml-backend.h", "gguf.h"]

    private func refusal(of files: [String: String], _ arguments: [String] = ["devices"]) throws -> String? {
        try withTemporaryFolder { folder in
            let root = URL(fileURLWithPath: folder).appendingPathComponent("prefix")
            for (name, text) in files {
                let file = root.appendingPathComponent(name)
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: file)
            }
            let program = try Program(arguments: arguments + ["--engine", "llama=prefix"], in: folder)
            // What was compiled in vain says so first.
            let lines = program.errors.split(separator: "\n")
            #expect(program.status == 2 && program.output.isEmpty && lines.count <= 2)
            return lines.last.map(String.init)
        }
    }

    @Test("a folder, a header or a library that is not there is named")
    func missing() throws {
        #expect(try refusal(of: [:])?.contains("prefix: no such folder") == true)
        #expect(try refusal(of: ["include/ggml.h": ""])?.contains("there is no include/llama.h") == true)
        let all = Dictionary(uniqueKeysWithValues: headers.map { ("include/\($0)", "") })
        #expect(try refusal(of: all)?.contains("no llama.cpp: there is no lib/libllama.") == true)
    }

    @Test("headers of another API are refused in the compiler's own words")
    func otherAPI() throws {
        var files = Dictionary(uniqueKeysWithValues: headers.map { ("include/\($0)", "// nothing\n") })
        files["lib/libllama.so"] = "no library"
        files["lib/libllama.dylib"] = "no library"
        let line = try refusal(of: files)
        #expect(line?.contains("the bridge to this llama.cpp does not compile") == true)
        #expect(line?.contains("bridge.c:") == true && line?.contains("error") == true)
    }

    // MARK: Headers of another version than the library

    /// The last line of the program, given a llama.cpp whose library is compiled from the header after `changes`.
    private func refusal(ofLibraryWith changes: [(old: String, new: String)]) throws -> String? {
        let header = try String(
            contentsOf: URL(fileURLWithPath: #filePath).appendingPathComponent("../FakeLlama/llama.h").standardized,
            encoding: .utf8)
        let source = changes.reduce(header) { text, change in
            #expect(text.contains(change.old))
            return text.replacingOccurrences(of: change.old, with: change.new)
        }
        #if os(macOS)
            let ending = "dylib"
        #else
            let ending = "so"
        #endif
        return try withTemporaryFolder { folder in
            let manager = FileManager.default
            for name in ["prefix/include", "prefix/lib"] {
                try manager.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            }
            var files = Dictionary(uniqueKeysWithValues: headers.map { ("include/\($0)", "#include \"llama.h\"\n") })
            files["include/llama.h"] = header
            files["CMakeLists.txt"] =
                ["MAJOR 1", "MINOR 3", "PATCH 0"].map { "set(GGML_VERSION_\($0))\n" }.joined()
            files["library.c"] = source
            for (name, text) in files {
                try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/prefix/\(name)"))
            }
            let library = "prefix/lib/libllama.\(ending)"
            let compiler = try Tool(
                "/usr/bin/env", ["cc", "-DLIBRARY", "-w", "-fPIC", "-shared", "prefix/library.c", "-o", library],
                in: folder)
            try #require(compiler.status == 0, "\(compiler.errors)")
            for name in ["ggml", "ggml-base"] {
                try manager.createSymbolicLink(
                    atPath: "\(folder)/prefix/lib/lib\(name).\(ending)", withDestinationPath: "libllama.\(ending)")
            }
            let program = try Tool(
                "/usr/bin/env",
                ["XDG_CACHE_HOME=\(folder)/cache", Program.executable.path, "devices", "--engine", "llama=prefix"],
                in: folder)
            // It says first that it compiles.
            let lines = program.errors.split(separator: "\n").map(String.init)
            #expect(program.status == 2 && program.output.isEmpty && lines.count == 2)
            return lines.last
        }
    }

    private let end = (old: "    void *samplers;\n", longer: "    void *samplers;\n    void *more;\n")

    @Test("a library of the headers' version goes on to be asked for its devices")
    func sameVersion() throws {
        #expect(try refusal(ofLibraryWith: [])?.contains("llama.cpp has no device") == true)
    }

    @Test("a library whose structures are longer or shorter is refused, and both versions are named")
    func otherSize() throws {
        let longer = try #require(try refusal(ofLibraryWith: [(end.old, end.longer)]))
        #expect(longer.contains("prefix/lib: is of another llama.cpp, ggml 1.2.3 (abc), than the headers in "))
        #expect(longer.contains("prefix/include (ggml 1.3.0): "))
        #expect(longer.contains("llama_context_params has 80 bytes in the headers and 88 in the library"))
        let shorter = try #require(try refusal(ofLibraryWith: [(end.old, "")]))
        #expect(shorter.contains("llama_context_params has 80 bytes in the headers and 72 in the library"))
        let batch = try #require(try refusal(ofLibraryWith: [("    float *embd;\n", "")]))
        #expect(batch.contains("llama_batch has 56 bytes in the headers and 48 in the library"))
    }

    @Test("a library whose structures are as long, with members in other places, is refused")
    func otherPlaces() throws {
        let moved = try refusal(ofLibraryWith: [
            ("    float yarn_ext_factor;\n", ""),
            ("    uint32_t n_ctx;\n", "    float yarn_ext_factor;\n    uint32_t n_ctx;\n"),
        ])
        #expect(moved?.contains("llama_context_params.n_seq_max is elsewhere in the library than in the") == true)
        let flag = try refusal(ofLibraryWith: [("    bool vocab_only;\n", "")])
        #expect(flag?.contains("llama_model_params") == true)
    }
}
