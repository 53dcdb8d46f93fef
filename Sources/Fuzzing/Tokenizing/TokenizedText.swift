import Engines
import Foundation
import GGUF

/// A text of the check `tokenizes`, in pieces, and how it is made tokens of.
public struct TokenizedText: Hashable, Sendable {
    /// Bytes that come once or again and again.
    public struct Piece: Hashable, Sendable {
        public var bytes: [UInt8]
        public var times: Int

        public init(_ bytes: [UInt8], times: Int = 1) {
            self.bytes = bytes
            self.times = times
        }

        public init(_ text: String, times: Int = 1) { self.init(Array(text.utf8), times: times) }

        fileprivate var summary: String {
            let text = String(validating: bytes, as: UTF8.self)
            let words = text.map { MetadataValue.string($0).summary } ?? "bytes \(hexadecimal)"
            return words + (times == 1 ? "" : " \(times) times")
        }

        fileprivate var hexadecimal: String { bytes.map { String(format: "%02X", $0) }.joined() }

        /// In bytes, as often as they come.
        var length: Int {
            let (length, overflow) = bytes.count.multipliedReportingOverflow(by: times)
            return overflow ? .max : length
        }
    }

    public var pieces: [Piece]
    public var addSpecial: Bool
    public var parseSpecial: Bool

    public init(_ pieces: [Piece], addSpecial: Bool = false, parseSpecial: Bool = false) {
        self.pieces = pieces
        self.addSpecial = addSpecial
        self.parseSpecial = parseSpecial
    }

    /// Bytes of the longest text that an engine is asked for.
    static let longest = 1 << 20

    /// In bytes.
    var length: Int { pieces.reduce(0) { $0.addingReportingOverflow($1.length).overflow ? .max : $0 + $1.length } }

    var bytes: [UInt8] { pieces.flatMap { piece in (0..<piece.times).flatMap { _ in piece.bytes } } }

    var isUTF8: Bool { String(validating: bytes, as: UTF8.self) != nil }

    /// On one line: `"a" 131072 times, bytes FF; with special tokens added`.
    public var summary: String {
        let options = [addSpecial ? "added" : nil, parseSpecial ? "parsed" : nil].compactMap { $0 }
        let words = pieces.isEmpty ? "nothing" : pieces.map(\.summary).joined(separator: ", ")
        return words + (options.isEmpty ? "" : "; special tokens \(options.joined(separator: " and "))")
    }

    var input: TokenizerInput { TokenizerInput(bytes, addSpecial: addSpecial, parseSpecial: parseSpecial) }

    /// Why nobody is asked for it; nil where that can be done.
    var flaw: String? {
        length > Self.longest ? "pieces: are longer than \(Self.longest) bytes" : nil
    }
}

extension TokenizedText: Codable {
    private enum CodingKeys: CodingKey { case pieces, addSpecial, parseSpecial }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try values.decode([Piece].self, forKey: .pieces),
            addSpecial: try values.decodeIfPresent(Bool.self, forKey: .addSpecial) ?? false,
            parseSpecial: try values.decodeIfPresent(Bool.self, forKey: .parseSpecial) ?? false)
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(pieces, forKey: .pieces)
        if addSpecial { try values.encode(true, forKey: .addSpecial) }
        if parseSpecial { try values.encode(true, forKey: .parseSpecial) }
    }
}

/// A string where the piece is a text that comes once; else `{"text": "a", "times": 131072}`, or of what is no UTF-8
/// `{"hex": "C0AF"}`.
extension TokenizedText.Piece: Codable {
    private enum CodingKeys: CodingKey { case text, hex, times }

    public init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            self.init(text)
            return
        }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let times = try values.decodeIfPresent(Int.self, forKey: .times) ?? 1
        guard (1...TokenizedText.longest).contains(times) else {
            throw DecodingError.dataCorruptedError(
                forKey: .times, in: values, debugDescription: "must be 1 to \(TokenizedText.longest)")
        }
        guard let digits = try values.decodeIfPresent(String.self, forKey: .hex) else {
            self.init(try values.decode(String.self, forKey: .text), times: times)
            return
        }
        guard !values.contains(.text) else {
            throw DecodingError.dataCorruptedError(forKey: .hex, in: values, debugDescription: "beside a text")
        }
        let pairs = stride(from: 0, to: digits.utf8.count, by: 2).map { digits.utf8.dropFirst($0).prefix(2) }
        let bytes = pairs.compactMap { pair in
            pair.count == 2 && pair.allSatisfy { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }
                ? UInt8(String(decoding: pair, as: UTF8.self), radix: 16) : nil
        }
        guard bytes.count == pairs.count else {
            throw DecodingError.dataCorruptedError(
                forKey: .hex, in: values, debugDescription: "must be two hexadecimal digits for each byte")
        }
        self.init(bytes, times: times)
    }

    public func encode(to encoder: any Encoder) throws {
        let text = String(validating: bytes, as: UTF8.self)
        if let text, times == 1 {
            var value = encoder.singleValueContainer()
            try value.encode(text)
            return
        }
        var values = encoder.container(keyedBy: CodingKeys.self)
        if let text {
            try values.encode(text, forKey: .text)
        } else {
            try values.encode(hexadecimal, forKey: .hex)
        }
        if times != 1 { try values.encode(times, forKey: .times) }
    }
}
