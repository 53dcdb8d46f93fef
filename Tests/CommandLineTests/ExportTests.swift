import Foundation
import GGUF
import Testing

/// What `export` writes for cases of llama.cpp's devices: a model, and a C++ program that shows the failure.
@Suite("Export")
struct ExportTests {
    private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized
    private static let corpus = root.appendingPathComponent("Corpus/llama.cpp").path

    /// Of every check, of outputs of every kind, and of devices that this machine may not have.
    private static let files = [
        "shift-scales-keys", "keep-of-other-sequence-refused", "t5-sequence-without-source", "pooling-of-sequences",
        "cuda-delta-rule-head-size", "copy-is-not-saved", "cuda-tensor-split-of-attention", "unused-tensors-in-memory",
        "optional-tensors-required", "cuda-half-products-overflow", "cuda-shift-of-bf16-keys", "no-layers",
    ]

    private static func export(_ file: String, in folder: String, _ arguments: String...) throws -> Program {
        let program = try Program(arguments: ["export", file, "-o", "model.gguf"] + arguments, in: folder)
        try #require(program.status == 0, "\(file): \(program)")
        return program
    }

    /// A case that llama.cpp gets right, with changes to its text.
    private static func write(_ changes: [(old: String, new: String)] = [], to path: String) throws {
        let text = try String(contentsOfFile: "\(corpus)/shift-scales-keys.json", encoding: .utf8)
        let factor = #"{"key": "llama.rope.scaling.attn_factor", "type": "float32", "value": 0.5},"#
        let changed = try ([(factor, "")] + changes).reduce(text) { text, change in
            try #require(text.contains(change.old))
            return text.replacingOccurrences(of: change.old, with: change.new)
        }
        try Data(changed.utf8).write(to: URL(fileURLWithPath: path))
    }

    // MARK: Without llama.cpp

    @Test("programs are C++ that compiles without a warning", arguments: files)
    func syntax(file: String) throws {
        try withTemporaryFolder { folder in
            _ = try Self.export("\(Self.corpus)/\(file).json", in: folder)
            let header = URL(fileURLWithPath: #filePath).appendingPathComponent("../FakeLlama/llama.h").standardized
            try FileManager.default.copyItem(atPath: header.path, toPath: folder + "/llama.h")
            try Data("#include \"llama.h\"\n".utf8).write(to: URL(fileURLWithPath: folder + "/gguf.h"))
            let options = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unknown-warning-option", "-Werror"]
            let compiler = try Tool("/usr/bin/env", ["c++"] + options + ["-I.", "model.cpp"], in: folder)
            #expect(compiler.status == 0, "\(compiler.errors)")
        }
    }

    @Test("the program is beside the model and named for it, or where it is asked to be")
    func places() throws {
        try withTemporaryFolder { folder in
            try Self.write(to: folder + "/case.json")
            let beside = try Self.export("case.json", in: folder)
            #expect(beside.output.contains("\nc++ -std=c++17 model.cpp -o model -I PREFIX/include "))
            #expect(!beside.output.contains("not shown by this program"))
            try FileManager.default.createDirectory(atPath: folder + "/other", withIntermediateDirectories: true)
            _ = try Self.export("case.json", in: folder, "--program", "other/issue.cpp")
            let texts = try ["model.cpp", "other/issue.cpp"].map {
                try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8)
            }
            #expect(texts[0].contains("//   ./model [model.gguf]\n"))
            #expect(texts[1].contains("//   ./issue [model.gguf]\n"))

            for (path, reason) in [("model.gguf", "is the model itself"), ("nowhere/x.cpp", "nowhere/x.cpp")] {
                let refused = try Program(
                    "export", "case.json", "-o", "model.gguf", "--program", path, in: folder)
                #expect(refused.status == 2 && refused.errors.contains(reason), "\(refused)")
                #expect(refused.errors.count { $0 == "\n" } == 1)
            }
        }
    }

    @Test("a transformed model is written too, and what a program cannot show is said")
    func limits() throws {
        try withTemporaryFolder { folder in
            let exported = try Self.export("\(Self.corpus)/cuda-shift-of-bf16-keys.json", in: folder)
            #expect(exported.output.contains("\n  errors that llama:CUDA0 may make: "))
            let (model, other) = try (
                GGUFFile(path: folder + "/model.gguf"), GGUFFile(path: folder + "/model-transformed.gguf")
            )
            #expect(model.tensors.map(\.name) == other.tensors.map(\.name))

            try Self.write([("llama:CPU", "cpu")], to: folder + "/builtin.json")
            let builtin = try Self.export("builtin.json", in: folder)
            #expect(builtin.output.contains("not shown by this program:\n  what is wrong on cpu: "))
        }
    }

    // MARK: With llama.cpp

    /// A llama.cpp with headers, of the Python that `GGUF_FUZZ_PYTHON` names, and the version of its package.
    private static let llama: (prefix: String, version: String)? = {
        guard let python = ProcessInfo.processInfo.environment["GGUF_FUZZ_PYTHON"] else { return nil }
        let script = "import importlib.metadata, sysconfig\n"
            + "print(sysconfig.get_path('platlib'), importlib.metadata.version('llama-cpp-python'), sep='\\n')"
        let lines = (try? Tool(python, ["-c", script], in: "/"))?.output.split(separator: "\n").map(String.init) ?? []
        let isLlama = lines.count == 2 && FileManager.default.fileExists(atPath: lines[0] + "/include/llama.h")
        return isLlama ? (lines[0], lines[1]) : nil
    }()

