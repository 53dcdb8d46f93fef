import CSystem
import Foundation

/// The name of a function as people say it: without what it takes and gives, of which instance of a template it is, and
/// how a compiler has cut it up.
enum FunctionName {
    /// - Parameter symbol: of C, C++ or Swift.
    /// - Returns: nil for what a compiler has put between two functions, and for what reports that a third is at fault.
    static func of(symbol: String) -> String? {
        // `.cold`, `.part.0`: pieces of a function.
        let whole = String(symbol.prefix { $0 != "." })
        let isSwift = ["$s", "$S", "_T0"].contains(where: whole.hasPrefix)
        return demangled(whole).map { isSwift ? ofSwift($0) : ofCPlusPlus($0) }.map(reported) ?? reported(whole)
    }

    /// - Parameter name: of a function of C or C++, as a debugger says it.
    /// - Returns: as `of(symbol:)`.
    static func of(demangled name: String) -> String? { reported(ofCPlusPlus(name)) }

    private static func reported(_ name: String?) -> String? {
        guard let name, !reporters.contains(where: name.hasPrefix), !["main", "_start"].contains(name) else {
            return nil
        }
        return name
    }

    /// Prefixes of what an assertion or an exception goes through.
    private static let reporters = [
        "ggml_abort", "ggml_print_backtrace", "ggml_uncaught_exception", "std::", "__gnu_cxx::", "__cxa_",
        "_assertionFailure", "_fatalErrorMessage", "fatalError", "__clang_call_terminate",
    ]

    private static func demangled(_ symbol: String) -> String? {
        #if os(Linux)
            var size = 0
            guard let text = _swift_backtrace_demangle(symbol, symbol.utf8.count, nil, &size) else { return nil }
            defer { free(text) }
            return String(cString: text)
        #else
            return nil
        #endif
    }

    private static func ofSwift(_ demangled: String) -> String? {
        var name = demangled
        for prefix in ["merged ", "partial apply for ", "specialized ", "merged ", "implicit "]
        where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
        if ["thunk for ", "protocol witness for ", "dispatch thunk ", "vtable thunk "].contains(where: name.hasPrefix) {
            return nil
        }
        for noise in ["variable initialization expression of ", "static ", "@objc "] {
            name = name.replacing(noise, with: "")
        }
        return withoutBrackets(name)
    }

    private static func ofCPlusPlus(_ demangled: String) -> String? {
        let name = withoutBrackets(demangled.replacing("(anonymous namespace)::", with: ""))
        // `void function const`: what it gives comes before it, unless it is the operator that makes that.
        let words = name.split(separator: " ").filter { !["const", "volatile", "&", "&&", "noexcept"].contains($0) }
        let start = words.firstIndex { $0.hasSuffix("operator") } ?? words.indices.last ?? 0
        return words[start...].joined(separator: " ")
    }

    /// Without what is in `()`, `<>` and `[]`, if it is not the name of an operator.
    private static func withoutBrackets(_ name: String) -> String {
        var result = "", depth = 0
        var rest = name[...]
        while let character = rest.first {
            if depth == 0, result.hasSuffix("operator") {
                let symbols = rest.hasPrefix("()") || rest.hasPrefix("[]") ? rest.prefix(2)
                    : rest.prefix { "<>=!+-*/%^&|~,".contains($0) }
                result += symbols
                rest = rest.dropFirst(symbols.count)
                if !symbols.isEmpty { continue }
            }
            switch character {
            case "(", "<", "[": depth += 1
            case "-" where rest.hasPrefix("->"): rest = rest.dropFirst()
            case ")", ">", "]": depth -= 1
            default: if depth == 0 { result.append(character) }
            }
            rest = rest.dropFirst()
        }
        return result.isEmpty ? name : result
    }
}
