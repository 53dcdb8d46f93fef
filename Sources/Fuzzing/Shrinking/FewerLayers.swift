import Architectures
import GGUF
import Inference

extension CaseSearch {
    /// Takes layers out, the last first. To lower `block_count` alone cuts the last off and draws what says which
    /// layers are of which kind anew; this takes any layer out of all that is said layer by layer.
    mutating func removeLayers() {
        for layer in (0..<best.layers).reversed() where best.layers > 1 {
            if let smaller = try? best.removing(layer: layer) { _ = attempt(smaller) }
        }
    }
}

extension Case {
    /// The same case without one of its blocks: of an encoder-decoder model, without that block of both stacks.
    /// - Throws: `MetadataError` where the metadata is no valid model's.
    func removing(layer: Int) throws -> Case {
        var result = self
        let traits = try ArchitectureCatalog.read(metadata).traits
        let declarations = try DeclarationRecorder.declarations(of: ArchitectureCatalog.type(of: metadata), metadata)
        for (key, declaration) in declarations {
            guard let value = metadata[key] else { continue }
            switch declaration.key {
            case "block_count": result.metadata[key] = .uint32(UInt32(layers - 1))
            case "nextn_predict_layers":
                // Of a draft these are all its blocks.
                if value.integer == layers,
                    traits.drafting != nil { result.metadata[key] = .uint32(UInt32(layers - 1)) }
            case "leading_dense_block_count":
                if let count = value.integer, count > layer { result.metadata[key] = .uint32(UInt32(count - 1)) }
            case "decoder_block_count":
                if let count = value.integer, count > 1 { result.metadata[key] = .uint32(UInt32(count - 1)) }
            default:
                guard declaration.domain.isPerLayer, var elements = value.elements, elements.count == layers else {
                    continue
                }
                elements.remove(at: layer)
                result.metadata[key] = MetadataArray(elements).map(MetadataValue.array)
            }
        }
        func renamed(_ name: String) -> String? {
            var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            // The blocks of a head that decides are none of these.
            guard let place = parts.firstIndex(of: "blk"), place + 1 < parts.count,
                let number = Int(parts[place + 1]), !traits.decides || place == 0
            else {
                return name
            }
            if number == layer { return nil }
            if number > layer { parts[place + 1] = "\(number - 1)" }
            return parts.joined(separator: ".")
        }
        result.optionalTensors = optionalTensors.compactMap(renamed).sorted()
        result.renameAdaptedMatrices(renamed)
        result.changeAdapters { adapter in
            guard case .controlVector(var vector) = adapter else { return adapter }
            if vector.last >= layer { vector.last -= 1 }
            if vector.first > layer { vector.first -= 1 }
            return vector.last < max(1, vector.first) ? nil : .controlVector(vector)
        }
        result.script.placement.limit(to: layers - 1)
        return result
    }
}

extension Placement {
    /// As it is in a model of fewer layers.
    mutating func limit(to count: Int) {
        layers = layers.map { range in
            var range = range
            range.first = min(range.first, count - 1)
            range.last = range.last.map { max(range.first, min($0, count - 1)) }
            return range
        }
    }
}

extension Declaration.Domain {
    fileprivate var isPerLayer: Bool {
        switch self {
        case .perLayer, .layouts, .pattern: true
        case .integer, .real, .boolean, .option, .text, .labels, .information: false
        }
    }
}
