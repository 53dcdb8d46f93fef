import Testing

@testable import Engines

@Suite("Reports of sanitizers")
struct SanitizerReportTests {
    @Test("say what is wrong, and where it was read or written")
    func address() throws {
        let text = """
            llama_model_loader: loaded meta data
            =================================================================
            ==4242==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000011 at pc 0x7f0a bp 0x7ffc sp 0x7ff8
            READ of size 1 at 0x602000000011 thread T0
                #0 0x7f0a11 in __interceptor_memcpy ../../../../src/libsanitizer/asan/asan.cpp:1
                #1 0x7f0a12 in ggml::cpu::(anonymous namespace)::copy<float>(float const*, int) /src/ggml.cpp:12
                #2 0x7f0a13 in llama_vocab::impl::load(llama_model_loader&, LLM_KV const&) /src/llama-vocab.cpp:2034:7
                #3 0x7f0a14 in llama_decode (/lib/libllama.so.0+0x1234)
                #4 0x7f0a15  (/lib/libc.so.6+0x271c9)

            0x602000000011 is located 0 bytes to the right of 1-byte region [0x602000000010,0x602000000011)
            allocated by thread T0 here:
                #0 0x7f0b11 in operator new(unsigned long) ../../../../src/libsanitizer/asan/asan_new.cpp:99
                #1 0x7f0b12 in elsewhere(int) /src/ggml.cpp:900

            SUMMARY: AddressSanitizer: heap-buffer-overflow /src/ggml.cpp:12 in copy
            Shadow bytes around the buggy address:
              0x0c047fff7fb0: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            ==4242==ABORTING
            """
        let report = try #require(SanitizerReport(in: text))
        #expect(report.kind == "AddressSanitizer: heap-buffer-overflow")
        #expect(report.line.hasPrefix("==4242==ERROR: AddressSanitizer: heap-buffer-overflow on address"))
        // Not what the sanitizer has in the C library's place.
        #expect(report.frames.functions == ["ggml::cpu::copy", "llama_vocab::impl::load", "llama_decode"])
    }

    @Test("of arithmetic are told by the file, and not by addresses")
    func arithmetic() throws {
        let text = """
            warning: nothing
            /build/ggml/src/ggml-quants.c:123:45: runtime error: load of misaligned address 0x7ffee1 for type 'float', which
            0x7ffee1: note: pointer points here
             00 00 00  00 00 80 3f
                 #0 0x7f0a12 in dequantize_row_q4_K /build/ggml/src/ggml-quants.c:123
                 #1 0x7f0a13 in main /build/main.c:1

            """
        let report = try #require(SanitizerReport(in: text))
        #expect(
            report.kind == "ggml-quants.c: runtime error: load of misaligned address 0 for type 'float', which")
        #expect(report.frames.functions == ["dequantize_row_q4_K"])
        let bare = try #require(SanitizerReport(in: "gguf.cpp:7:9: runtime error: division by zero\n"))
        #expect(bare.kind == "gguf.cpp: runtime error: division by zero" && bare.frames.isEmpty)
    }

    @Test("are told apart by what they say before the address", arguments: [
        ("==1==ERROR: AddressSanitizer: attempting double-free on 0x60 in thread T0:", "attempting double-free"),
        (
            "==1==ERROR: AddressSanitizer: requested allocation size 0xffffffff (0x0 after adjustments) exceeds",
            "requested allocation size"
        ),
        (
            "==1==ERROR: AddressSanitizer: allocator is out of memory trying to allocate 0x40 bytes",
            "allocator is out of memory trying to allocate"
        ),
        ("==1==ERROR: AddressSanitizer: memcpy-param-overlap: memory ranges [0x1,0x2)", "memcpy-param-overlap"),
        ("==1==ERROR: AddressSanitizer: heap-use-after-free", "heap-use-after-free"),
    ])
    func kinds(line: String, kind: String) {
        #expect(SanitizerReport(in: line)?.kind == "AddressSanitizer: \(kind)")
        #expect(EngineDeath(.signal(6, "SIGABRT"), lastWords: line).assertion == "AddressSanitizer: \(kind)")
    }

    @Test("are not seen where there is none", arguments: [
        "", "ERROR: out of memory", "x.c:3: n > 0", "a: runtime error: b", "#0 0x1 in f x.c:1", "\n\n",
        "AddressSanitizer: heap-buffer-overflow",
    ])
    func none(text: String) { #expect(SanitizerReport(in: text) == nil) }
}
