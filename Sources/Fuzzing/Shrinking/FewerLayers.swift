import Architectures
import GGUF
import PropertyTesting

extension ShrinkPass {
    /// Takes layers out, the last first. To lower `block_count` alone cuts the last off and draws what says which
    /// layers are of which kind anew; this takes any layer out of all that is said layer by layer, and recovers the
    /// choices of what is left.
    static func fewerLayers(_ drawing: CaseDrawing) -> ShrinkPass {
        ShrinkPass("fewer layers") { search in
            var layer = Int.max
            while let current = drawing.replay(search.best), layer > 0 {
                layer = min(layer, current.layers) - 1
                guard current.layers > 1, let smaller = try? current.removing(layer: layer) else { return }
                var choices = Choices(replaying: [])
                guard (try? drawing.draw(&choices, like: smaller)) != nil else { continue }
                search.attempt(choices.recording)
            }
        }
    }
}

extension CaseDrawing {
    /// The case that choices draw; nil where they contradict each other.
    func replay(_ recording: Choices.Recording) -> Case? {
        var choices = Choices(replaying: recording)
        return try? draw(&choices)
    }
}

extension Case {
    /// The same case without one of its blocks: of an encoder-decoder model, without that block of both stacks.
    /// - Throws: `MetadataError` where the metadata is no valid model's.
    func removing(layer: Int) throws -> Case {
        var result = self
        let declarations = try DeclarationRecorder.declarations(of: ArchitectureCatalog.type(of: metadata), metadata)
        for (key, declaration) in declarations {
            guard let value = metadata[key] else { continue }
            switch declaration.key {
            case "block_count": result.metadata[key] = .uint32(UInt32(layers - 1))
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
        result.optionalTensors = optionalTensors.compactMap { name in
            var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard let place = parts.firstIndex(of: "blk"), place + 1 < parts.count,
                let number = Int(parts[place + 1])
            else {
                return name
            }
            if number == layer { return nil }
            if number > layer { parts[place + 1] = "\(number - 1)" }
            return parts.joined(separator: ".")
        }.sorted()
        result.script.placement.layers = script.placement.layers.map { range in
            var range = range
            range.first = min(range.first, layers - 2)
            range.last = range.last.map { max(range.first, min($0, layers - 2)) }
            return range
        }
        return result
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
