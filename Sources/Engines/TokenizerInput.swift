/// A text that an engine is to make tokens of, and how.
public struct TokenizerInput: Hashable, Sendable {
    /// UTF-8 where it is a text, but programs give whatever they are given.
    public var bytes: [UInt8]
    /// With the tokens that mark its beginning and its end, where the model has them.
    public var addSpecial: Bool
    /// Control tokens that the text spells out are those tokens. User-defined tokens always are.
    public var parseSpecial: Bool

    public init(_ bytes: [UInt8], addSpecial: Bool = false, parseSpecial: Bool = false) {
        self.bytes = bytes
        self.addSpecial = addSpecial
        self.parseSpecial = parseSpecial
    }
}

extension TokenizerInput: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(try payload.readBytes(), addSpecial: try payload.read(), parseSpecial: try payload.read())
    }

    func write(to payload: inout PayloadWriter) {
        payload.append(bytes: bytes)
        payload.write(addSpecial, parseSpecial)
    }
}
