import GGUF
import PropertyTesting

/// Collects the declarations of an architecture, in order, for listings.
///
/// Some keys are asked for only where others have certain values, so an architecture is visited with
/// several drawn models and the declarations are merged.
public struct DeclarationList: Hyperparameters {
    public private(set) var declarations: [Declaration] = []
    private var drawer: MetadataDrawer

    private init(drawer: MetadataDrawer) { self.drawer = drawer }

    public mutating func value(of declaration: Declaration) throws -> MetadataValue? {
        declarations.append(declaration)
        return try drawer.value(of: declaration)
    }
    public mutating func contradiction(_ error: MetadataError) throws { try drawer.contradiction(error) }

    public static func of(_ architecture: any Architecture.Type) throws -> [Declaration] {
        var merged: [Declaration] = []
        for seed in 0..<400 as Range<UInt64> {
            var list = DeclarationList(
                drawer: MetadataDrawer(architecture: architecture.name, choices: Choices(seed: seed)))
            _ = try architecture.init(&list)
            var insertion = 0
            for declaration in list.declarations {
                if let index = merged.firstIndex(where: { $0.key == declaration.key }) {
                    merged[index].widen(to: declaration)
                    insertion = index + 1
                } else {
                    merged.insert(declaration, at: insertion)
                    insertion += 1
                }
            }
        }
        return merged
    }
}
