extension Damage.Kind {
    /// What this kind of damage is: in words, where it can be, what it does, and what a file with it is.
    var declaration: Damage.Declaration {
        switch self {
        case .magic: .magic
        case .version: .version
        case .tensorCount: .tensorCount
        case .keyCount: .number(self, "key count")
        case .keyLength: .number(self, "length of key")
        case .keyText: .firstByte(self, "first byte of key")
        case .valueType: .typeOfMetadata(self, "type of")
        case .boolean: .number(self, "truth of", { _ in [2, 255] })
        case .stringLength: .number(self, "length of")
        case .stringText: .firstByte(self, "first byte of")
        case .elementType: .typeOfMetadata(self, "type of the elements of")
        case .elementCount: .number(self, "element count of")
        case .elementLength: .number(self, "length of an element of")
        case .elementText: .firstByte(self, "first byte of an element of")
        case .nameLength: .number(self, "length of the name of")
        case .nameText: .firstByte(self, "first byte of the name of", .nothing)
        case .dimensionCount: .number(self, "dimension count of")
        case .dimension: .number(self, "dimension of")
        case .tensorType: .tensorType
        case .offset: .offset

        case .keyMissing: .keyMissing
        case .keyTwice: .keyTwice
        case .keysReversed: .keysReversed
        case .keyAdded: .keyAdded
        case .valueOfOtherType: .valueOfOtherType
        case .otherValue: .otherValue
        case .alignment: .alignment
        case .split: .split

        case .tensorMissing: .tensorMissing
        case .tensorTwice: .tensorTwice
        case .tensorAdded: .tensorAdded
        case .tensorsReversed: .tensorsReversed
        case .tensorName: .tensorName
        case .tensorShape: .tensorShape
        case .dataType: .dataType
        case .gap: .gap
        case .byteOrder: .byteOrder

        case .tokenizerModel: .tokenizerModel
        case .tokenizerPattern: .tokenizerPattern
        case .tokenizerLength: .tokenizerLength
        case .tokenizerType: .tokenizerType
        case .tokenizerElement: .tokenizerElement
        case .specialToken: .specialToken
        case .characterTable: .characterTable

        case .headerCut: .headerCut
        case .dataCut: .dataCut
        case .tail: .tail
        case .headerBit: .bits("bits in the header at", \.headerRange)
        case .dataBit: .bits("bits in the data at", \.dataRange)
        case .headerZeros: .bytesOfHeader("zeros in the header from") { .zero($0) }
        case .headerRemoval: .bytesOfHeader("missing in the header from") { .remove($0) }
        case .headerInsertion:
            .bytesOfHeader("zeros put into the header at") { .insert($0.lowerBound, count: $0.count) }
        }
    }
}
