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

        public init(pattern: String, values: [Value?]) { (self.pattern, self.values) = (pattern, values) }
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
    private let fittingKeys = Fitting()
    private let fittingTensors = Fitting()

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
    /// - Throws: `MetadataError` where a pattern takes too long to tell.
    func values(of key: String) throws -> [Value?]? { try fittingKeys.first(for: key).map { keys[$0].values } }

    /// In which blocks an optional tensor may be; nil: in any.
    /// - Throws: as `values(of:)`.
    func presence(of tensor: String) throws -> [TensorPolicy]? {
        try fittingTensors.first(for: tensor).map { tensors[$0].presence }
    }

    private func compile() throws {
        for tensor in tensors where tensor.presence.isEmpty {
            throw MetadataError(keys: [tensor.pattern], reason: "is in no block, nor in none")
        }
        try fittingKeys.compile(keys.map(\.pattern))
        try fittingTensors.compile(tensors.map(\.pattern))
    }

    /// Which of some patterns a name fits first: the same few hundred names are asked for with every case.
    private final class Fitting: @unchecked Sendable {
        private let lock = NSLock()
        private var expressions: [(pattern: String, expression: NameExpression)] = []
        private var known: [String: Int?] = [:]
        /// That a pattern takes too long: it is not tried again.
        private var failure: MetadataError?

        func compile(_ patterns: [String]) throws {
            let compiled = try patterns.map { pattern in
                guard let expression = NameExpression(pattern) else {
                    throw MetadataError(keys: [pattern], reason: "is no regular expression")
                }
                return (pattern, expression)
            }
            lock.withLock { expressions = compiled }
        }

        func first(for name: String) throws -> Int? {
            try lock.withLock {
                if let failure { throw failure }
                if let index = known[name] { return index }
                let index = try expressions.firstIndex { pattern, expression in
                    if let isMatch = expression.matches(name) { return isMatch }
                    let failure = MetadataError(keys: [pattern], reason: "takes too long to match \(name)")
                    self.failure = failure
                    throw failure
                }
                known[name] = .some(index)
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
