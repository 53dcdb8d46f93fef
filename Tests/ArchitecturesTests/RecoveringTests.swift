import Architectures
import GGUF
import PropertyTesting
import Testing

@Suite("Recovering models")
struct RecoveringTests {
    private func replay(_ recording: Choices.Recording, _ architecture: String) throws -> DrawnModel {
        var choices = Choices(replaying: recording)
        return try DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices)
    }

    @Test("the choices of a drawn model draw it again, and are no less simple than its own", arguments: DrawingTests.names)
    func drawnModels(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        for seed in 0..<100 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let model = try DrawnModel.draw(type, &choices)
            let recording = try DrawnModel.recover(model.metadata, optionalTensors: model.optionalTensors)
            #expect(recording <= choices.recording, "seed \(seed)")
            let replayed = try replay(recording, name)
            #expect(replayed.metadata == model.metadata, "seed \(seed)")
            #expect(replayed.optionalTensors == model.optionalTensors, "seed \(seed)")
        }
    }

    @Test("the header of a released model is valid, and has choices that draw it", arguments: ReleasedModel.all)
    func releasedModels(_ model: ReleasedModel) throws {
        let header = model.metadata
        #expect(throws: Never.self) { try ArchitectureCatalog.read(header) }
        let recording = try DrawnModel.recover(header, optionalTensors: model.optionalTensors)
        let drawn = try replay(recording, model.architecture)
        let prefix = "\(model.architecture)."
        for (key, value) in drawn.metadata where key.hasPrefix(prefix) {
            if let original = header[key] {
                #expect(value.reads(as: original), "\(key)")
            } else {
                #expect(key == prefix + "vocab_size" && value.integer == model.tokens)
            }
        }
        let lost = Set(header.keys.filter { $0.hasPrefix(prefix) }).subtracting(drawn.metadata.keys)
        #expect(lost == Set(model.unused.map { prefix + $0 }))
        #expect(drawn.optionalTensors == model.optionalTensors)
        #expect(try DrawnModel.recover(drawn.metadata, optionalTensors: drawn.optionalTensors) == recording)
    }
}

extension MetadataValue {
    /// Whether the hyperparameter is the same, whatever the types of the numbers.
    fileprivate func reads(as other: MetadataValue) -> Bool {
        if let (a, b) = elements.flatMap({ a in other.elements.map { (a, $0) } }) {
            return a.count == b.count && zip(a, b).allSatisfy { $0.reads(as: $1) }
        }
        return self == other || integer != nil && integer == other.integer
            || double != nil && double.map { Float($0) } == other.double.map { Float($0) }
    }
}
