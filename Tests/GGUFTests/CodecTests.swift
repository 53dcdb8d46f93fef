import Testing

@testable import GGUF

/// Every expected value in this file was made by the `gguf` Python package 0.19.
@Suite("Tensor data")
struct CodecTests {
    /// 64 floats with full significands, of both signs, within ±4.
    static let values = (0..<64).map { Float(Int32(bitPattern: UInt32($0) &* 2_654_435_761 ^ 0x8000_0000)) / 0x1p29 }

    static let encoded: [(TensorType, String)] = [
        (.f16, """
            00c48e3b39c0aa4122b38fc2aa3e8fbd1c43fa371dc1c6405ab973c3e13c58bf3742bc2a02c2c43f75bca943313a90c0
            53414bb6e6c2fb3d3ebec542403575c16f40b6bacac3333c03c0e04188af59c2153f24bd5243d438e7c0fc4082b83dc3
            4d3decbe6d420d31ccc118400abcdf43093b5ac089419bb4b0c2673ed2bdfa42
            """),
        (.bf16, """
            80c0723f07c0354064be52c0d53fb2bf6340ff3e24c019402bbf6ec09c3febbf4740583d40c0f83f8fbf7540463f12c0
            2a40c9be5dc0bf3fc8bf5940a83e2fc00e4057bf79c0863f00c03c40f1bd4bc0e33fa4bf6a401b3f1dc0204010bf68c0
            aa3fdebf4e40223e39c0034081bf7c40613f0bc0314093be56c0cd3fbabf5f40
            """),
        (.q8_0, """
            0828811ebd5af99835d47110af4ceb8a27c66302a13edd7a19b855f4922fce6b0aa9ef2748e58222bf5ffc9a39d77613
            b150ee8b2bc86805a242df7f1cba59f79434d171
            """),
        (.q4_0, """
            0038e08a24ce68f1ab35df7913bd57f19a34dfb753ca1f86ec42a80e64cb2197fd53b91f
            """),
    ]

    /// The first block, decoded, as the bits of its floats.
    static let decoded: [(TensorType, String)] = [
        (.q8_0, """
            c07ffc003f71e000c0070c0040356800be61c000c051a0003fd5a800bfb160004063c4003f010000c023440040193000
            bf295000c06dd8003f9d3800bfe9d00040478c003d810000c03f7c003ff9f000bf8d18004075e8003f499000c0112000
            402b5400bec18000c05db8003fbd7800bfc990004057ac003ea14000c02f5c00
            """),
        (.q4_0, """
            c08000003f800000c00000004040000000000000c06000003fc00000bfc00000406000003f000000c020000040200000
            bf000000c06000003f800000c00000004040000000000000c040000040000000bf800000406000003f800000c0200000
            40200000bf000000c06000003fc00000bfc00000406000003f000000c0200000
            """),
    ]

    @Test("is encoded as the Python package encodes it", arguments: encoded)
    func encoding(type: TensorType, hex: String) throws {
        #expect(try type.encoded(Self.values) == bytes(hex: hex))
    }

    @Test("is decoded as the Python package decodes it", arguments: decoded)
    func decoding(type: TensorType, hex: String) throws {
        let values = try type.decoded(type.encoded(Self.values))
        let bits = values[..<32].flatMap { value in (0..<4).map { UInt8(value.bitPattern >> (24 - 8 * $0) & 0xFF) } }
        #expect(bits == bytes(hex: hex))
    }

    struct EdgeBlock: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// Zeros follow, to make a block.
        let values: [Float]
        /// Zeros follow.
        let q8_0: String
        let q4_0: String

