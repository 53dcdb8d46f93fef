import GGUF
import ModelGraph

extension Weight.Role: Codable {}

/// By name: `q8_0`.
extension TensorType: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let type = TensorType(name: name) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(quoted(name)) is no tensor type")
        }
        self = type
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name.lowercased())
    }
}
