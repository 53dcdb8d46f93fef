import Foundation

/// Standard error, for a person who watches.
enum Terminal {
    static let isInteractive = isatty(STDERR_FILENO) == 1

    static func error(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    /// A name from a file on one line, whatever it does to a terminal: control characters by their numbers.
    static func printable(_ name: String) -> String {
        guard name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return name }
        return name.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
    }

    /// Shows how far long work has come: one line that is overwritten, on a terminal only.
    static func progress(_ line: String) {
        guard isInteractive else { return }
        FileHandle.standardError.write(Data(("\r\u{1B}[K" + line.prefix(width - 1)).utf8))
    }

    /// Columns; 80 where the terminal does not say.
    private static var width: Int {
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1
        return isKnown ? Int(size.ws_col) : 80
    }

    /// Something that happened on the way.
    static func note(_ line: String) {
        progress("")
        error(line)
    }

    /// Writes a line of results at once, so that what there is can be read while the rest is made.
    static func line(_ text: String) {
        progress("")
        print(text)
        fflush(nil)
    }
}
