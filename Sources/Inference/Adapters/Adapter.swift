import GGUF
import ModelGraph

/// What is added to a toy model while it runs, as a file of its own holds it.
public enum Adapter: Hashable, Sendable {
    case lora(LoRA)
    case controlVector(ControlVector)

    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable { case lora, controlVector }

    public var kind: Kind {
        switch self {
        case .lora: .lora
        case .controlVector: .controlVector
        }
    }

    /// Products of low rank beside those of some matrices: `scale · alpha / rank · B · A` is added to each.
    /// Source: Hu et al. 2021.
    public struct LoRA: Hashable, Sendable, Codable {
        /// Of the random elements.
        public var seed: UInt64
        /// Rows of each `A`.
        public var rank: Int
        public var alpha: Double
        public var scale: Double
        /// Of `A` and `B`, where their rows are whole blocks of it.
        public var type: TensorType
        /// Names of the matrices.
        public var tensors: [String]

        public init(
            seed: UInt64 = 0, rank: Int = 1, alpha: Double = 1, scale: Double = 1, type: TensorType = .f32,
            tensors: [String]
        ) {
            self.seed = seed
            self.rank = rank
            self.alpha = alpha
            self.scale = scale
            self.type = type
            self.tensors = tensors
        }
    }

    /// A direction a block, `scale` times which is added to the residual stream after it. A file has one for each block
    /// but the first. Sources: Zou et al. 2023; repeng, whose files these are.
    public struct ControlVector: Hashable, Sendable, Codable {
        /// Of the random elements.
        public var seed: UInt64
        public var scale: Double
        /// Blocks after which it is added.
        public var first, last: Int

        public init(seed: UInt64 = 0, scale: Double = 1, first: Int, last: Int) {
            self.seed = seed
            self.scale = scale
            self.first = first
            self.last = last
        }
    }

    /// How often what the file holds is added.
    public var scale: Double {
        switch self {
        case .lora(let lora): lora.scale
        case .controlVector(let vector): vector.scale
        }
    }

    /// Blocks after which something is added; nil: all for which the file has something.
    public var layers: ClosedRange<Int>? {
        guard case .controlVector(let vector) = self else { return nil }
        return vector.first...max(vector.first, vector.last)
    }
}

// MARK: As JSON: one key that names the kind

extension Adapter: Codable {
    private enum Key: String, CodingKey, CaseIterable { case lora, controlVector }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let key = try container.onlyKey(of: "an adapter")
        switch key {
        case .lora: self = .lora(try container.decode(LoRA.self, forKey: key))
        case .controlVector: self = .controlVector(try container.decode(ControlVector.self, forKey: key))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .lora(let lora): try container.encode(lora, forKey: .lora)
        case .controlVector(let vector): try container.encode(vector, forKey: .controlVector)
        }
    }
}
