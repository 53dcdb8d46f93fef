import Foundation
import GGUF

/// How a device computes: what the noise floor is made of.
///
/// Of the builtin engine's devices it is known; other engines' are asked (`Probe`).
public struct Precision: Hashable, Sendable {
    /// Of values between ops.
    public var storage: Format
    /// Of sums inside an op.
    public var accumulation: Format
    /// Of products with weights. Those that are not named multiply operands as they are stored, and sum in the
    /// `accumulation`.
    public var products: [Product: Arithmetic] = [:]
    /// Of attention: what multiplies keys and values, and the sums of values.
    public var attention: [AttentionKind: Arithmetic] = [:]
    /// Of functions where they are less exact than the storage.
    public var functions: [Function: Format] = [:]
    /// Of recurrent states, where it differs from the storage.
    public var states: Format?
    /// Whether numbers below the least normal one may become zero.
    public var flushesSubnormals = false

    public init(storage: Format, accumulation: Format) {
        self.storage = storage
        self.accumulation = accumulation
    }

    /// The finest first.
    public enum Format: String, Hashable, Sendable, Codable, CaseIterable {
        case float64, float32
        /// float32 by instructions that approximate: `__expf`, `rsqrt.approx`.
        case approximateFloat32 = "approximate float32"
        /// Ten bits of significand, the range of float32; cut or rounded.
        case tensorFloat32 = "TF32"
        case float16
        case bfloat16
    }

    /// Products of one kind: a device may have a kernel for each.
    public struct Product: Hashable, Sendable {
        /// Of the weights.
        public var type: TensorType
        public var rows: RowCount
        /// Whether each row chooses its weights: products with experts.
        public var isOfExperts: Bool

        public init(_ type: TensorType, _ rows: RowCount, isOfExperts: Bool = false) {
            self.type = type
            self.rows = rows
            self.isOfExperts = isOfExperts
        }
    }

    /// How many rows are multiplied at once: backends have kernels for a vector, for few and for many.
    public enum RowCount: String, Hashable, Sendable, Codable, CaseIterable {
        case one = "1 row"
        case few = "2–8 rows"
        case many = "more rows"

        public init(_ count: Int) { self = count <= 1 ? .one : count <= 8 ? .few : .many }

        /// This one, and those of fewer rows.
        var upToThis: ArraySlice<RowCount> { Self.allCases.prefix { $0 != self } + [self] }
    }

    /// Attention of one kind.
    public struct AttentionKind: Hashable, Sendable {
        /// What keys and values are kept in.
        public var cache: StateType
        /// Whether it is computed in one pass over the keys.
        public var isFlash: Bool
        public var rows: RowCount

        public init(_ cache: StateType, isFlash: Bool, _ rows: RowCount) {
            self.cache = cache
            self.isFlash = isFlash
            self.rows = rows
        }
    }

    public enum Function: String, Hashable, Sendable, Codable, CaseIterable {
        case norm, softmax, rope, silu
        /// In half precision: its argument and its result, as a table has them.
        case gelu
    }

    /// How a kernel multiplies and adds.
    public struct Arithmetic: Hashable, Sendable, Codable {
        public var operands: Operands
        public var sums: Sums

        public init(_ operands: Operands, sums: Sums = .full) {
            self.operands = operands
            self.sums = sums
        }

        /// Of each property the coarser.
        func coarsest(with other: Arithmetic) -> Arithmetic {
            Arithmetic(max(operands, other.operands), sums: max(sums, other.sums))
        }
    }

    /// What operands are rounded to before they are multiplied; the finest first.
    public enum Operands: String, Hashable, Sendable, Codable, CaseIterable {
        case asStored = "as stored"
        /// Rounded to ten bits of significand.
        case tensorFloat32 = "TF32"
        /// Cut to them.
        case cutTensorFloat32 = "TF32, cut"
        case float16 = "half"
        /// Half precision whose subnormal numbers are zero.
        case flushedFloat16 = "half without subnormals"
        case bfloat16 = "BF16"
        /// Each a whole multiple, −127 to 127, of the scale of its block of 32, which is kept in half precision as the
        /// block's sum is where weights have minima: ggml's Q8_0 and Q8_1.
        case blocksOf32 = "8-bit blocks of 32"
        /// The same of 256, with a scale in float32: ggml's Q8_K.
        case blocksOf256 = "8-bit blocks of 256"
    }

    /// How products are summed; the finest first.
    public enum Sums: String, Hashable, Sendable, Codable, CaseIterable {
        /// As `Precision.accumulation` says.
        case full = "float32 sums"
        /// In half precision 32 by 32, and these sums in float32.
        case chunkedFloat16 = "half sums of 32"
        case float16 = "half sums"
    }
}

