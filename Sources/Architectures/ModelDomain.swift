import Foundation
import GGUF
import ModelGraph

/// Which models are drawn, where an engine cannot be asked for all that architectures allow.
///
/// It narrows what is drawn at random and nothing else: what is replayed or given may be any valid model.
public struct ModelDomain: Hashable, Sendable, Codable {
    /// What is drawn of a hyperparameter.
    public struct Key: Hashable, Sendable, Codable {
        /// A regular expression for the whole key: `qwen3\.rope\..*`.
        public var pattern: String
        /// The values that are drawn of those in its fuzz domain; null: the key may be absent.
        public var values: [Value?]
    }
    /// What is drawn of an optional tensor.
    public struct Tensor: Hashable, Sendable, Codable {
        /// A regular expression for the architecture and the tensor's name without the number of its block:
        /// `qwen3\.blk\.attn_qkv\.bias`.
        public var pattern: String
        /// In which blocks it is.
        public var presence: [TensorPolicy]
    }
    /// A value as JSON has it.
    public enum Value: Hashable, Sendable, Codable {
        case flag(Bool)
        case number(Double)
        case text(String)
    }

    /// Of several patterns that fit, the first decides; what none fits is drawn as ever.
    public var keys: [Key]
    public var tensors: [Tensor]

    private enum CodingKeys: CodingKey { case keys, tensors }
    private let memory = Memory()

    public init(keys: [Key] = [], tensors: [Tensor] = []) throws {
        (self.keys, self.tensors) = (keys, tensors)
        try compile()
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        keys = try container.decodeIfPresent([Key].self, forKey: .keys) ?? []
        tensors = try container.decodeIfPresent([Tensor].self, forKey: .tensors) ?? []
        do {
            try compile()
        } catch {
            throw DecodingError.dataCorrupted(.init(codingPath: container.codingPath, debugDescription: "\(error)"))
        }
    }

    public static func == (a: Self, b: Self) -> Bool { a.keys == b.keys && a.tensors == b.tensors }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(keys)
        hasher.combine(tensors)
    }

    /// Models that lie in both.
    public func common(with other: ModelDomain) -> ModelDomain {
        var both = self
        both.keys += other.keys
        both.tensors += other.tensors
        return (try? ModelDomain(keys: both.keys, tensors: both.tensors)) ?? self
    }

    /// What may be drawn of a hyperparameter; nil: whatever its architecture says.
    func values(of key: String) -> [Value?]? { memory.key(key) { $0.fits(key) }.map { keys[$0].values } }

    /// In which blocks an optional tensor may be; nil: in any.
    func presence(of tensor: String) -> [TensorPolicy]? {
        memory.tensor(tensor) { $0.fits(tensor) }.map { tensors[$0].presence }
    }

    private func compile() throws {
        memory.set(try keys.map { try Pattern($0.pattern) }, try tensors.map { try Pattern($0.pattern) })
    }

    private struct Pattern: @unchecked Sendable {
        // It is never changed after it was made.
        let expression: NSRegularExpression

        init(_ pattern: String) throws {
            do {
                expression = try NSRegularExpression(pattern: "\\A(?:\(pattern))\\z")
            } catch {
                throw MetadataError(keys: [pattern], reason: "is no regular expression")
            }
        }

        func fits(_ text: String) -> Bool {
            expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
        }
    }

    /// The pattern that each name fits: the same few hundred names are asked for with every case.
    private final class Memory: @unchecked Sendable {
        private let lock = NSLock()
        private var patterns: (keys: [Pattern], tensors: [Pattern]) = ([], [])
        private var known: (keys: [String: Int?], tensors: [String: Int?]) = ([:], [:])

        func set(_ keys: [Pattern], _ tensors: [Pattern]) { lock.withLock { patterns = (keys, tensors) } }

        func key(_ name: String, fits: (Pattern) -> Bool) -> Int? {
            lock.withLock {
                if let index = known.keys[name] { return index }
                let index = patterns.keys.firstIndex(where: fits)
                known.keys[name] = .some(index)
                return index
            }
        }

        func tensor(_ name: String, fits: (Pattern) -> Bool) -> Int? {
            lock.withLock {
                if let index = known.tensors[name] { return index }
                let index = patterns.tensors.firstIndex(where: fits)
                known.tensors[name] = .some(index)
                return index
            }
        }
    }
}

/// In which blocks an optional tensor is.
public enum TensorPolicy: String, Hashable, Sendable, Codable, CaseIterable { case never, always, mixed }

extension ModelDomain.Value {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else {
            self = .text(try container.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .flag(let flag): try container.encode(flag)
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        }
    }
}

extension Declaration {
    /// The same, drawn from some values only.
    /// - Parameter values: null: it may be absent.
    func drawn(from values: [ModelDomain.Value?]) -> Declaration {
        var result = self
        result.drawn = values.compactMap { $0 }
        // What is never drawn absent is needed.
        if absence != nil, presence == .either {
            let mayBePresent = values.contains { $0 != nil }
            result.presence = values.contains(nil) ? (mayBePresent ? .either : .absent) : .present
        }
        return result
    }
}

extension ModelDomain.Value {
    func isValue(_ other: MetadataValue) -> Bool {
        switch self {
        case .flag(let flag): other == .bool(flag)
        case .number(let number): other.double == number || other.integer.map(Double.init) == number
        case .text(let text): other == .string(text)
        }
    }
}
