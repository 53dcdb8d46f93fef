import CQuants
import Testing

@testable import GGUF

/// Every quantised type on random data, by checksum: FNV-1a of little-endian bytes.
@Suite("Every quantised type")
struct ChecksumTests {
    /// What 64 blocks of random bytes decode to, with every NaN the same, and what 4096 numbers within ±1 are encoded
    /// to. Made by `CI/gguf-interop.py checksums`: the `gguf` Python package 0.19 where it knows how, else ggml 0.25.
    static let witnessed: [(TensorType, decoded: UInt64, encoded: UInt64?)] = [
        (.q4_0, 0xcded9858bd3dbc97, 0xbb746e6229aad315),
        (.q4_1, 0xc1da3666f84ce31b, 0x7272a85c207f5dcc),
        (.q5_0, 0x34bf23c7d5032646, 0xfc3f7e2e8f9fd1e2),
        (.q5_1, 0xd6aa2f778a84b188, 0x4a91ceadb391a396),
        (.q8_0, 0x3129a242e91b8488, 0x80c6b1f47d65c0b0),
        (.q8_1, 0xa0908aa07190e935, 0x572d433d856bc1cb),
        (.q2_K, 0x44575f4ea0fd1cc9, nil),
        (.q3_K, 0x17bfd0b59393ad5b, nil),
        (.q4_K, 0xa0d61817f79b78cc, nil),
        (.q5_K, 0xe12c21b7549cd4f4, nil),
        (.q6_K, 0xbe3afb03abcb7fbb, nil),
        (.q8_K, 0xa7527c830f252d2d, nil),
        (.iq2_XXS, 0x7e745e6196b49632, nil),
        (.iq2_XS, 0xa0e347e3fcbfd9c5, nil),
        (.iq3_XXS, 0xc9cdfdd1a1aa4779, nil),
        (.iq1_S, 0xcc8286b6f59a89e9, nil),
        (.iq4_NL, 0x0b7a79c620b9f863, nil),
        (.iq3_S, 0x2d7a4fd9ddfdaaec, nil),
        (.iq2_S, 0x5124ea372ca774fd, nil),
        (.iq4_XS, 0x7ea5a866a700157b, nil),
        (.iq1_M, 0x817fc0e5aaf6c87b, nil),
        (.tq1_0, 0x60839979b3bef390, 0xbdb4fe97695425ca),
        (.tq2_0, 0x50ae7268c237530d, 0xf6a2ba80f8c626f9),
        (.mxfp4, 0xa75cf0b0806979e6, 0x19262212b8c3ae4c),
        (.nvfp4, 0x9c795d84376c2c74, 0x7af9a0d31e8e114d),
        (.q1_0, 0x54e541109df7a725, 0x5a65e0859dae8e7b),
        (.q2_0, 0xe1023c144deb0edb, 0xb8064d54f08e74b9),
    ]

    /// The same numbers encoded where there is no one way to do it: toy weights must not change, on any platform.
    static let own: [(TensorType, encoded: UInt64)] = [
        (.q2_K, 0x4fc0c49a49712404),
        (.q3_K, 0x51856f5f6338bead),
        (.q4_K, 0x2392754e6b203e9f),
        (.q5_K, 0x2297c1255f0fa425),
        (.q6_K, 0x0b921e40f376416a),
        (.q8_K, 0x8a5be33b8c371891),
        (.iq2_XXS, 0x63956695ce1e4eeb),
        (.iq2_XS, 0xc53d83a4e9a212bb),
        (.iq3_XXS, 0xdb174ea298f774ab),
        (.iq1_S, 0x9bad1f39115dbea7),
        (.iq4_NL, 0x4157b969fb1d830e),
        (.iq3_S, 0x169d8968f7c6994b),
        (.iq2_S, 0x740b9054aa72338b),
        (.iq4_XS, 0x15564c6bd40ea8b8),
        (.iq1_M, 0xb831dffc2d7fdb2c),
    ]

    @Test("decodes any bytes to the witness's bits", arguments: witnessed)
    func decoding(type: TensorType, decoded: UInt64, _: UInt64?) throws {
        let bytes = words(seed: type, 64 * type.bytesPerBlock).map { UInt8(truncatingIfNeeded: $0) }
        let values = try type.decoded(bytes).map { $0.isNaN ? Float.nan : $0 }
        #expect(checksum(values) == decoded)
    }

