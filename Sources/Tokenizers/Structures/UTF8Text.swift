extension [UInt8] {
    /// U+2581, which stands for a space in the tokens of SentencePiece.
    static let escapedSpace: [UInt8] = [0xE2, 0x96, 0x81]

    /// How many bytes the character takes that starts with this one.
    static func characterLength(_ first: UInt8) -> Int {
        switch first {
        case 0xF0...: 4
        case 0xE0...: 3
        case 0xC0...: 2
        default: 1
        }
    }

    /// The ends of the characters, a broken one at the end included.
    func characters(_ body: (Range<Int>) throws -> Void) rethrows {
        var start = 0
        while start < count {
            let end = Swift.min(count, start + Self.characterLength(self[start]))
            try body(start..<end)
            start = end
        }
    }

    var escapingSpaces: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        for byte in self {
            if byte == UInt8(ascii: " ") { result += Self.escapedSpace } else { result.append(byte) }
        }
        return result
    }

    /// As scalars; bytes that are no UTF-8 become U+FFFD.
    var scalars: [Unicode.Scalar] { Array<Unicode.Scalar>(String(decoding: self, as: UTF8.self).unicodeScalars) }

    mutating func append(_ scalar: Unicode.Scalar) { append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? []) }

    /// `<0x0A>`: the token of a byte that no other token has.
    static func byteToken(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], UInt8(ascii: ">")]
    }
}
