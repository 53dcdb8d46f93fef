import GGUF
import PropertyTesting

extension DrawnModel {
    /// A toy of a model's kind. What the fuzz domains lack, which is a real model's sizes, becomes the nearest that
    /// they have; all else stays: which keys and tensors there are, how experts are chosen, how positions are scaled.
    ///
    /// Sizes depend on each other, so each is tried again until no more can be replaced. What contradicts the others
    /// without its size keeps it.
    /// - Throws: `MetadataError` where the metadata is no valid model's.
    public static func toy(of metadata: Metadata, optionalTensors: Set<String>) throws -> DrawnModel {
        let type = try ArchitectureCatalog.type(of: metadata)
        var recording = try recover(metadata, optionalTensors: optionalTensors)
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            var index = 0
            while index < recording.choices.count {
                if recording.choices[index].isEscape, let nearest = nearest(to: metadata, recording, index, type) {
                    recording = nearest
                    hasChanged = true
                }
                index += 1
            }
        }
        var choices = Choices(replaying: recording)
        return try draw(type, &choices)
    }

    /// The choices with the one at `index` within its domain, such that the value of its key is nearest to what it was;
    /// nil where none of the domain stands with the others.
    private static func nearest(
        to metadata: Metadata, _ recording: Choices.Recording, _ index: Int, _ type: any Architecture.Type
    ) -> Choices.Recording? {
        guard let span = recording.spans.first(where: { $0.range.contains(index) }) else { return nil }
        let key = Declaration.path(span.label, type.name)
        let wanted = metadata[key]?.magnitude ?? 0
        let candidates = (0..<recording.choices[index].bound).compactMap { value -> (Choices.Recording, Double)? in
            var choices = Choices(replaying: recording.setting(index, to: value))
            guard let drawn = try? draw(type, &choices) else { return nil }
            return (choices.recording, abs((drawn.metadata[key]?.magnitude ?? 0) - wanted))
        }
        return candidates.min { $0.1 < $1.1 }?.0
    }
}

extension MetadataValue {
    /// A number's value; of several, all together.
    fileprivate var magnitude: Double {
        double ?? integer.map(Double.init) ?? elements?.reduce(0) { $0 + $1.magnitude } ?? 0
    }
}
