import Architectures
import GGUF
import PropertyTesting

/// One thing that is wrong with metadata, found from the declaration of the key.
public struct Contradiction: Hashable, Sendable, Codable {
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// A required key is not there.
        case missing
        /// A string where a number belongs, a number where a string does.
        case wrongType
        case belowRange
        case aboveRange
        case notFinite
        /// An array of one element too many.
        case wrongCount
    }
    /// The whole key.
    public var key: String
    public var kind: Kind
    /// What the key has; nil: it is not there.
    public var value: MetadataValue?

    /// Draws a contradiction to valid metadata, or recovers it (`like`).
    /// - Parameter boundsSizes: whether a size may be beyond any model's.
    static func draw(
        _ choices: inout Choices, _ architecture: any Architecture, _ metadata: Metadata, boundsSizes: Bool,
        like target: Contradiction?
    ) throws -> Contradiction {
        let declarations = try DeclarationRecorder.declarations(of: type(of: architecture), metadata)
        let all = declarations.flatMap { key, declaration in
            contradictions(to: declaration).map { Contradiction(key: key, kind: $0, value: $1) }
        }.filter { boundsSizes || $0.kind != .aboveRange || ($0.value?.integer ?? 0) <= 1 << 16 }
        return try choices.element(of: all, like: target)
    }

    func applied(to metadata: Metadata) -> Metadata {
        var metadata = metadata
        metadata[key] = value
        return metadata
    }

    private static func contradictions(to declaration: Declaration) -> [(Kind, MetadataValue?)] {
        var result: [(Kind, MetadataValue?)] = declaration.absence == nil ? [(.missing, nil)] : []
        func numbers(_ domain: Declaration.Domain) -> [(Kind, MetadataValue)] {
            switch domain {
            case .integer(let valid, _):
                [(.wrongType, .string("three"))]
                    + (valid.lowerBound > 0
                        ? [(.belowRange, .uint32(UInt32(valid.lowerBound - 1)))] : [(.belowRange, .int32(-1))])
                    + (valid.upperBound < Int(UInt32.max) ? [(.aboveRange, .uint32(UInt32(valid.upperBound + 1)))] : [])
            case .real(let valid, _):
                [(.wrongType, .string("three")), (.notFinite, .float32(.nan)), (.notFinite, .float32(.infinity))]
                    + (valid.lowerBound > -1e30 ? [(.belowRange, .float32(Float(valid.lowerBound - 1)))] : [])
                    + (valid.upperBound < 1e30 ? [(.aboveRange, .float32(Float(valid.upperBound * 2 + 1)))] : [])
            case .information: []
            case .boolean, .option, .labels: [(.wrongType, .string("three"))]
            case .text: [(.wrongType, .uint32(3))]
            case .pattern(_, _, let count):
                [(.wrongType, .string("three")), (.wrongCount, .array(.bool(Array(repeating: true, count: count + 1))))]
            case .perLayer(let domain, let count), .layouts(_, let domain, let count):
                numbers(domain) + [(.wrongCount, .array(.uint32(Array(repeating: 1, count: count + 1))))]
            }
        }
        result += numbers(declaration.domain).map { ($0, Optional($1)) }
        return result
    }
}
