import GGUF

/// `tokenizer.ggml.precompiled_charsmap`: what replaces which beginnings of a text, in a double array.
///
/// Little-endian: the byte count of the array, the array of 32-bit units, and the replacements, each ended by a zero.
/// Of a unit, bits 0 to 7 and 31 are the label, bit 8 says that a value hangs on it, and the rest is the offset of its
/// children, by 256 where bit 9 is set. Source: Kanda, Space- and Time-Efficient String Dictionaries, and darts-clone.
struct CharacterMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]

    /// nil where the file has none.
    /// - Throws: `TokenizerError` for one that is cut short.
    init?(_ metadata: Metadata) throws {
        let data: [UInt8]? = try metadata.optional(TokenizerKey.characterMap, "an array of int8 or uint8") { value in
            switch value {
            case .array(.int8(let bytes)): bytes.map(UInt8.init(bitPattern:))
            case .array(.uint8(let bytes)): bytes
            default: nil
            }
        }
        guard let data else { return nil }
        func unit(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(data[offset + $1]) << (8 * UInt32($1)) }
        }
        guard data.count >= 4, 4 + Int(unit(0)) < data.count else {
            throw TokenizerError(TokenizerKey.characterMap, "is cut short: \(data.count) bytes")
        }
        let size = Int(unit(0))
        units = stride(from: 4, to: 4 + size / 4 * 4, by: 4).map(unit)
        replacements = Array(data[(4 + size)...])
    }

    /// What replaces the longest beginning of the text from a place on, and where that ends.
    /// - Throws: `TokenizerError` where the array points out of itself, or in a circle.
    func replacement(in text: [UInt8], at start: Int) throws -> (ArraySlice<UInt8>, end: Int)? {
        guard !units.isEmpty else { return nil }
        var longest: (offset: Int, end: Int)?
        var node = Self.offset(units[0])
        for position in start..<text.count {
            let byte = text[position]
            guard byte != 0 else { break }
            // Each byte of a text that has a replacement has a unit of its own.
            guard position - start < units.count else {
                throw TokenizerError(TokenizerKey.characterMap, "points in a circle")
            }
            node ^= UInt32(byte)
            var unit = try self.unit(node)
            guard unit & 0x8000_00FF == UInt32(byte) else { break }
            node ^= Self.offset(unit)
            if unit >> 8 & 1 == 1 {
                unit = try self.unit(node)
                longest = (Int(unit & 0x7FFF_FFFF), position + 1)
            }
        }
        guard let longest else { return nil }
        guard longest.offset < replacements.count,
            let end = replacements[longest.offset...].firstIndex(of: 0)
        else { throw TokenizerError(TokenizerKey.characterMap, "has no replacement at \(longest.offset)") }
        return (replacements[longest.offset..<end], longest.end)
    }

    private func unit(_ index: UInt32) throws -> UInt32 {
        guard Int(index) < units.count else {
            throw TokenizerError(TokenizerKey.characterMap, "points to unit \(index) of \(units.count)")
        }
        return units[Int(index)]
    }

    private static func offset(_ unit: UInt32) -> UInt32 { (unit >> 10) << ((unit & 0x200) >> 6) }
}
