/// Where a worker was that died, or what had called what it was in.
enum StackFrame: Hashable {
    /// By name.
    case function(String)
    /// By the file that holds the code, and the byte of it at which the instruction is.
    case instruction(file: String, offset: Int)
}

extension StackFrame: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        let name: String = try payload.read(), offset: Int? = try payload.read()
        self = offset.map { .instruction(file: name, offset: $0) } ?? .function(name)
    }

    func write(to payload: inout PayloadWriter) {
        switch self {
        case .function(let name): payload.write(name, Int?.none)
        case .instruction(let file, let offset): payload.write(file, Int?.some(offset))
        }
    }
}

extension [StackFrame] {
    /// The engine's functions by name, innermost first, 16 at most: without those of handlers and runtimes, and each
    /// that called itself once. Code that no symbol covers is told by its library's name alone, since an offset is of
    /// one build only.
    var functions: [String] {
        var names: [String] = []
        // A worker says what it likes.
        for frame in prefix(64) {
            guard let name = frame.name?.printable else { continue }
            // Who has asked for it does not say where it is.
            if name.hasPrefix("WorkerServer.") { break }
            if name != names.last { names.append(name) }
            if names.count == 16 { break }
        }
        return names
    }
}

extension StackFrame {
    /// Nil where it is a runtime's.
    fileprivate var name: String? {
        switch self {
        case .function(let name): return name
        case .instruction(let file, let offset):
            // Without its version, and without what the system says of a file that has been replaced since.
            let library = String(file.split(separator: "/").last ?? "").replacing(" (deleted)", with: "")
                .replacing(#/\.so\..*/#, with: ".so")
            if Self.runtimes.contains(where: library.hasPrefix) { return nil }
            guard let symbol = SymbolTables.shared.symbol(at: offset, of: file) else { return library }
            return FunctionName.of(symbol: symbol)
        }
    }

    /// What engines are written in and threads come from: their callers say more.
    private static let runtimes = [
        "libc.", "libc-", "ld-", "libpthread", "libm.", "libm-", "libgcc_s", "libstdc++", "libc++", "libswiftCore",
        "libswift_", "libFoundation", "lib_Foundation", "libdispatch", "libswiftDispatch", "libBlocksRuntime",
        "libgomp", "libomp", "libiomp", "libasan", "libubsan", "libclang_rt",
    ]
}

extension String {
    /// Short, on one line, and nothing that a terminal obeys; nil if nothing is left.
    fileprivate var printable: String? {
        let scalars = unicodeScalars.filter { ![.control, .format].contains($0.properties.generalCategory) }.prefix(200)
        return scalars.isEmpty ? nil : String(String.UnicodeScalarView(scalars))
    }
}
