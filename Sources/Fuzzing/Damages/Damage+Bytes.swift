import GGUF

/// Bytes of the file, whatever they mean.
extension Damage.Declaration {
    private static func bytes(
        _ words: String, _ range: @escaping (DraftLayout) -> Range<Int>, values: [MetadataValue?] = [nil],
        meaning: @escaping (DraftLayout, Int) -> Damage.Meaning = { _, _ in .anything },
        edit: @escaping (Int, MetadataValue?, DraftLayout) -> ByteEdit
    ) -> Self {
        Self(
            words: words, stage: .bytes, places: { .bytes(range($0)) }, values: { _, _ in values },
            meaning: { layout, damage in damage.element.map { meaning(layout, $0) } ?? .anything },
            apply: { draft, damage in
                if let first = damage.element { draft.edits.append(edit(first, damage.value, DraftLayout(draft))) }
            })
    }

    static var headerCut: Self {
        bytes("cut in the header at", \.headerRange, meaning: { _, _ in .nothing }) { end, _, _ in .cut(end) }
    }

    static var dataCut: Self {
        bytes(
            "cut in the data at", \.dataRange,
            // The padding after the last tensor is missed by some.
            meaning: { layout, end in end < layout.dataEnd ? .nothing : .sameOrNothing },
            edit: { end, _, _ in .cut(end) })
    }

    static var tail: Self {
        let counts = [1, 31, 32, 4096] as [UInt64]
        return Self(
            words: "bytes after the end", stage: .bytes, places: { _ in .listed([.file]) },
            values: { _, _ in counts.map { .uint64($0) } }, meaning: { _, _ in .same },
            apply: { draft, damage in
                draft.edits.append(.insert(DraftLayout(draft).editedByteCount, count: damage.value?.integer ?? 0))
            })
    }

    static func bits(_ words: String, _ range: @escaping (DraftLayout) -> Range<Int>) -> Self {
        let bits = (0..<8).map { UInt8(1 << $0) } + [0xFF]
        return bytes(words, range, values: bits.map { .uint8($0) }) { position, bits, _ in
            .flip(position, UInt8(truncatingIfNeeded: bits?.integer ?? 0))
        }
    }

    /// Some bytes of the header, or of what follows it.
    static func bytesOfHeader(_ words: String, _ edit: @escaping (Range<Int>) -> ByteEdit) -> Self {
        bytes(words, \.headerRange, values: [1, 4, 8, 32].map { .uint64($0) }) { first, count, layout in
            edit(first..<min(first + (count?.integer ?? 0), layout.editedByteCount))
        }
    }
}

extension DraftLayout {
    /// The bytes before the data, as far as there still are any.
    var headerRange: Range<Int> { 0..<min(dataOffset, editedByteCount) }
    var dataRange: Range<Int> { min(dataOffset, editedByteCount)..<editedByteCount }
}
