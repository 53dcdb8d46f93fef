import Architectures
import Devices
import Engines
import GGUF
import Inference
import PropertyTesting
import Tokenizers

/// A random toy that has learned to say a text.
public struct SpeakingToy {
    public let source: any TensorSource
    /// In which it learned the text.
    public let steps: Int

    /// A long text of bytes takes more steps than a check has time for.
    private static let mostSteps = 1000

    /// - Parameters:
    ///   - architecture: of the model.
    ///   - seed: of the random numbers.
    ///   - index: which of the seed's models.
    ///   - speech: what it is to say.
    ///   - optimiser: what changes the weights.
    ///   - type: of the large matrices. Where a row must be a multiple of 256 for it, models are drawn as wide.
    /// - Throws: `Unsuitable` where this model does not learn it.
    public init(
        _ architecture: any Architecture.Type, seed: UInt64, index: UInt64, _ speech: Speech,
        _ optimiser: Optimiser = .adamW, type: TensorType = .f32
    ) throws {
        let drawn: DrawnModel
        do {
            var choices = Choices(seed: seed, stream: index)
            drawn = try DrawnModel.draw(architecture, &choices, within: Self.domain(of: type))
        } catch let error as MetadataError {
            throw Unsuitable("cannot be as wide as \(type.name) asks for: \(error.reason)")
        }
        let traits = SessionTraits(drawn)
        guard traits.hasLogits else { throw Unsuitable("gives no logits") }
        guard !traits.traits.isOfWholeBatches else { throw Unsuitable("its tokens see later ones") }
        guard traits.traits.drafting == nil else { throw Unsuitable("drafts another model's tokens") }

        let hasEncoder = traits.traits.hasEncoder
        let tokens = hasEncoder ? [speech.decoderStart] + speech.tokens[speech.restStart...] : speech.tokens
        guard tokens.count < min(traits.positionLimit ?? .max, traits.dimensions.context) else {
            throw Unsuitable("has fewer positions than the text has tokens")
        }
        let own = speech.tokenizer.array(TokenizerKey.tokens)?.count ?? 0
        let count = max(own, traits.dimensions.vocabulary)
        let tokenizer = ToyTokenizer.padded(speech.tokenizer, with: own..<count)
        var metadata = drawn.metadata.merging(tokenizer)
        metadata["\(architecture.name).vocab_size"] = .uint32(UInt32(count))
        if hasEncoder {
            metadata["\(architecture.name).decoder_start_token_id"] = .uint32(UInt32(speech.decoderStart))
        }

        let recipe = WeightRecipe(seed: seed, type: type)
        let source = try MemorySource(
            metadata, optional: .only(drawn.optionalTensors), recipe: WeightRecipe(seed: seed))
        let types = try source.inventory.tensors.map { try recipe.type(of: $0.weight) }
        guard types.contains(type) else { throw Unsuitable("has no matrix whose rows are whole blocks of \(type.name)") }
        let context = max(64, tokens.count)
        let script = Script(
            placement: Placement("cpu"), options: .init(context: context, microBatch: context),
            steps: (hasEncoder ? [.encode(Batch(speech.promptTokens))] : []) + [.process(Batch(tokens))])
        do {
            (self.source, steps) = try Lesson(script, .byHeart(optimiser, steps: Self.mostSteps))
                .learned(by: source, types: recipe.type(of:))
        } catch is Lesson.Unlearned {
            throw Unsuitable("does not learn the text")
        }
    }

    /// Which models have matrices of a type: those whose rows are whole blocks of it.
    private static func domain(of type: TensorType) throws -> ModelDomain? {
        guard type.blockSize > 32 else { return nil }
        return try ModelDomain(keys: ["embedding_length", "feed_forward_length"].map { key in
            .init(pattern: #"[^.]+\.\#(key)"#, values: [.number(256)])
        })
    }

    /// Why a model says no text.
    public struct Unsuitable: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String
        init(_ description: String) { self.description = description }
    }
}