        init(_ description: String, _ values: [Float], q8_0: String, q4_0: String) {
            testDescription = description
            self.values = values
            self.q8_0 = q8_0
            self.q4_0 = q4_0
        }
    }

    static let edgeBlocks = [
        EdgeBlock("zeros", [],
            q8_0: "000000000000000000000000000000000000", q4_0: "008088888888888888888888888888888888"),
        EdgeBlock("a NaN", [1, .nan, .infinity],
            q8_0: "007e00000000000000000000000000000000", q4_0: "007e00000000000000000000000000000000"),
        EdgeBlock("an infinity", [1, -.infinity, 2],
            q8_0: "007c00000000000000000000000000000000", q4_0: "007c88808888888888888888888888888888"),
        EdgeBlock("a scale whose inverse overflows", [0x1p-133, -0x1p-133],
            q8_0: "000000000000000000000000000000000000", q4_0: "008000000000000000000000000000000000"),
        EdgeBlock("a scale below the smallest half", [1e-38, -1e-38],
            q8_0: "000000000000000000000000000000000000", q4_0: "008000000000000000000000000000000000"),
        EdgeBlock("a scale above the largest half", [3e38, -3e38],
            q8_0: "007c7f810000000000000000000000000000", q4_0: "00fc808f8888888888888888888888888888"),
        EdgeBlock("ties of Q8_0", [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, -0.49999997, 126.5, -126.5],
            q8_0: "003c7f010203fffefd00007f810000000000", q4_0: "f0cb808888888888888888808f8888888888"),
        EdgeBlock("ties of Q4_0", [-8, 0.5, -0.5, 1.5, -1.5, 7.5, 7.49, 8, -7.5, -7.51, 0.49999997],
            q8_0: "082c8108f818e877777f8989080000000000", q4_0: "003c8089888a878f8f8f8180898888888888"),
        EdgeBlock("two of the largest magnitude", [2, -2],
            q8_0: "08247f810000000000000000000000000000", q4_0: "00b4808f8888888888888888888888888888"),
        EdgeBlock("the same, the negative first", [-2, 2],
            q8_0: "0824817f0000000000000000000000000000", q4_0: "0034808f8888888888888888888888888888"),
        EdgeBlock("a scale that is rounded to infinity", [1e7, -3e6],
            q8_0: "007c7fda0000000000000000000000000000", q4_0: "00fc808a8888888888888888888888888888"),
    ]

    @Test("at the edges of what a block can hold is encoded as the Python package encodes it", arguments: edgeBlocks)
    func edges(block: EdgeBlock) throws {
        let values = block.values + [Float](repeating: 0, count: 32 - block.values.count)
        #expect(try TensorType.q8_0.encoded(values) == bytes(hex: block.q8_0) + [UInt8](repeating: 0, count: 16))
        #expect(try TensorType.q4_0.encoded(values) == bytes(hex: block.q4_0))
    }

    /// Bits of a float, of it as binary16, and of it as bfloat16.
    static let roundings: [(UInt32, UInt16, UInt16)] = [
        (0x00000000, 0x0000, 0x0000), (0x80000000, 0x8000, 0x8000), (0x3F800000, 0x3C00, 0x3F80),
        (0x3F801000, 0x3C00, 0x3F80), (0x3F801001, 0x3C01, 0x3F80), (0x3F803000, 0x3C02, 0x3F80),
        (0x477FE000, 0x7BFF, 0x4780), (0x477FEFFF, 0x7BFF, 0x4780), (0x477FF000, 0x7C00, 0x4780),
        (0xC77FF000, 0xFC00, 0xC780), (0x7F7FFFFF, 0x7C00, 0x7F80), (0x7F800000, 0x7C00, 0x7F80),
        (0xFF800000, 0xFC00, 0xFF80), (0x38800000, 0x0400, 0x3880), (0x387FFFFF, 0x0400, 0x3880),
        (0x387FF000, 0x0400, 0x3880), (0x387FE000, 0x0400, 0x3880), (0x33800000, 0x0001, 0x3380),
        (0x33000000, 0x0000, 0x3300), (0x33000001, 0x0001, 0x3300), (0x32FFFFFF, 0x0000, 0x3300),
        (0x33C00000, 0x0002, 0x33C0), (0x34200000, 0x0002, 0x3420), (0x00000001, 0x0000, 0x0000),
        (0x80000001, 0x8000, 0x8000), (0x7FC00000, 0x7E00, 0x7FC0), (0xFFC00000, 0xFE00, 0xFFC0),
        (0x7F800001, 0x7C01, 0x7FC0), (0x7FA00000, 0x7D00, 0x7FE0), (0xFF802000, 0xFC01, 0xFFC0),
        (0x7FFFFFFF, 0x7FFF, 0x7FFF), (0x3F808000, 0x3C04, 0x3F80), (0x3F818000, 0x3C0C, 0x3F82),
        (0x3F808001, 0x3C04, 0x3F81), (0x3F807FFF, 0x3C04, 0x3F80), (0x7F7F7FFF, 0x7C00, 0x7F7F),
        (0x7F7F8000, 0x7C00, 0x7F80), (0x00008000, 0x0000, 0x0000), (0x00018000, 0x0000, 0x0002),
    ]

    @Test("in 16 bits is rounded to nearest, ties to even, and keeps NaN", arguments: roundings)
    func rounding(float: UInt32, half: UInt16, brain: UInt16) {
        let value = Float(bitPattern: float)
        #expect(HalfPrecision.bits(value) == half)
        #expect(HalfPrecision.brainBits(value) == brain)
    }

    @Test("in 16 bits comes back as it was, whatever the bits")
    func exhaustive() {
        for bits in UInt16.min...UInt16.max {
            if HalfPrecision.bits(HalfPrecision.float(bits)) != bits { Issue.record("binary16 \(bits)") }
            let brain = HalfPrecision.brainFloat(bits)
            let expected = brain.isNaN ? bits | 0x40 : bits
            if HalfPrecision.brainBits(brain) != expected { Issue.record("bfloat16 \(bits)") }
        }
    }

    #if !(os(macOS) && arch(x86_64))
    @Test("in 16 bits is what the processor's own type holds, between any two of its values too")
    func processor() {
        for bits in UInt16.min..<0x7C00 {
            let value = HalfPrecision.float(bits)
            if value != Float(Float16(bitPattern: bits)) { Issue.record("decoding \(bits)") }
            // The tie between this value and the next, and the floats on both sides of it.
            let tie = (value + HalfPrecision.float(bits + 1)) / 2
            for float in [tie, tie.nextUp, tie.nextDown, -tie, -tie.nextUp] where float.isFinite {
                if HalfPrecision.bits(float) != Float16(float).bitPattern { Issue.record("encoding \(float)") }
            }
        }
    }
    #endif

    @Test("of wide types keeps every bit", arguments: [TensorType.f32, .f64])
    func wide(type: TensorType) throws {
        let values: [Float] = [0, -0.0, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .pi]
        for order in [ByteOrder.little, .big] {
            let back = try type.decoded(type.encoded(values, order: order), order: order)
            #expect(back.map(\.bitPattern) == values.map(\.bitPattern))
        }
    }

    @Test("of integer types holds whole numbers in range and refuses others",
        arguments: [(TensorType.i8, 7), (.i16, 15), (.i32, 31), (.i64, 63)])
    func integers(type: TensorType, bits: Int) throws {
        let limit = Float(sign: .plus, exponent: bits, significand: 1)
        let values: [Float] = [0, -1, 42, -limit]
        #expect(try type.decoded(type.encoded(values)) == values)
        for bad in [limit, 0.5, .nan, .infinity] as [Float] {
            #expect(reason { _ = try type.encoded([bad]) } == "\(bad) cannot be encoded as \(type.name)")
        }
    }

    @Test("decodes into doubles without a loss that floats have")
    func doubles() throws {
        func decoded(_ type: TensorType, _ bytes: [UInt8], order: ByteOrder = .little) throws -> Double {
            var value = [Double](repeating: 0, count: 1)
            try bytes.withUnsafeBytes { source in
                try value.withUnsafeMutableBufferPointer { try type.decode(source, order: order, into: $0) }
            }
            return value[0]
        }
        #expect(try decoded(.f64, [0x18, 0x2D, 0x44, 0x54, 0xFB, 0x21, 0x09, 0x40]) == .pi)
        #expect(try decoded(.f64, [0x40, 0x09, 0x21, 0xFB, 0x54, 0x44, 0x2D, 0x18], order: .big) == .pi)
        #expect(try decoded(.i32, [0xFF, 0xFF, 0xFF, 0x7F]) == Double(Int32.max))
        #expect(try decoded(.i64, [0x01, 0, 0, 0, 0, 0, 0x10, 0]) == 0x1p52 + 1)
        #expect(try decoded(.f16, [0x01, 0x00]) == 0x1p-24)
    }

    @Test("starts at any address")
    func unaligned() throws {
        for type in TensorType.allCases {
            let values = (-128..<128).map(Float.init)
            let data = try type.encoded(values)
            var shifted = [UInt8](repeating: 0, count: data.count + 1)
            try values.withUnsafeBufferPointer { source in
                try shifted.withUnsafeMutableBytes {
                    try type.encode(source, into: UnsafeMutableRawBufferPointer(rebasing: $0[1...]))
                }
            }
            #expect(Array(shifted[1...]) == data, "\(type.name)")
            var back = [Float](repeating: 0, count: 256)
            try shifted.withUnsafeBytes { source in
                try back.withUnsafeMutableBufferPointer {
                    try type.decode(UnsafeRawBufferPointer(rebasing: source[1...]), into: $0)
                }
            }
            #expect(try back == type.decoded(data), "\(type.name)")
        }
    }

    @Test("does not depend on how many blocks are encoded at once")
    func blocksAtOnce() throws {
        for type in TensorType.allCases {
            let values = (0..<11 * type.blockSize).map { Float($0 * 37 % 251 - 125) }
            let blocks = try stride(from: 0, to: values.count, by: type.blockSize).flatMap {
                try type.encoded(Array(values[$0..<$0 + type.blockSize]))
            }
            #expect(try type.encoded(values) == blocks, "\(type.name)")
        }
    }

    @Test("of the wrong size is an error")
    func refused() {
        #expect(reason { _ = try TensorType.q8_0.encoded([Float](repeating: 0, count: 31)) }
            == "0 bytes of Q8_0 data do not make 31 elements")
        #expect(reason { _ = try TensorType.f32.decoded([0, 0, 0, 0, 0]) }
            == "5 bytes of F32 data do not make 1 elements")
    }

    @Test("can change its byte order, save where nobody knows what the other order would be")
    func byteOrders() throws {
        for type in TensorType.allCases {
            let original = (0..<type.bytesPerBlock * 2).map { UInt8(truncatingIfNeeded: $0) }
            var blocks = original
            do {
                for _ in 0..<2 { try blocks.withUnsafeMutableBytes { try type.swapBytes($0) } }
                #expect(blocks == original, "\(type.name)")
            } catch {
                #expect([.q5_0, .q5_1, .iq1_M, .iq2_XXS, .iq3_XXS].contains(type), "\(type.name)")
            }
        }
        var block = [UInt8](0..<210)
        #expect(throws: Never.self) { try block.withUnsafeMutableBytes { try TensorType.q6_K.swapBytes($0) } }
        #expect(block == [UInt8](0..<208) + [209, 208])
        block = [UInt8](0..<50)
        try block.withUnsafeMutableBytes { try TensorType.iq1_S.swapBytes($0) }
        #expect(block == [1, 0] + [UInt8](2..<34) + stride(from: 34, to: 50, by: 2).flatMap { [$0 + 1, $0] })
    }
}

