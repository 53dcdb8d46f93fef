import Architectures
import Engines
import Inference

extension Case {
    /// The files of what the model is adapted by.
    /// - Parameter source: the model.
    /// - Throws: `ModelError` for what is no adapter of the model.
    func adapterSources(for source: any TensorSource) throws -> [(adapter: Adapter, source: any TensorSource)] {
        try (adapters ?? []).map { ($0, try $0.source(for: source)) }
    }

    /// The matrices that have products of low rank beside them, without the numbers of their blocks.
    var adaptedMatrices: Set<String> {
        Set((adapters ?? []).flatMap { adapter -> [String] in
            if case .lora(let lora) = adapter { lora.tensors.map(\.withoutBlock) } else { [] }
        })
    }

    /// Whether something is added to the residual stream.
    var isSteered: Bool { (adapters ?? []).contains { $0.kind == .controlVector } }

    /// Changes the names of matrices that adapters are of; nil: there is none any more, and no adapter that has no
    /// other.
    mutating func renameAdaptedMatrices(_ name: (String) -> String?) {
        changeAdapters { adapter in
            guard case .lora(var lora) = adapter else { return adapter }
            lora.tensors = lora.tensors.compactMap(name).sorted()
            return lora.tensors.isEmpty ? nil : .lora(lora)
        }
    }

    /// - Parameter change: gives nil for what is no adapter any more.
    mutating func changeAdapters(_ change: (Adapter) -> Adapter?) {
        let changed = (adapters ?? []).compactMap(change)
        adapters = changed.isEmpty ? nil : changed
    }

    /// Why the adapters cannot be asked for, as a file edited by hand may have them; nil where they can.
    /// - Throws: `MetadataError` or `GraphError` where the case has no valid model.
    func flawOfAdapters() throws -> String? {
        guard let adapters else { return nil }
        guard check.takesAdapters else { return "adapters: the check \(check.rawValue) has none" }
        let parts = try AdaptableParts(self)
        for (number, adapter) in adapters.enumerated() {
            if let flaw = adapter.flaw(parts) { return "adapters[\(number)].\(adapter.kind.rawValue).\(flaw)" }
        }
        guard adapters.count(where: { $0.kind == .controlVector }) <= 1 else {
            return "adapters: the residual stream is steered by one control vector at most"
        }
        let areDamaged = check == .malformed && !(adapters.count == 1 && adapters[0].kind == .lora)
        return areDamaged ? "adapters: of the check \(check.rawValue) there is one, a lora" : nil
    }
}

extension Adapter {
    fileprivate func flaw(_ parts: AdaptableParts) -> String? {
        guard scale.isFinite else { return "scale: must be finite" }
        switch self {
        case .lora(let lora):
            let ranks = 1...4096
            guard ranks.contains(lora.rank) else { return "rank: must be 1 to \(ranks.upperBound)" }
            guard lora.alpha.isFinite, lora.alpha != 0 else { return "alpha: must be finite, and not 0" }
            guard !lora.tensors.isEmpty else { return "tensors: names no matrix" }
            guard let unknown = lora.tensors.first(where: { !parts.matrices.contains($0) }) else {
                return lora.tensors.count == Set(lora.tensors).count ? nil : "tensors: names a matrix twice"
            }
            let close = NearNames(of: unknown, among: parts.matrices).words
            return "tensors: \(unknown): is no matrix of such a model that can be adapted"
                + (close.map { "; \($0)" } ?? "")
        case .controlVector(let vector):
            let areBlocks = vector.first <= vector.last
                && (vector.first...vector.last).allSatisfy(parts.blocks.contains)
            guard areBlocks else {
                let blocks = parts.blocks.map(String.init).joined(separator: ", ")
                return "first, last: must be of the blocks \(blocks.isEmpty ? "of another model" : blocks)"
            }
            return nil
        }
    }
}
