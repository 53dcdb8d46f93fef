import Testing

import GGUF

@Suite("Tensor types")
struct TensorTypeTests {
    /// Number, name, elements and bytes of a block, as ggml has them. (The Python package
    /// counts 40 bytes for Q8_1 in version 0.19 and 36 in later ones.)
    static let layouts: [(UInt32, String, Int, Int)] = [
        (0, "F32", 1, 4), (1, "F16", 1, 2), (2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20),
        (6, "Q5_0", 32, 22), (7, "Q5_1", 32, 24), (8, "Q8_0", 32, 34), (9, "Q8_1", 32, 36),
        (10, "Q2_K", 256, 84), (11, "Q3_K", 256, 110), (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176),
        (14, "Q6_K", 256, 210), (15, "Q8_K", 256, 292), (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74),
        (18, "IQ3_XXS", 256, 98), (19, "IQ1_S", 256, 50), (20, "IQ4_NL", 32, 18), (21, "IQ3_S", 256, 110),
        (22, "IQ2_S", 256, 82), (23, "IQ4_XS", 256, 136), (24, "I8", 1, 1), (25, "I16", 1, 2),
        (26, "I32", 1, 4), (27, "I64", 1, 8), (28, "F64", 1, 8), (29, "IQ1_M", 256, 56),
        (30, "BF16", 1, 2), (34, "TQ1_0", 256, 54), (35, "TQ2_0", 256, 66), (39, "MXFP4", 32, 17),
        (40, "NVFP4", 64, 36), (41, "Q1_0", 128, 18), (42, "Q2_0", 64, 18),
    ]

    @Test("have the numbers, names and block layouts of ggml")
    func layout() throws {
        #expect(TensorType.allCases.count == Self.layouts.count)
        for (number, name, blockSize, bytesPerBlock) in Self.layouts {
            let type = try #require(TensorType(rawValue: number), "\(name)")
            #expect(type.name == name)
            #expect(type.blockSize == blockSize, "\(name)")
            #expect(type.bytesPerBlock == bytesPerBlock, "\(name)")
            #expect(TensorType(name: name) == type)
            #expect(TensorType(name: name.lowercased()) == type)
        }
        #expect(TensorType(name: "Q4_2") == nil)
        #expect(TensorType(rawValue: 4) == nil)
    }

    @Test("count bytes of whole blocks only, and never overflow")
    func byteCounts() {
        #expect(TensorType.q4_0.byteCount(elements: 64) == 36)
        #expect(TensorType.q4_0.byteCount(elements: 0) == 0)
        #expect(TensorType.q4_0.byteCount(elements: 33) == nil)
        #expect(TensorType.f32.byteCount(elements: -1) == nil)
        #expect(TensorType.f32.byteCount(elements: .max / 2) == nil)
        #expect(TensorType.q4_0.byteCount(rowLength: 32, rows: 3) == 54)
        #expect(TensorType.q4_0.byteCount(rowLength: 16, rows: 2) == nil)
        #expect(TensorType.f32.byteCount(rowLength: 1 << 40, rows: 1 << 40) == nil)
    }
}
