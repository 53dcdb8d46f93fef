/// What a process needs that opens a llama.cpp built with AddressSanitizer and UndefinedBehaviorSanitizer.
enum LlamaSanitizer {
    /// - Parameter libraries: the files of llama.cpp's libraries.
    /// - Returns: the environment; empty where they are built without.
    static func environment(of libraries: [String]) -> [String: String] {
        #if os(Linux)
            let needed = libraries.lazy.compactMap { CodeFile($0) }.flatMap(\.neededLibraries)
            guard let runtime = needed.first(where: { $0.hasPrefix("libasan.so") || $0.contains("clang_rt.asan") })
            else { return [:] }
            return [
                // Before all else: memory must be the runtime's from the first byte on.
                "LD_PRELOAD": runtime,
                // A signal is reported as ever, by this program's own handler, and so is the end by a report. What is
                // leaked does not matter to a process of toys, and what is freed shall not fill its memory; one that
                // asks for too much gets none, as without the sanitizer.
                "ASAN_OPTIONS": [
                    "abort_on_error=1", "handle_segv=0", "handle_sigbus=0", "handle_sigill=0", "handle_sigfpe=0",
                    "handle_abort=0", "use_sigaltstack=0", "detect_leaks=0", "detect_odr_violation=0", "symbolize=0",
                    "allocator_may_return_null=1", "quarantine_size_mb=32", "malloc_context_size=2",
                ].joined(separator: ":"),
                "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=0:symbolize=0",
            ]
        #else
            return [:]
        #endif
    }
}
