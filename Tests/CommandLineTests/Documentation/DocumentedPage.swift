import Foundation
import Testing

/// A page of the documentation: the README or an article.
struct DocumentedPage: CustomTestStringConvertible {
    static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    static let catalogue = root.appendingPathComponent("Documentation/GGUFFuzz.docc")

    /// A fenced block of code.
    struct Block {
        var language: String
        /// The comment before it, such as `needs a GPU`.
        var marker: String?
        /// What is in it, as indices of the page's lines.
        var range: Range<Int>
    }

    let url: URL
    var lines: [String]
    private(set) var blocks: [Block] = []
    /// Shell commands that are run before the block of that number, and are not shown.
    private(set) var setups: [Int: String] = [:]

    var testDescription: String { url.lastPathComponent }

    init(_ url: URL) throws {
        self.url = url
        lines = try String(contentsOf: url, encoding: .utf8).components(separatedBy: "\n")
        var index = 0
        func end(of isEnd: (String) -> Bool) -> Int {
            lines[(index + 1)...].firstIndex(where: isEnd) ?? lines.count
        }
        while index < lines.count {
            if lines[index].hasPrefix("```") {
                let end = end { $0.hasPrefix("```") }
                let before = index > 0 ? lines[index - 1] : ""
                let marker = before.hasPrefix("<!-- ") && before.hasSuffix(" -->")
                    ? String(before.dropFirst(5).dropLast(4)) : nil
                let language = String(lines[index].dropFirst(3))
                blocks.append(Block(language: language, marker: marker, range: index + 1..<end))
                index = end
            } else if lines[index] == "<!-- setup" {
                let end = end { $0 == "-->" }
                setups[blocks.count] = lines[index + 1..<end].joined(separator: "\n")
                index = end
            }
            index += 1
        }
    }

    /// The README and the articles.
    static func all() throws -> [DocumentedPage] {
        let articles = try FileManager.default.contentsOfDirectory(at: catalogue, includingPropertiesForKeys: nil)
        return try ([root.appendingPathComponent("README.md")] + articles.filter { $0.pathExtension == "md" })
            .sorted { $0.lastPathComponent < $1.lastPathComponent }.map(DocumentedPage.init)
    }

    /// What is not in a block of code.
    var prose: String {
        let code = blocks.map(\.range)
        return lines.indices.filter { index in !code.contains { $0.contains(index) } }.map { lines[$0] }
            .filter { !$0.hasPrefix("```") }.joined(separator: "\n")
    }

    /// The targets of its links in Markdown, outside of code.
    var links: [String] {
        prose.components(separatedBy: "](").dropFirst().compactMap { $0.components(separatedBy: ")").first }
    }
}
