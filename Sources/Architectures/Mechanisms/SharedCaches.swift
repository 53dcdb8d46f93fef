/// Last layers that have no keys and values of their own: each looks at those of the last layer before them that has a
/// window if it has one, and none if it has none.
///
/// Sources: Brandon et al. 2024 (cross-layer attention); `kv_sharing_modes` of Gemma 3n and 4 in transformers.
public struct SharedCaches: Hashable, Sendable {
    private let sources: [Int]

    /// - Parameters:
    ///   - windows: whether each layer has a window.
    ///   - absent: how many layers share, where the metadata does not say.
    public init(_ h: inout some Hyperparameters, windows: [Bool], default absent: Int) throws {
        let key = "attention.shared_kv_layers"
        let layers = windows.count
        let sources = { (shared: Int) in
            windows.indices.map { layer in
                layer < layers - shared ? layer : (0..<max(0, layers - shared)).last { windows[$0] == windows[layer] }
            }
        }
        let possible = (0..<layers).filter { sources($0).allSatisfy { $0 != nil } }
        let shared = try h.integer(
            key, 0...512, fuzz: possible, default: absent,
            "last layers that look at the keys and values of earlier ones")
        self.sources = sources(shared).compactMap { $0 }
        try h.require(
            self.sources.count == layers, key, "attention.sliding_window_pattern",
            because: "no layer before the last \(shared) of \(layers) is of the same kind as one of them")
    }

    /// The layer whose keys and values a layer looks at.
    public func source(of layer: Int) -> Int { sources[layer] }
}