extension Precision.Operands: Comparable {
    public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

extension Precision.Sums: Comparable {
    public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

extension Precision.Arithmetic: CustomStringConvertible {
    public var description: String { sums == .full ? operands.rawValue : "\(operands.rawValue), \(sums.rawValue)" }
}

// MARK: The hypotheses

extension Precision.Arithmetic {
    /// What the kernels of backends may do, the finest first: how a probe explains what it sees.
    ///
    /// Sources: ggml (`ggml-cpu`: Q8_0, Q8_1 and Q8_K activations, half and BF16 dot products; `ggml-cuda`: `mmvq`,
    /// `mmq`, cuBLAS in TF32 and in half precision; `ggml-vulkan`: half precision, and its sums, of cooperative
    /// matrices).
    public static let hypotheses: [Self] = [
        Self(.asStored), Self(.tensorFloat32), Self(.float16), Self(.flushedFloat16), Self(.cutTensorFloat32),
        Self(.asStored, sums: .chunkedFloat16), Self(.float16, sums: .chunkedFloat16), Self(.bfloat16),
        Self(.asStored, sums: .float16), Self(.float16, sums: .float16), Self(.flushedFloat16, sums: .float16),
        Self(.bfloat16, sums: .float16), Self(.blocksOf32), Self(.blocksOf256), Self(.blocksOf32, sums: .float16),
        Self(.blocksOf256, sums: .float16),
    ]
}

extension Precision.Format {
    /// The unit roundoff: the largest relative error of rounding to nearest, or of TF32 of cutting. float64 is what the
    /// reference computes in: nothing is rounded.
    public var unit: Double {
        switch self {
        case .float64: 0
        case .float32: 0x1p-24
        // Three bits: CUDA's `__expf` and `__sinf` err by a few units in the last place.
        case .approximateFloat32: 0x1p-21
        case .tensorFloat32: 0x1p-10
        case .float16: 0x1p-11
        case .bfloat16: 0x1p-8
        }
    }

    /// The greatest finite number.
    public var greatest: Double {
        switch self {
        case .float64: .greatestFiniteMagnitude
        case .float16: 65504
        case .float32, .approximateFloat32, .tensorFloat32, .bfloat16: Double(Float.greatestFiniteMagnitude)
        }
    }
}

// MARK: Several

extension Precision {
    /// What a computation of both has: of each property the coarser.
    public func coarsest(with other: Precision) -> Precision {
        func coarser(_ a: Format, _ b: Format) -> Format { a.unit >= b.unit ? a : b }
        var result = self
        result.storage = coarser(storage, other.storage)
        result.accumulation = coarser(accumulation, other.accumulation)
        result.products.merge(other.products) { $0.coarsest(with: $1) }
        result.attention.merge(other.attention) { $0.coarsest(with: $1) }
        result.functions.merge(other.functions, uniquingKeysWith: coarser)
        if let states = other.states { result.states = self.states.map { coarser($0, states) } ?? states }
        result.flushesSubnormals = flushesSubnormals || other.flushesSubnormals
        return result
    }

    /// Of products with weights of a type, of at most so many rows: the coarsest, since an engine may compute fewer at
    /// once than a batch has.
    func arithmetic(_ type: TensorType, _ rows: RowCount, isOfExperts: Bool) -> Arithmetic? {
        coarsest(rows.upToThis.lazy.compactMap { products[Product(type, $0, isOfExperts: isOfExperts)] })
    }

    /// Of attention, likewise.
    func arithmetic(_ cache: StateType, isFlash: Bool, _ rows: RowCount) -> Arithmetic? {
        coarsest(rows.upToThis.lazy.compactMap { attention[AttentionKind(cache, isFlash: isFlash, $0)] })
    }

