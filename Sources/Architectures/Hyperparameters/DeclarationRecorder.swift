import GGUF

/// Keeps the declarations that an architecture makes on the way through some metadata.
public struct DeclarationRecorder: Hyperparameters {
    private var reader: MetadataReader
    private var declarations: [(key: String, declaration: Declaration)] = []

    public mutating func value(of declaration: Declaration) throws -> MetadataValue? {
        declarations.append((Declaration.path(declaration.key, reader.architecture), declaration))
        return try reader.value(of: declaration)
    }

    public mutating func contradiction(_ error: MetadataError) throws { try reader.contradiction(error) }

    /// Every declaration that valid metadata meets, with its whole key, in order.
    /// - Throws: `MetadataError` if it is not valid.
    public static func declarations(
        of architecture: any Architecture.Type, _ metadata: Metadata
    ) throws -> [(key: String, declaration: Declaration)] {
        var recorder = DeclarationRecorder(reader: MetadataReader(metadata, architecture: architecture.name))
        _ = try architecture.init(&recorder)
        return recorder.declarations
    }

    /// The hyperparameters that metadata holds and the architecture does not ask for, with their whole keys, in order.
    /// - Throws: `MetadataError` if it is not valid.
    public static func unread(_ metadata: Metadata) throws -> [String] {
        let type = try ArchitectureCatalog.type(of: metadata)
        let asked = Set(try declarations(of: type, metadata).map(\.key))
        return metadata.map(\.key).filter { $0.hasPrefix("\(type.name).") && !asked.contains($0) }
    }
}
