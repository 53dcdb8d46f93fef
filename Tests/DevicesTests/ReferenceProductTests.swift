import DeviceTestSupport
import GGUF
import ModelGraph
import Testing

@testable import Devices

@Suite("Reference: tables and products") struct ReferenceProductTests {
    @Test("matmul multiplies by the transposed weight")
    func matmul() throws {
        let y = try value {
            $0.real([2, 3], [1, 2, 3, 4, 5, 6]).matmul($0.weight([2, 3], .f32, [1, 0, -1, 2, 1, 0]))
        }
        #expect(y == [-2, 4, -2, 13])
    }

    @Test("matmul takes weights at their decoded value", arguments: [TensorType.f32, .f16, .bf16, .q4_0])
    func decoding(type: TensorType) throws {
        // The multiples −8 ... 7 of 1/16 are exact in each type, given that both ends occur in a block.
        let weight = (0..<64).map { Float($0 * 5 % 16 - 8) / 16 }
        let y = try value {
            $0.real([1, 32], (0..<32).map { Double($0 - 11) }).matmul($0.weight([2, 32], type, weight))
        }
        let expected = (0..<2).map { n in (0..<32).reduce(0.0) { $0 + Double($1 - 11) * Double(weight[n * 32 + $1]) } }
        #expect(y == expected)
    }

    @Test("Q8_0 weights are scale times byte")
    func q8() throws {
        let weight = (0..<32).map { Float($0 == 0 ? -127 : $0 * 7 - 90) / 4 }
        let y = try value { $0.real([1, 32], (0..<32).map { Double($0) }).matmul($0.weight([1, 32], .q8_0, weight)) }
        #expect(y == [(0..<32).reduce(0.0) { $0 + Double($1) * Double(weight[$1]) }])
    }

    @Test("big-endian weights are decoded as such")
    func bigEndian() throws {
        let bytes = TensorBytes(count: 4) { $0.storeBytes(of: Float(1.5).bitPattern.bigEndian, as: UInt32.self) }
        let data = TensorData(name: "w", shape: [1], type: .f32, byteOrder: .big, bytes: bytes)
        let tensor = try ReferenceTensor(data)
        withExtendedLifetime(tensor) { #expect(tensor.value[0] == 1.5) }
    }

    @Test("rows looks rows up, in the order and shape of the indices")
    func rows() throws {
        let y = try value {
            let i = $0.index(.tokens, [2, 2]) { _ in [2, 0, 0, 1] }
            return $0.weight([3, 2], .f32, [1, 2, 3, 4, 5, 6]).rows(i)
        }
        #expect(y == [5, 6, 1, 2, 1, 2, 3, 4])
    }

    @Test("rows of indices are indices")
    func rowsOfIndices() throws {
        let opCase = OpCase("indices") {
            let positions = $0.index(.positions, [7, -1, 9])
            return [positions.rows($0.index(.outputs, [2, 1]))]
        }
        #expect(try run(opCase, on: ReferenceDevice()).outputs == [[.index([9, -1])]])
    }

    @Test(
        "expertMatmul is the product with the selected expert's matrix, one row for all or a row an expert",
        arguments: [false, true])
    func experts(ownRows: Bool) throws {
        let matrices = (0..<24).map { Float($0 * 7 % 11 - 5) }  // [4, 2, 3]
        let x = (0..<(ownRows ? 12 : 6)).map { Double($0 * 5 % 7 - 3) }  // [2, 2 or 1, 3]
        let experts = [3, 0, 1, 1]
        let y = try value {
            let input = $0.real([2, ownRows ? 2 : 1, 3], x)
            let selected = $0.index(.tokens, [2, 2]) { _ in experts }
            return $0.graph.apply(.expertMatmul, input, $0.weight([4, 2, 3], .f32, matrices), selected)
        }
        let expected = try experts.enumerated().flatMap { slot, expert in
            let row = ownRows ? slot : slot / 2
            return try value {
                $0.real([1, 3], Array(x[row * 3..<row * 3 + 3]))
                    .matmul($0.weight([2, 3], .f32, Array(matrices[expert * 6..<expert * 6 + 6])))
            }
        }
        #expect(y == expected)
    }

    @Test("headMatmul gives each head its own matrix")
    func heads() throws {
        let y = try value {
            let x = $0.real([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8])
            return $0.graph.apply(.headMatmul, x, $0.weight([2, 1, 2], .f32, [1, 10, 100, 1000]))
        }
        #expect(y == [21, 4300, 65, 8700])
    }

    @Test("pool weighs the tokens of each sequence; a token of weight zero is left out, whatever it holds")
    func pool() throws {
        let y = try value {
            let x = $0.real([3, 2], [1, 2, .infinity, .nan, 5, 8])
            return $0.graph.apply(.pool, x, $0.real([2, 3], [0.5, 0, 0.5, 0, 0, 1]))
        }
        #expect(y == [3, 5, 5, 8])
    }
}
