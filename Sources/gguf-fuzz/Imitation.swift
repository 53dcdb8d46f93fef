import Devices
import Foundation
import GGUF

/// How `cpu` is to compute, as `--imitate` names it.
struct Imitation: Sendable {
    /// As it was named.
    let text: String
    let precision: Precision

    /// - Parameter text: a name, or the path of a JSON file as `devices --probe --json` writes it.
    /// - Throws: `CommandError`.
    init(_ text: String) throws {
        self.text = text
        if let known = Self.known.first(where: { $0.name == text }) {
            precision = known.precision
            return
        }
        guard let data = FileManager.default.contents(atPath: text) else {
            throw CommandError(
                "--imitate \(text): no such file, and no name; there are \(Self.names.joined(separator: ", "))")
        }
        do {
            let precisions = try JSONDecoder().decode([String: Precision].self, from: data)
            guard let first = precisions.first?.value, precisions.count == 1 else {
                throw CommandError("--imitate \(text): is of \(precisions.count) devices, must be of one")
            }
            precision = first
        } catch let error as DecodingError {
            throw CommandError("--imitate \(text): is no precision of a device: \(error.line)")
        }
    }

    static let names = known.map(\.name)

    private static let known: [(name: String, precision: Precision)] = [
        ("ggml-cpu", .ggmlCPU), ("tensor-cores", tensorCores), ("half-sums", halfSums), ("bfloat", bfloat),
    ]

    private static let float32 = Precision(storage: .float32, accumulation: .float32)

    /// As a GPU's library multiplies many rows: TF32, half, and blocks of 8-bit integers.
    private static let tensorCores: Precision = {
        var result = float32
        for type in TensorType.allCases where type != .f64 {
            for isOfExperts in [false, true] {
                for rows in Precision.RowCount.allCases {
                    let isMany = rows == .many
                    let operands: Precision.Operands? = switch type {
                    case .f32: isMany ? .tensorFloat32 : nil
                    case .f16: isMany ? .float16 : nil
                    case .bf16: isMany ? .bfloat16 : nil
                    default: .blocksOf32
                    }
                    result.products[Precision.Product(type, rows, isOfExperts: isOfExperts)] = operands.map {
                        Precision.Arithmetic($0)
                    }
                }
            }
        }
        for rows in Precision.RowCount.allCases {
            result.attention[Precision.AttentionKind(.full, isFlash: false, rows)] = Precision.Arithmetic(.float16)
        }
        return result
    }()

    /// As a GPU multiplies that has half precision alone: operands and sums, and subnormal numbers are zero.
    private static let halfSums: Precision = {
        var result = float32
        result.flushesSubnormals = true
        for type in TensorType.allCases where type != .f64 {
            for isOfExperts in [false, true] {
                result.products[Precision.Product(type, .many, isOfExperts: isOfExperts)] =
                    Precision.Arithmetic(.float16, sums: .float16)
                result.products[Precision.Product(type, .few, isOfExperts: isOfExperts)] =
                    Precision.Arithmetic(.asStored, sums: .chunkedFloat16)
            }
        }
        result.functions[.gelu] = .float16
        result.functions[.silu] = .approximateFloat32
        return result
    }()

    /// BF16 in products and attention, and approximate functions.
    private static let bfloat: Precision = {
        var result = float32
        for type in TensorType.allCases where type != .f64 {
            for rows in Precision.RowCount.allCases {
                result.products[Precision.Product(type, rows)] = Precision.Arithmetic(.bfloat16)
            }
        }
        for rows in Precision.RowCount.allCases {
            result.attention[Precision.AttentionKind(.full, isFlash: false, rows)] = Precision.Arithmetic(.bfloat16)
        }
        for function in [Precision.Function.norm, .softmax, .rope] { result.functions[function] = .approximateFloat32 }
        return result
    }()
}
