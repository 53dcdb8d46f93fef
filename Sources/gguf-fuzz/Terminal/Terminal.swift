import CSystem
import Foundation

/// Standard error, for a person who watches.
enum Terminal {
    /// Whether what is written can be overwritten.
    static let isInteractive =
        isatty(STDERR_FILENO) == 1 && !["", "dumb"].contains(ProcessInfo.processInfo.environment["TERM"] ?? "")
    /// Whether colours are wanted (no-color.org).
    private static let hasColours = (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty

    /// Text, and how it stands out where the terminal can show that.
    struct Span: ExpressibleByStringInterpolation {
        var text: String
        var style = Style.plain

        enum Style: String {
            case plain = ""
            case faint = "2"
            case strong = "1"
            case alarming = "1;31"
        }

        init(_ text: String, _ style: Style = .plain) { (self.text, self.style) = (text, style) }
        init(stringLiteral text: String) { self.text = text }

        fileprivate var escaped: String {
            style == .plain || !Terminal.hasColours ? text : "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
        }
    }

    static func error(_ line: String) { write(line + "\n") }

    /// A name from a file on one line, whatever it does to a terminal: control characters by their numbers.
    static func printable(_ name: String) -> String {
        guard name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return name }
        return name.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
    }

    // MARK: What is drawn over

    /// Shows how far long work has come: one line that is overwritten, on a terminal only.
    static func progress(_ line: String) { progress(line.isEmpty ? [] : [[Span(line)]]) }

    /// The same of several lines. Those that are too long, or too many, are cut.
    static func progress(_ lines: [[Span]]) {
        guard isInteractive else { return }
        drawing.lock.withLock { write(drawing.replacement(by: lines)) }
    }

    /// Something that happened on the way.
    static func note(_ line: String, _ style: Span.Style = .plain) {
        guard isInteractive else { return error(line) }
        drawing.lock.withLock { write(drawing.replacement(by: []) + Span(line, style).escaped + "\n") }
    }

    /// Writes a line of results at once, so that what there is can be read while the rest is made.
    static func line(_ text: String) {
        progress("")
        print(text)
        csystem_flush_output()
    }

    /// Nobody can be told that standard error cannot be written; that is no reason to end.
    private static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

    private static let drawing = Drawing()

    /// What is drawn at the end of the terminal.
    private final class Drawing: @unchecked Sendable {
        let lock = NSLock()
        /// Lengths of the lines.
        private var lengths: [Int] = []

        /// What puts other lines there. The cursor stays in the last one.
        func replacement(by lines: [[Span]]) -> String {
            guard !(lengths.isEmpty && lines.isEmpty) else { return "" }
            let (columns, rows) = Terminal.size
            // A terminal that has become narrower has wrapped them.
            let up = lengths.map { max(1, ($0 + columns - 1) / columns) }.reduce(0, +) - 1
            let lines = lines.prefix(max(1, rows - 1)).map { Self.cut($0, to: columns - 1) }
            lengths = lines.map { $0.reduce(0) { $0 + $1.text.count } }
            return (up > 0 ? "\u{1B}[\(up)A" : "") + "\r\u{1B}[J"
                + lines.map { $0.map(\.escaped).joined() }.joined(separator: "\n")
        }

        private static func cut(_ line: [Span], to length: Int) -> [Span] {
            var left = length
            return line.compactMap { span in
                guard left > 0 else { return nil }
                let text = String(span.text.prefix(left))
                left -= text.count
                return Span(text, span.style)
            }
        }
    }

    /// 80 columns and 24 rows where the terminal does not say.
    private static var size: (columns: Int, rows: Int) {
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 && size.ws_row > 0
        return isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
    }
}
