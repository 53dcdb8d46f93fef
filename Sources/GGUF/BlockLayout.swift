/// What a block of a tensor type is made of, as far as files and byte orders go; `CQuants` knows the rest.
struct BlockLayout {
    let elements: Int
    let bytes: Int
    /// The numbers of more than one byte. Nil where the byte order of the others' tools is not known: ggml reads some
    /// bytes of such blocks now one by one and now as wider numbers.
    let numbers: [Numbers]?

    /// `count` numbers of `width` bytes, one after the other from a byte of the block on.
    struct Numbers {
        let width, offset, count: Int

        static func halves(at offset: Int, count: Int = 1) -> Numbers {
            Numbers(width: 2, offset: offset, count: count)
        }
    }

    init(_ elements: Int, _ bytes: Int, _ numbers: Numbers...) {
        self.elements = elements
        self.bytes = bytes
        self.numbers = numbers
    }

    /// A plain number.
    init(number bytes: Int) { self.init(1, bytes, Numbers(width: bytes, offset: 0, count: 1)) }

    init(_ elements: Int, _ bytes: Int, orderUnknown: Void) {
        self.elements = elements
        self.bytes = bytes
        numbers = nil
    }
}

extension TensorType {
    var layout: BlockLayout { Self.layouts[self] ?? declaredLayout }

    /// Made once: the layout is asked for all the time.
    private static let layouts = Dictionary(uniqueKeysWithValues: allCases.map { ($0, $0.declaredLayout) })

    private var declaredLayout: BlockLayout {
        switch self {
        case .i8: BlockLayout(1, 1)
        case .f16, .bf16, .i16: BlockLayout(number: 2)
        case .f32, .i32: BlockLayout(number: 4)
        case .f64, .i64: BlockLayout(number: 8)
        case .q1_0: BlockLayout(128, 18, .halves(at: 0))
        case .q2_0: BlockLayout(64, 18, .halves(at: 0))
        case .q4_0, .iq4_NL: BlockLayout(32, 18, .halves(at: 0))
        case .q4_1: BlockLayout(32, 20, .halves(at: 0, count: 2))
        case .q5_0: BlockLayout(32, 22, orderUnknown: ())
        case .q5_1: BlockLayout(32, 24, orderUnknown: ())
        case .q8_0: BlockLayout(32, 34, .halves(at: 0))
        case .q8_1: BlockLayout(32, 36, .halves(at: 0, count: 2))
        case .mxfp4: BlockLayout(32, 17)
        case .nvfp4: BlockLayout(64, 36)
        case .q2_K: BlockLayout(256, 84, .halves(at: 80, count: 2))
        case .q3_K: BlockLayout(256, 110, .halves(at: 108))
        case .q4_K: BlockLayout(256, 144, .halves(at: 0, count: 2))
        case .q5_K: BlockLayout(256, 176, .halves(at: 0, count: 2))
        case .q6_K: BlockLayout(256, 210, .halves(at: 208))
        case .q8_K: BlockLayout(256, 292, .init(width: 4, offset: 0, count: 1), .halves(at: 260, count: 16))
        case .tq1_0: BlockLayout(256, 54, .halves(at: 52))
        case .tq2_0: BlockLayout(256, 66, .halves(at: 64))
        case .iq1_S: BlockLayout(256, 50, .halves(at: 0), .halves(at: 34, count: 8))
        case .iq1_M: BlockLayout(256, 56, orderUnknown: ())
        case .iq2_XXS: BlockLayout(256, 66, orderUnknown: ())
        case .iq2_XS: BlockLayout(256, 74, .halves(at: 0, count: 33))
        case .iq2_S: BlockLayout(256, 82, .halves(at: 0))
        case .iq3_XXS: BlockLayout(256, 98, orderUnknown: ())
        case .iq3_S: BlockLayout(256, 110, .halves(at: 0))
        case .iq4_XS: BlockLayout(256, 136, .halves(at: 0, count: 2))
        }
    }
}
