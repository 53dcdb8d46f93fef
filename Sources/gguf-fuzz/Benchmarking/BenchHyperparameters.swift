import Architectures
import GGUF
import PropertyTesting

/// Visits hyperparameters with the sizes of a benchmark, and with the simplest value of everything else.
struct BenchHyperparameters: Hyperparameters {
    private(set) var metadata: Metadata
    private let architecture: String
    private let sizes: [String: Int]
    private var drawer: MetadataDrawer

    init(_ architecture: String, sizes: [String: Int]) {
        self.architecture = architecture
        self.sizes = sizes
        drawer = MetadataDrawer(architecture: architecture, choices: Choices(replaying: []))
        metadata = drawer.metadata
    }

    mutating func value(of declaration: Declaration) throws -> MetadataValue? {
        if let size = sizes[declaration.key], declaration.domain.allows(size) {
            let value = MetadataValue.uint32(UInt32(size))
            metadata["\(architecture).\(declaration.key)"] = value
            return value
        }
        let value = try drawer.value(of: declaration)
        metadata = metadata.merging(drawer.metadata)
        return value
    }

    mutating func contradiction(_ error: MetadataError) throws { throw error }
}

extension Declaration.Domain {
    fileprivate func allows(_ size: Int) -> Bool {
        switch self {
        case .integer(let valid, _): valid.contains(size)
        case .perLayer(let domain, _): domain.allows(size)
        // What tells layers apart is as the architecture has it.
        default: false
        }
    }
}
