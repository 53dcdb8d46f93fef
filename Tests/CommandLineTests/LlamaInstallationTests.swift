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
}
