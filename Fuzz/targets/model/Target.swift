import Architectures
import FuzzTarget
import GGUF
import Inference
import PropertyTesting

/// The metadata of models: whatever they say, they describe a model, whose tensors can be listed, or are refused.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        let inventory = try Inventory(GGUFFile(bytes: input).metadata)
        expect(Set(inventory.tensors.map(\.name)).count == inventory.tensors.count, "a tensor twice")
    }

    /// A toy of each architecture, without its tensors.
    var seeds: [[UInt8]] {
        get throws {
            try ArchitectureCatalog.all.map { architecture in
                var choices = Choices(seed: 1)
                return try GGUFWriter.bytes(DrawnModel.draw(architecture, &choices).metadata, [])
            }
        }
    }
}
