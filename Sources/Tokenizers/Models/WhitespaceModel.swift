/// Byte-pair encoding of each word by itself; white space is dropped.
struct WhitespaceModel: TokenizerModel {
    private let pairs: BytePairModel
    private let lowercases: Bool

    init(_ pairs: BytePairModel, lowercases: Bool) {
        self.pairs = pairs
        self.lowercases = lowercases
    }

    func encode(_ text: [UInt8], into ids: inout [Int]) throws {
        for word in text.scalars.split(whereSeparator: { ScalarClass($0) == .whitespace }) {
            var bytes: [UInt8] = []
            for scalar in word { bytes.append(lowercases ? scalar.lowercased : scalar) }
            try pairs.encode(bytes, into: &ids)
        }
    }
}
