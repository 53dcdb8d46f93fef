import Architectures
import GGUF
import Inference
import PropertyTesting

/// A model whose weights are drawn, one after the other as it is saved.
struct Toy {
    let model: Model

    /// Case `index` of a seed, the same on every machine: all of it depends on the arguments and nothing else.
    init(
        _ architecture: any Architecture.Type, index: UInt64, settings: [MetadataSetting], recipe: WeightRecipe
    ) throws {
        var choices = Choices(seed: recipe.seed, stream: index)
        let drawn = try DrawnModel.draw(architecture, &choices)
        try self.init(drawn.metadata, settings, optional: .only(drawn.optionalTensors), recipe)
    }

    /// A model of the shape of another: its metadata, tokenizer included, and those optional tensors that it has; none
    /// where the file holds metadata alone.
    init(like file: FileSource, settings: [MetadataSetting], recipe: WeightRecipe) throws {
        try Model.refuseUnused(file)
        try self.init(file.metadata, settings, optional: .of(file.tensors), recipe)
    }

    private init(
        _ metadata: Metadata, _ settings: [MetadataSetting], optional: OptionalTensors, _ recipe: WeightRecipe
    ) throws {
        var metadata = metadata
        for setting in settings { try setting.apply(to: &metadata) }
        model = try Model(MemorySource(metadata, optional: optional, recipe: recipe, keepsTensors: false))
    }
}
