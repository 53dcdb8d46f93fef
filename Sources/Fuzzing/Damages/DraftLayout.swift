import GGUF
import Inference

/// Where everything of a draft lies in its file.
struct DraftLayout {
    /// A number or the beginning of a text in the header.
    struct Field: Hashable {
        var kind: Damage.Kind
        var place: Damage.Place
    }

    let draft: FileDraft
    /// Everything before the data, padding included.
    let header: [UInt8]
    var dataOffset: Int { header.count }
    /// Of each tensor, in bytes from the start of the data.
    let offsets: [Int]
    /// The end of the last tensor, in bytes from the start of the file.
    let dataEnd: Int
    /// Of the whole file, before its bytes are edited.
    let byteCount: Int
    private let ranges: [Field: Range<Int>]
    /// The places that have a field of a kind, in the order of the file.
    let places: [Damage.Kind: [Damage.Place]]

    init(_ draft: FileDraft) {
        self.draft = draft
        let alignment = draft.alignment
        func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
        var end = 0
        offsets = draft.tensors.map { tensor in
            let offset = aligned(end) + aligned(tensor.gap)
            end = offset + tensor.byteCount
            return offset
        }
        var writer = FieldWriter(draft.byteOrder)
        writer.write(draft, offsets)
        writer.pad(to: alignment)
        header = writer.bytes
        (ranges, places) = (writer.ranges, writer.places)
        dataEnd = header.count + end
        byteCount = header.count + aligned(end)
    }

    /// The length of the file, its bytes edited.
    var editedByteCount: Int { draft.edits.reduce(byteCount) { $1.length(after: $0) } }

    /// What is there of a field, and its width in bytes.
    func number(_ field: Field) -> (value: UInt64, width: Int)? {
        guard let range = ranges[field] else { return nil }
        let bytes = draft.byteOrder == .little ? header[range].reversed() : Array(header[range])
        return (bytes.reduce(0) { $0 << 8 | UInt64($1) }, range.count)
    }

    /// - Throws: `ModelError` for a field that the file does not have.
    func write(_ override: FileDraft.Override, to bytes: inout [UInt8]) throws {
        guard let range = ranges[override.field] else {
            throw ModelError(subject: override.field.place.description, reason: "is not in this file")
        }
        for (index, position) in range.enumerated() {
            let place = draft.byteOrder == .little ? index : range.count - 1 - index
            bytes[position] = UInt8(truncatingIfNeeded: override.value >> UInt64(8 * place))
        }
    }
}

/// Writes a header, and notes where its fields are.
private struct FieldWriter {
    private var writer: ByteWriter
    private(set) var ranges: [DraftLayout.Field: Range<Int>] = [:]
    private(set) var places: [Damage.Kind: [Damage.Place]] = [:]
    /// Elements of an array whose texts are fields: one is like another.
    private static let notedElements = 3

    init(_ order: ByteOrder) { writer = ByteWriter(order: order) }

    var bytes: [UInt8] { writer.bytes }

    mutating func pad(to alignment: Int) {
        writer.append(raw: repeatElement(0, count: (alignment - bytes.count % alignment) % alignment))
    }

    mutating func write(_ draft: FileDraft, _ offsets: [Int]) {
        note(.magic, .file, bytes.count, Header.magic.count)
        writer.append(raw: Header.magic)
        append(Header.versions.upperBound, .version, .file)
        append(UInt64(draft.tensors.count), .tensorCount, .file)
        append(UInt64(draft.keys.count), .keyCount, .file)
        for key in draft.keys { write(key) }
        for (tensor, offset) in zip(draft.tensors, offsets) { write(tensor, offset) }
    }

    private mutating func write(_ key: FileDraft.Key) {
        let place = Damage.Place(key.name)
        noteText(key.name, .keyLength, .keyText, place, bytes.count)
        writer.append(key.name)
        let start = bytes.count
        writer.append(key.value)
        note(.valueType, place, start, 4)
        switch key.value {
        case .bool: note(.boolean, place, start + 4, 1)
        case .string(let text): noteText(text, .stringLength, .stringText, place, start + 4)
        case .array(let array):
            note(.elementType, place, start + 4, 4)
            note(.elementCount, place, start + 8, 8)
            guard case .string(let texts) = array else { return }
            var position = start + 16
            for (index, text) in texts.prefix(Self.notedElements).enumerated() {
                noteText(text, .elementLength, .elementText, Damage.Place(key.name, index), position)
                position += 8 + text.utf8.count
            }
        default: break
        }
    }

    private mutating func write(_ tensor: FileDraft.Tensor, _ offset: Int) {
        let place = Damage.Place(tensor.name)
        noteText(tensor.name, .nameLength, .nameText, place, bytes.count)
        writer.append(tensor.name)
        append(UInt32(tensor.dimensions.count), .dimensionCount, place)
        for (index, dimension) in tensor.dimensions.enumerated() {
            append(UInt64(dimension), .dimension, Damage.Place(tensor.name, index))
        }
        append(tensor.type.rawValue, .tensorType, place)
        append(UInt64(offset), .offset, place)
    }

    private mutating func append(_ number: some FixedWidthInteger, _ kind: Damage.Kind, _ place: Damage.Place) {
        note(kind, place, bytes.count, number.bitWidth / 8)
        writer.append(number)
    }

    private mutating func noteText(
        _ text: String, _ length: Damage.Kind, _ start: Damage.Kind, _ place: Damage.Place, _ position: Int
    ) {
        note(length, place, position, 8)
        if !text.isEmpty { note(start, place, position + 8, 1) }
    }

    private mutating func note(_ kind: Damage.Kind, _ place: Damage.Place, _ position: Int, _ width: Int) {
        let field = DraftLayout.Field(kind: kind, place: place)
        // Of two of one name, the first.
        guard ranges[field] == nil else { return }
        ranges[field] = position..<position + width
        places[kind, default: []].append(place)
    }
}
