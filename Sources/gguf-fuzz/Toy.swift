import Architectures
import GGUF
import Inference
import PropertyTesting

/// Case `index` of a seed: a toy model of an architecture.
struct Toy {
    let model: Model

    /// The same on every machine: all of it depends on the arguments and nothing else.
    init(
        _ architecture: any Architecture.Type, seed: UInt64, index: UInt64, type: TensorType = .f32,
        adversities: [Adversity] = []
    ) throws {
        var choices = Choices(seed: seed, stream: index)
        let drawn = try DrawnModel.draw(architecture, &choices)
        let recipe = WeightRecipe(seed: seed, type: type, adversities: adversities)
        model = try Model(MemorySource(drawn.metadata, optional: .only(drawn.optionalTensors), recipe: recipe))
    }
}
