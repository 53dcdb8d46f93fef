import Devices
import GGUF
import ModelGraph

/// Tables, and products of activations with weights.
extension FaultCatalogue {
    static let products: [Fault] = [
        Fault("matmul-row-tail-dropped", "columns beyond the last whole tile of 32 take no part in a product") { site in
            guard case .matmul = site.op, site.shape(0).last % 32 != 0 else { return nil }
            return .operand(0) { $0.zeroRows(from: $0.shape.last / 32 * 32) }
        },
        Fault("matmul-output-tail-dropped", "outputs beyond the last whole tile of 32 stay zero") { site in
            guard case .matmul = site.op, site.shape.last > 32, site.shape.last % 32 != 0 else { return nil }
            return .result { y, _ in y.zeroRows(from: y.shape.last / 32 * 32) }
        },
        Fault(
            "matmul-token-tile-tail", "of more than four tokens, those beyond the last whole tile of four get zeros",
            tokens: 5
        ) { site in
            guard case .matmul = site.op, site.shape.rank == 2, site.shape[0] > 4, site.shape[0] % 4 != 0 else {
                return nil
            }
            return .result { y, _ in y.zeroBlocks(from: y.shape[0] / 4 * 4) }
        },
        Fault(
            "matrix-vector-tail-dropped", "a product with one row leaves out columns beyond the last 64 of more"
        ) { site in
            guard case .matmul = site.op, site.shape.rows == 1, site.shape(0).last > 64, site.shape(0).last % 64 != 0
            else {
                return nil
            }
            return .operand(0) { $0.zeroRows(from: $0.shape.last / 64 * 64) }
        },
        // Small batches alone are wrong in ggml's Vulkan backend on one driver: llama.cpp issue 25906.
        Fault(
            "matrix-vector-kernel-repeats-row", "the kernel for two to eight rows gives the last what the first gets",
            tokens: 2
        ) { site in
            guard case .matmul = site.op, site.shape.rank == 2, (2...8).contains(site.shape[0]) else { return nil }
            return .result { y, _ in y[block: y.shape[0] - 1] = y[block: 0] }
        },
        Fault("matmul-sums-in-half", "sums over more than 64 columns are kept in half precision") { site in
            guard case .matmul = site.op, site.shape(0).last > 64 else { return nil }
            return .result { y, _ in y.map(\.half) }
        },
        Fault(
            "matmul-activations-in-bfloat16", "activations are cut to bfloat16 before a product of 64 outputs or more"
        ) { site in
            guard case .matmul = site.op, site.shape.last >= 64 else { return nil }
            return .operand(0) { $0.map(\.brain) }
        },
        Fault("head-matmul-tail-dropped", "a product by head leaves out columns beyond the last whole 16") { site in
            guard case .headMatmul = site.op, site.shape(0).last % 16 != 0 else { return nil }
            return .operand(0) { $0.zeroRows(from: $0.shape.last / 16 * 16) }
        },
        Fault(
            "head-matmul-odd-head-lost", "of an odd number of heads, the last gets the product of the one before"
        ) { site in
            guard case .headMatmul = site.op, site.shape[1] > 1, site.shape[1] % 2 == 1 else { return nil }
            return .result { y, _ in
                let heads = y.shape[1]
                for t in 0..<y.shape[0] { y[row: t * heads + heads - 1] = y[row: t * heads + heads - 2] }
            }
        },

        // MARK: Experts

        Fault("expert-index-wraps", "experts from the 33rd on are taken for the first ones") { site in
            guard case .expertMatmul = site.op, site.shape(1)[0] > 32 else { return nil }
            return .operand(2) { $0.map { $0 < 32 ? $0 : $0 - 32 } }
        },
        Fault("expert-matmul-broadcasts-row", "every expert of a token reads the row of its first one") { site in
            guard case .expertMatmul = site.op, site.shape(0)[1] > 1 else { return nil }
            return .operand(0) { x in
                let used = x.shape[1]
                for row in 0..<x.shape.rows { x[row: row] = x[row: row / used * used] }
            }
        },
        Fault("expert-matmul-odd-slot-lost", "of an odd number of experts used, the last gives zeros") { site in
            guard case .expertMatmul = site.op, site.shape[1] > 1, site.shape[1] % 2 == 1 else { return nil }
            return .result { y, _ in
                for row in stride(from: y.shape[1] - 1, to: y.shape.rows, by: y.shape[1]) {
                    y[row: row] = y[row: row].map { _ in 0 }
                }
            }
        },
        Fault(
            "single-expert-reads-first-token", "with one expert, all tokens read the first one's row", tokens: 2
        ) { site in
            guard case .expertMatmul = site.op, site.shape(1)[0] == 1, site.shape[0] > 1 else { return nil }
            return .operand(0) { x in for t in 0..<x.shape[0] { x[block: t] = x[block: 0] } }
        },
        Fault(
            "expert-row-limit", "an expert computes the first eight of its tokens, the others get zeros", tokens: 9
        ) { site in
            guard case .expertMatmul = site.op, site.shape[0] > 8 else { return nil }
            return .result { y, operands in
                var counts: [Double: Int] = [:]
                for (row, expert) in operands[2].values.enumerated() {
                    counts[expert, default: 0] += 1
                    if counts[expert, default: 0] > 8 { y[row: row] = y[row: row].map { _ in 0 } }
                }
            }
        },
        Fault(
            "idle-expert-shifts-others", "experts after the first one that no token of the batch uses are off by one"
        ) { site in
            guard case .expertMatmul = site.op, site.shape(1)[0] > 1 else { return nil }
            return .operand(2) { experts in
                let used = Set(experts.values)
                guard let idle = (0..<site.shape(1)[0]).first(where: { !used.contains(Double($0)) }) else { return }
                experts.map { $0 > Double(idle) ? $0 - 1 : $0 }
            }
        },
        Fault("expert-bias-by-slot", "experts' biases are looked up by their rank among those used") { site in
            guard case .rows = site.op, site.shape(1).rank == 2 else { return nil }
            return .operand(1) { experts in
                experts.mapRows { row in for slot in row.indices { row[slot] = Double(slot) } }
            }
        },

        // MARK: Tables and encodings

        Fault("embedding-row-clamped", "tokens from 64 on are looked up as 63") { site in
            guard case .rows = site.op, site.isInput(1, .tokens), site.shape(0)[0] > 64 else { return nil }
            return .operand(1) { $0.map { min($0, 63) } }
        },
        .loading("q8-scale-of-first-block", "every block of a Q8_0 row is scaled as its first one") { tensor in
            guard tensor.type == .q8_0 else { return nil }
            let block = TensorType.q8_0.bytesPerBlock
            let row = tensor.shape.last / TensorType.q8_0.blockSize * block
            return try tensor.editing { bytes in
                for start in stride(from: 0, to: bytes.count, by: block) {
                    for index in 0..<2 { bytes[start + index] = bytes[start / row * row + index] }
                }
            }
        },
        .loading("q4-nibbles-swapped", "the halves of a Q4_0 block are taken for each other") { tensor in
            tensor.type == .q4_0
                ? try tensor.editing { bytes in
                    for start in stride(from: 0, to: bytes.count, by: TensorType.q4_0.bytesPerBlock) {
                        for index in start + 2..<start + TensorType.q4_0.bytesPerBlock {
                            bytes[index] = bytes[index] << 4 | bytes[index] >> 4
                        }
                    }
                } : nil
        },
        .loading("f16-odd-row-lost", "the last of an odd number of F16 rows is read from the one before") { tensor in
            guard tensor.type == .f16, tensor.shape.rows > 1, tensor.shape.rows % 2 == 1 else { return nil }
            let size = 2 * tensor.shape.last
            return try tensor.editing { bytes in
                for index in bytes.count - size..<bytes.count { bytes[index] = bytes[index - size] }
            }
        },
        .loading("bf16-low-bits-lost", "the last three bits of BF16 elements are lost") { tensor in
            tensor.type == .bf16
                ? try tensor.editing { bytes in
                    for index in stride(from: 0, to: bytes.count, by: 2) { bytes[index] &= 0xF8 }
                } : nil
        },
        .loading(
            "f32-matrices-kept-in-half", "F32 matrices are rounded to half precision when they are loaded"
        ) { tensor in
            guard tensor.type == .f32, tensor.shape.rank == 2 else { return nil }
            return try tensor.editing { bytes in
                for start in stride(from: 0, to: bytes.count, by: 4) {
                    let value = bytes.loadUnaligned(fromByteOffset: start, as: Float.self)
                    bytes.storeBytes(of: HalfPrecision.rounded(value), toByteOffset: start, as: Float.self)
                }
            }
        },
    ]
}

extension TensorData {
    /// The same tensor with other bytes; numbers are in the order of the processor, which is little-endian here.
    fileprivate func editing(_ edit: (UnsafeMutableRawBufferPointer) -> Void) throws -> TensorData {
        var copy = self
        let source = try littleEndian()
        copy.byteOrder = .little
        copy.bytes = source.withBytes { bytes in
            TensorBytes(count: bytes.count) { target in
                target.copyMemory(from: bytes)
                edit(target)
            }
        }
        return copy
    }
}