    private static var needsLlama: ConditionTrait {
        .enabled(if: llama != nil, "GGUF_FUZZ_PYTHON names no Python with llama-cpp-python")
    }

    /// Others may have mended what fails.
    private static var needsFindings: ConditionTrait {
        .enabled(if: llama?.version == "0.3.36", "GGUF_FUZZ_PYTHON names no Python with llama-cpp-python 0.3.36")
    }

    /// Runs the compiled program of a folder.
    private static func run(in folder: String, _ arguments: String...) throws -> Tool {
        let prefix = try #require(llama).prefix
        if !FileManager.default.fileExists(atPath: folder + "/model") {
            let libraries = ["-I", prefix + "/include", "-L", prefix + "/lib", "-Wl,-rpath,\(prefix)/lib"]
                + ["-lllama", "-lggml", "-lggml-base"]
            let compiler = try Tool(
                "/usr/bin/env", ["c++", "-std=c++17", "model.cpp", "-o", "model"] + libraries, in: folder)
            try #require(compiler.status == 0, "\(compiler.errors)")
        }
        // An assertion of ggml's would start a debugger, which takes a second.
        return try Tool("/usr/bin/env", ["GGML_NO_BACKTRACE=1", folder + "/model"] + arguments, in: folder)
    }

    @Test("programs show what was found", needsFindings, arguments: [
        ("shift-scales-keys", "step 2, row 0: error 0.0254 of the row's length"),
        ("copy-is-not-saved", "step 4, row 0: error 0.37 of the row's length"),
        ("sequences-of-unequal-length", "step 0, row 1: error 0.438 of the row's length"),
        ("t5-sequence-without-source", "step 1, row 0: error nan"),
        ("deepseek2-saved-with-tenfold-multiplier", "the saved model gives other bits: step 0, row 1"),
        ("unused-tensors-in-memory", "blk.0.ssm_out.bias is missing"),
        ("optional-tensors-required", "FAILED: the model in its file is loaded"),
        ("keep-of-other-sequence-refused", "FAILED: the batch is processed"),
    ])
    func failures(file: String, seen: String) throws {
        try withTemporaryFolder { folder in
            _ = try Self.export("\(Self.corpus)/\(file).json", in: folder)
            let found = try Self.run(in: folder)
            let text = (found.output + found.errors).replacingOccurrences(of: "-nan", with: "nan")
            #expect(found.status == 1 && text.contains(seen), "\(found)")
        }
    }

    @Test("the last that a program says before it crashes is what it was doing", needsFindings, arguments: [
        ("shift-of-bf16-keys", "step 2: process 1 token at 2"), ("no-layers", "loading it as a model in memory"),
        ("pooling-of-sequences", "opening a context"), ("t5-save", "saving it"),
    ])
    func crash(file: String, last: String) throws {
        try withTemporaryFolder { folder in
            _ = try Self.export("\(Self.corpus)/\(file).json", in: folder)
            let found = try Self.run(in: folder)
            let lines = found.errors.split(separator: "\n").filter { !$0.contains("llama.cpp/") }
            #expect(found.status < 0 && lines.last.map(String.init) == last, "\(found)")
        }
    }

    private static let right: [[(old: String, new: String)]] =
        ["agrees", "chunking", "isolation", "state", "placement", "determinism", "roundtrip", "loaders"].map { check in
            [("\"check\": \"agrees\"", "\"check\": \"\(check)\"")]
        } + [
            [
                ("\"check\": \"agrees\"", "\"check\": \"metamorphic\""),
                ("\"recipe\":", "\"transformation\": {\"kind\": \"heads\", \"seed\": 1}, \"recipe\":"),
            ],
            [("\"cacheType\":", "\"outputAccess\": \"fromEnd\", \"cacheType\":")],
            [("\"cacheType\":", "\"outputAccess\": \"array\", \"cacheType\":")],
            // Pooled: each batch by itself.
            [
                ("{\"shift\": {\"by\": 1, \"from\": 0, \"sequence\": 0}},", ""),
                ("\"positions\": [2]", "\"positions\": [0]"),
                (
                    "{\"key\": \"llama.block_count\"",
                    "{\"key\": \"llama.pooling_type\", \"type\": \"uint32\", \"value\": 1},"
                        + "{\"key\": \"llama.block_count\""
                ),
            ],
        ]

    @Test("programs of every check end well where all is right", needsLlama, arguments: right)
    func success(changes: [(old: String, new: String)]) throws {
        try withTemporaryFolder { folder in
            try Self.write(changes, to: folder + "/case.json")
            _ = try Self.export("case.json", in: folder)
            let found = try Self.run(in: folder)
            #expect(found.status == 0, "\(found)")
        }
    }

    @Test("what is expected is of the very model", needsLlama)
    func otherModel() throws {
        try withTemporaryFolder { folder in
            try Self.write([("\"seed\": 0", "\"seed\": 1")], to: folder + "/other.json")
            _ = try Self.export("other.json", in: folder)
            try FileManager.default.moveItem(atPath: folder + "/model.gguf", toPath: folder + "/other.gguf")
            try Self.write(to: folder + "/case.json")
            _ = try Self.export("case.json", in: folder)
            let found = try Self.run(in: folder, "other.gguf")
            #expect(found.status == 1 && found.output.contains("step 0, row 0: ") && found.output.contains("WRONG"))
            let missing = try Self.run(in: folder, "missing.gguf")
            #expect(missing.status == 2 && missing.errors.hasSuffix("not available: missing.gguf\n"), "\(missing)")
        }
    }
}