    private func coarsest(_ kinds: some Sequence<Arithmetic>) -> Arithmetic? {
        kinds.reduce(nil) { found, next in found?.coarsest(with: next) ?? next }
    }
}

extension StateType {
    /// Of the numbers in it.
    var tensorType: TensorType {
        switch self {
        case .full: .f32
        case .half: .f16
        case .bfloat: .bf16
        case .q8_0: .q8_0
        case .q5_1: .q5_1
        case .q5_0: .q5_0
        case .q4_1: .q4_1
        case .q4_0: .q4_0
        case .iq4_NL: .iq4_NL
        }
    }
}

extension Precision {
    /// ggml's CPU backend, for results of which nothing but that is known: activations are converted to what the kernel
    /// of the weights' type takes; gelu is read from a table of half precision; with keys and values in half precision,
    /// so are queries and the weights of values, and flash attention sums values in half precision.
    public static let ggmlCPU: Precision = {
        var result = Precision(storage: .float32, accumulation: .float32)
        for type in TensorType.allCases where type != .f32 && type != .f64 {
            let operands: Operands = switch type {
            case .f16: .float16
            case .bf16: .bfloat16
            default: type.blockSize >= 256 ? .blocksOf256 : .blocksOf32
            }
            for rows in RowCount.allCases {
                for isOfExperts in [false, true] {
                    result.products[Product(type, rows, isOfExperts: isOfExperts)] = Arithmetic(operands)
                }
            }
        }
        for cache in StateType.allCases {
            let operands: Operands = cache == .bfloat ? .bfloat16 : cache.blockSize > 1 ? .blocksOf32 : .float16
            for rows in RowCount.allCases {
                if cache != .full {
                    result.attention[AttentionKind(cache, isFlash: false, rows)] = Arithmetic(operands)
                }
                result.attention[AttentionKind(cache, isFlash: true, rows)] = Arithmetic(operands, sums: .float16)
            }
        }
        result.functions[.gelu] = .float16
        return result
    }()
}

// MARK: As JSON: kinds by their names, what is not there left out

extension Precision: Codable {
    private enum Key: String, CodingKey {
        case storage, accumulation, products, attention, functions, states, flushesSubnormals
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        self.init(
            storage: try container.decode(Format.self, forKey: .storage),
            accumulation: try container.decode(Format.self, forKey: .accumulation))
        products = try container.decodeIfPresent([Product: Arithmetic].self, forKey: .products) ?? [:]
        attention = try container.decodeIfPresent([AttentionKind: Arithmetic].self, forKey: .attention) ?? [:]
        functions = try container.decodeIfPresent([Function: Format].self, forKey: .functions) ?? [:]
        states = try container.decodeIfPresent(Format.self, forKey: .states)
        flushesSubnormals = try container.decodeIfPresent(Bool.self, forKey: .flushesSubnormals) ?? false
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(storage, forKey: .storage)
        try container.encode(accumulation, forKey: .accumulation)
        if !products.isEmpty { try container.encode(products, forKey: .products) }
        if !attention.isEmpty { try container.encode(attention, forKey: .attention) }
        if !functions.isEmpty { try container.encode(functions, forKey: .functions) }
        try container.encodeIfPresent(states, forKey: .states)
        if flushesSubnormals { try container.encode(true, forKey: .flushesSubnormals) }
    }
}

extension Precision.Function: CodingKeyRepresentable {}

/// What a dictionary of a precision is by: a key of an object in JSON.
public protocol PrecisionKind: CodingKeyRepresentable, Codable, Hashable {}

extension PrecisionKind {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(codingKey: TextKey(text)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is an unknown name")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(codingKey.stringValue)
    }
}

/// Any text as the key of a JSON object.
package struct TextKey: CodingKey {
    package var stringValue: String
    package var intValue: Int? { nil }

    package init(_ text: String) { stringValue = text }
    package init?(stringValue: String) { self.stringValue = stringValue }
    package init?(intValue: Int) { nil }
}

extension Precision.Product: PrecisionKind, CustomStringConvertible {
    /// `Q4_K, 2–8 rows`, `Q4_K of experts, 1 row`
    public var description: String { "\(type.name)\(isOfExperts ? " of experts" : ""), \(rows.rawValue)" }
    public var codingKey: any CodingKey { TextKey(description) }

    public init?<Key: CodingKey>(codingKey: Key) {
        let parts = codingKey.stringValue.components(separatedBy: ", ")
        guard parts.count == 2, let rows = Precision.RowCount(rawValue: parts[1]) else { return nil }
        let isOfExperts = parts[0].hasSuffix(" of experts")
        let name = isOfExperts ? String(parts[0].dropLast(" of experts".count)) : parts[0]
        guard let type = TensorType.allCases.first(where: { $0.name == name }) else { return nil }
        self.init(type, rows, isOfExperts: isOfExperts)
    }
}

extension Precision.AttentionKind: PrecisionKind, CustomStringConvertible {
    /// `f16, flash, 1 row`
    public var description: String { "\(cache.rawValue), \(isFlash ? "flash" : "plain"), \(rows.rawValue)" }
    public var codingKey: any CodingKey { TextKey(description) }

    public init?<Key: CodingKey>(codingKey: Key) {
        let parts = codingKey.stringValue.components(separatedBy: ", ")
        guard parts.count == 3, let cache = StateType(rawValue: parts[0]), ["flash", "plain"].contains(parts[1]),
            let rows = Precision.RowCount(rawValue: parts[2])
        else { return nil }
        self.init(cache, isFlash: parts[1] == "flash", rows)
    }
}
