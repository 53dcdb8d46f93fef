/// An input as a sequence of fields, so that most mutations of one still make sense. What is missing at its end is 0 or
/// empty.
public struct Fields {
    private var rest: ArraySlice<UInt8>

    public init(_ input: [UInt8]) { rest = input[...] }

    public mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    public mutating func flag() -> Bool { byte() & 1 == 1 }

    /// - Parameter elements: at least one, and at most 256.
    public mutating func element<Element>(of elements: [Element]) -> Element { elements[Int(byte()) % elements.count] }

    /// The bytes up to the next 0xFF, which is in no UTF-8 text.
    public mutating func bytes() -> [UInt8] {
        let field = rest.prefix { $0 != 0xFF }
        rest = rest.dropFirst(field.count + 1)
        return Array(field)
    }

    public mutating func text() -> String { String(decoding: bytes(), as: UTF8.self) }

    /// Texts with 0xFE between them.
    public mutating func texts() -> [String] {
        bytes().split(separator: 0xFE, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    /// All that is left.
    public mutating func remainder() -> [UInt8] {
        defer { rest = [] }
        return Array(rest)
    }
}

/// Lays an input out as `Fields` reads it.
public struct FieldWriter {
    public private(set) var input: [UInt8] = []

    public init() {}

    public mutating func append(byte: UInt8) { input.append(byte) }

    /// The choice of an element, the first where it is none of them.
    public mutating func append<Element: Equatable>(_ element: Element, of elements: [Element]) {
        input.append(UInt8(elements.firstIndex(of: element) ?? 0))
    }

    public mutating func append(_ bytes: some Sequence<UInt8>) { input += Array(bytes) + [0xFF] }

    public mutating func append(_ text: String) { append(text.utf8) }

    public mutating func append(_ texts: [String]) { append(texts.map { Array($0.utf8) }.joined(separator: [0xFE])) }

    public mutating func append(remainder: [UInt8]) { input += remainder }
}