    @Test("encodes numbers to the witness's bytes", arguments: witnessed)
    func encoding(type: TensorType, _: UInt64, encoded: UInt64?) throws {
        guard let encoded else { return #expect(Self.own.contains { $0.0 == type }) }
        #expect(try fnv1a(type.encoded(numbers(type))) == encoded)
    }

    @Test("encodes numbers to the same bytes on every platform", arguments: own)
    func ownEncoding(type: TensorType, encoded: UInt64) throws {
        #expect(try fnv1a(type.encoded(numbers(type))) == encoded)
    }

    @Test("is encoded and decoded to the same bits by every instruction set", arguments: witnessed.map(\.0))
    func instructionSets(type: TensorType) throws {
        let values = numbers(type)
        let data = try type.encoded(values), back = try type.decoded(data)
        for codecs in (0..<Int(QUANTS_INSTRUCTION_SETS)).compactMap({ quants_codecs_at($0) }) {
            var bytes = [UInt8](repeating: 0, count: data.count)
            bytes.withUnsafeMutableBytes { target in
                guard let target = target.baseAddress else { return }
                codecs.pointee.encode(type.rawValue, values, target, values.count)
            }
            #expect(bytes == data)
            var floats = [Float](repeating: 0, count: values.count)
            codecs.pointee.decode(type.rawValue, data, &floats, values.count)
            #expect(floats == back)
            var doubles = [Double](repeating: 0, count: values.count)
            codecs.pointee.decode_doubles(type.rawValue, data, &doubles, values.count)
            #expect(doubles == back.map(Double.init))
        }
    }

    @Test("has a checksum")
    func complete() {
        #expect(Set(Self.witnessed.map(\.0)) == Set(TensorType.allCases.filter(\.isQuantized)))
    }

    /// The root of the mean squared error over that of the numbers, for uniform ones: what bits there are allow.
    static let errors: [(TensorType, Float)] = [
        (.q1_0, 0.51), (.q2_0, 0.51), (.q4_0, 0.08), (.q4_1, 0.07), (.q5_0, 0.04), (.q5_1, 0.035), (.q8_0, 0.005),
        (.q8_1, 0.005), (.q2_K, 0.24), (.q3_K, 0.15), (.q4_K, 0.07), (.q5_K, 0.035), (.q6_K, 0.02), (.q8_K, 0.005),
        (.tq1_0, 0.51), (.tq2_0, 0.51), (.iq1_S, 0.5), (.iq1_M, 0.5), (.iq2_XXS, 0.42), (.iq2_XS, 0.36), (.iq2_S, 0.32),
        (.iq3_XXS, 0.22), (.iq3_S, 0.16), (.iq4_NL, 0.1), (.iq4_XS, 0.1), (.mxfp4, 0.15), (.nvfp4, 0.14),
    ]

    @Test("comes near to the numbers, as far as its bits go", arguments: errors)
    func roundTrip(type: TensorType, bound: Float) throws {
        let values = numbers(type)
        let back = try type.decoded(type.encoded(values))
        let error = zip(values, back).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        let power = values.reduce(0) { $0 + $1 * $1 }
        #expect((error / power).squareRoot() < bound)
        #expect((error / power).squareRoot() > bound / 3, "a bound that says something")
    }

    @Test("keeps zeros, and takes numbers that no model has", arguments: TensorType.allCases.filter(\.isQuantized))
    func extremes(type: TensorType) throws {
        let zeros = [Float](repeating: 0, count: 256)
        let back = try type.decoded(type.encoded(zeros))
        #expect(back == zeros)
        for bad in [Float.nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude] {
            var values = numbers(type)
            values[77] = bad
            #expect(try type.decoded(type.encoded(values)).count == values.count)
            _ = try type.encoded([Float](repeating: bad, count: 256))
        }
    }

    private func numbers(_ type: TensorType) -> [Float] {
        words(seed: type, 4096).map { Float(Int64(bitPattern: $0) >> 40) / 0x1p23 }
    }

    /// SplitMix64.
    private func words(seed: TensorType, _ count: Int) -> [UInt64] {
        (1...UInt64(count)).map {
            var z = UInt64(seed.rawValue) &+ $0 &* 0x9E37_79B9_7F4A_7C15
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return z ^ z >> 31
        }
    }

    private func checksum(_ values: [Float]) -> UInt64 {
        fnv1a(values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } })
    }

    private func fnv1a(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
