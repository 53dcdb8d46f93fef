import Foundation
import Testing

@testable import Engines

@Suite("Stacks of dead workers")
struct StackTests {
    private func functions(_ frames: [StackFrame]) -> [String] { frames.functions }

    @Test("are told by names that are short and print as they are")
    func names() {
        #expect(functions([.function("decode"), .function("a\u{1B}[31m\nb"), .function("")]) == ["decode", "a[31mb"])
        #expect(functions([.function(String(repeating: "x", count: 1000))]) == [String(repeating: "x", count: 200)])
        #expect(functions((0..<100).map { .function("f\($0)") }) == (0..<16).map { "f\($0)" })
    }

    @Test("say a function once that calls itself, and nothing of what asked the engine")
    func recursion() {
        let frames = ["f", "f", "g", "f", "WorkerServer.answer", "main"].map(StackFrame.function)
        #expect(functions(frames) == ["f", "g", "f"])
    }

    @Test("name the library alone where no symbol covers the code, and leave out runtimes")
    func libraries() {
        let frames = ["/nowhere/libllama.so.0.5.0", "/lib/libc.so.6", "/nowhere/libggml.so (deleted)", "/nowhere/tool"]
        #expect(
            functions(frames.map { .instruction(file: $0, offset: 64) }) == ["libllama.so", "libggml.so", "tool"])
        // What is no file of code, and what is no file.
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        for path in [#filePath, folder.path, "/dev/zero", ""] {
            for offset in [0, -1, .max] { #expect(functions([.instruction(file: path, offset: offset)]).count <= 1) }
        }
    }

    @Test("are written and read alike")
    func payload() throws {
        let frames: [StackFrame] = [.function("f"), .instruction(file: "/lib/x.so", offset: 258)]
        let frame = Frame(.stack, frames)
        #expect(try frame.read([StackFrame].self) == frames)
        #expect(Array(frame.payload.suffix(9)) == [1, 2, 1, 0, 0, 0, 0, 0, 0])
    }

    #if os(Linux)
        @Test("name functions of C, C++ and Swift without what they take, give and are made from", arguments: [
            ("ggml_view_impl", "ggml_view_impl"),
            ("ggml_compute_forward.part.0", "ggml_compute_forward"),
            ("_ZN13llama_context6decodeERK11llama_batch", "llama_context::decode"),
            ("_ZNK11llama_vocab9token_eomEv", "llama_vocab::token_eom"),
            ("_ZNK11llama_vocab4impl14token_to_pieceB5cxx11Ei", "llama_vocab::impl::token_to_piece"),
            // A template, which says what it gives.
            ("_ZN4ggml3cpu6repack4gemvI10block_q4_KLl4ELl8EL9ggml_type15EEEviPfmPKvS7_ii", "ggml::cpu::repack::gemv"),
            ("_ZNK6engine12_GLOBAL__N_15BlockIiEclEi", "engine::Block::operator()"),
            ("_ZNK1AltERKS_", "A::operator<"), ("_ZlsRSoRK1A", "operator<<"), ("_ZNK1AptEv", "A::operator->"),
            ("_ZNK1AcvbEv", "A::operator bool"), ("_ZZ4mainENKUlvE_clEv", "main::{lambda#1}::operator()"),
            (
                "$s7Engines12WorkerServerO5serve_7version8survivess5NeverOAA6Engine_p_SSSbtFZyAA5FrameVXEfU_TA",
                "closure #1 in WorkerServer.serve"
            ),
        ])
        func functionNames(symbol: String, name: String) { #expect(FunctionName.of(symbol: symbol) == name) }

        @Test("leave out what only reports, and what compilers put between functions", arguments: [
            "ggml_abort", "ggml_print_backtrace", "_ZSt9terminatev", "main", "_start",
            "_ZNSt6vectorIiSaIiEE17_M_default_appendEm",
        ])
        func reporters(symbol: String) { #expect(FunctionName.of(symbol: symbol) == nil) }

        @Test("survive files of code that are cut short or damaged")
        func damagedFiles() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let source = folder.appendingPathComponent("x.c"), library = folder.appendingPathComponent("x.so")
            let text = "int first(int x) { return x + 1; }\nint second(int x) { return x * first(x); }\n"
            try Data(text.utf8).write(to: source)
            try Compiler.run("cc", "-shared", "-fPIC", "-nostdlib", source.path, "-o", library.path)
            let bytes = [UInt8](try Data(contentsOf: library))

            func names(_ bytes: [UInt8]) throws -> Set<String> {
                try Data(bytes).write(to: library)
                guard let table = SymbolTable(path: library.path) else { return [] }
                return Set((0..<bytes.count).compactMap { table.function(at: UInt64($0)) })
            }
            #expect(try names(bytes) == ["first", "second"])
            for count in stride(from: 0, to: bytes.count, by: bytes.count / 20) {
                _ = try names(Array(bytes.prefix(count)))
            }
            // The header, and where the tables of segments and sections are.
            for index in Array(0..<64) + stride(from: bytes.count - 64 * 8, to: bytes.count, by: 8) {
                var damaged = bytes
                damaged[index] = ~damaged[index]
                _ = try names(damaged)
            }
        }
    #endif
}

/// The machine's own compilers.
enum Compiler {
    static func run(_ arguments: String...) throws {
        // A file, not a pipe: workers that are started meanwhile would hold its end.
        let process = Process(), errors = try TemporaryFile()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = errors.handle
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(errors.end(2000))")
    }
}
