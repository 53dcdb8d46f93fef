import GGUF

/// Reads and validates the metadata of a file.
public struct MetadataReader: Hyperparameters {
    public let metadata: Metadata
    public let architecture: String

    public init(_ metadata: Metadata, architecture: String) {
        self.metadata = metadata
        self.architecture = architecture
    }

    /// - Throws: `MetadataError` that names the key, the value found and what is allowed.
    public mutating func value(of declaration: Declaration) throws -> MetadataValue? {
        let key = Declaration.path(declaration.key, architecture)
        guard let value = metadata[key] ?? substitute(for: declaration.key) else {
            if declaration.absence == nil {
                throw MetadataError(keys: [key], reason: "is missing; allowed: \(declaration.domain.allowed)")
            }
            return nil
        }
        do {
            try declaration.domain.validate(value, key)
        } catch let error as MetadataError {
            throw MetadataError(keys: error.keys, reason: "\(error.reason); allowed: \(declaration.domain.allowed)")
        }
        return value
    }

    /// Files with a tokenizer need not say how many tokens it has.
    private func substitute(for key: String) -> MetadataValue? {
        guard key == "vocab_size", let tokens = metadata.array("tokenizer.ggml.tokens") else { return nil }
        return .uint32(UInt32(clamping: tokens.count))
    }

    public mutating func contradiction(_ error: MetadataError) throws {
        throw MetadataError(
            keys: error.keys.map { key in
                let full = Declaration.path(key, architecture)
                return metadata[full].map { "\(full) = \($0.summary)" } ?? "\(full) (absent)"
            }, reason: error.reason)
    }
}

extension Declaration.Domain {
    /// - Throws: `MetadataError` without the list of what is allowed.
    func validate(_ value: MetadataValue, _ key: String) throws {
        switch self {
        case .integer(let valid, _):
            let integer = try value.integer(key)
            guard valid.contains(integer) else { throw MetadataError(keys: [key], reason: "is \(integer)") }
        case .real(let valid, _):
            let real = try value.real(key)
            guard valid.contains(real) else { throw MetadataError(keys: [key], reason: "is \(real)") }
        case .boolean(let allowed):
            let flag = try value.boolean(key)
            guard allowed.contains(flag) else { throw MetadataError(keys: [key], reason: "is \(flag)") }
        case .option(let options):
            let integer = try value.integer(key)
            guard options.contains(where: { $0.value == integer }) else {
                throw MetadataError(keys: [key], reason: "is \(integer)")
            }
        case .text(let options):
            guard case .string(let text) = value, options.contains(text) else {
                throw MetadataError(keys: [key], reason: "is \(value.summary)")
            }
        case .information: break
        case .labels(_, let areNames):
            guard let elements = value.elements, !elements.isEmpty,
                elements.allSatisfy({ areNames ? $0.string != nil : $0.integer != nil })
            else { throw MetadataError(keys: [key], reason: "is \(value.summary)") }
        case .pattern(let valid, _, let count):
            switch try value.pattern(key, count: count) {
            case .period(let period):
                guard valid.contains(period) else { throw MetadataError(keys: [key], reason: "is \(period)") }
            case .flags(let flags):
                guard flags.count == count else {
                    throw MetadataError(keys: [key], reason: "has \(flags.count) elements for \(count) layers")
                }
            }
        case .layouts(_, .boolean, let count):
            let flags = try value.flags(key, count: count)
            guard flags.count == count else {
                throw MetadataError(keys: [key], reason: "has \(flags.count) elements for \(count) layers")
            }
        case .layouts(_, let domain, let count):
            try Declaration.Domain.perLayer(domain, count: count).validate(value, key)
        case .perLayer(let domain, let count):
            guard let elements = value.elements else { return try domain.validate(value, key) }
            guard elements.count == count else {
                throw MetadataError(keys: [key], reason: "has \(elements.count) elements for \(count) layers")
            }
            for (layer, element) in elements.enumerated() { try domain.validate(element, "\(key)[\(layer)]") }
        }
    }

    /// What a person may write, for errors and listings.
    public var allowed: String {
        switch self {
        case .integer(let valid, _): "integer \(valid.lowerBound) to \(valid.upperBound)"
        case .real(let valid, _): "number \(valid.lowerBound) to \(valid.upperBound)"
        case .boolean(let allowed): allowed.map { "\($0)" }.joined(separator: " or ")
        case .option(let options): options.map { "\($0.value) (\($0.name))" }.joined(separator: ", ")
        case .text(let options): options.map { "\"\($0)\"" }.joined(separator: ", ")
        case .labels(_, let areNames): "one or more \(areNames ? "strings" : "integers")"
        case .information: "anything"
        case .pattern(let valid, _, let count): "integer \(valid.lowerBound) to \(valid.upperBound), or \(count) flags"
        case .layouts(_, let domain, let count), .perLayer(let domain, let count): "\(domain.allowed), one or \(count)"
        }
    }
}
