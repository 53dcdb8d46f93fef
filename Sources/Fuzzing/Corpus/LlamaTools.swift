import Architectures
import Engines
import Inference

/// How near llama.cpp's own tools come to a case: they take a model and a prompt.
public struct LlamaTools: Hashable, Sendable {
    /// The tokens of one sequence, as text for `ToyTokenizer`; empty where there are none.
    public var prompt: String
    /// Arguments other than model and prompt.
    public var options: [String] = []
    public var kind = Kind.logits
    /// What of the case the tools cannot show.
    public var limits: [String] = []

    /// What the tools can do with such a model.
    public enum Kind: Hashable, Sendable {
        case logits
        /// It gives embeddings, no logits.
        case embeddings
        /// The prompt is the encoder's; no tool gives the logits of a decoder that has one.
        case encoder
    }

    /// What runs a case's model, which has the tokenizer of toys, with its prompt: a line each, in this order.
    public func commands(model: String) -> [String] {
        let arguments = ["--model", model, "--prompt", prompt] + options
        let common = arguments.map(\.shellArgument).joined(separator: " ")
        return switch kind {
        case .logits:
            [
                "llama-results \(common) --device none --output results.gguf",
                "llama-results \(common) --output results.gguf --check", "llama-eval-callback \(common)",
            ]
        case .embeddings: ["llama-embedding \(common)"]
        case .encoder: ["llama-completion \(common) --predict 1"]
        }
    }

    /// The same of a case as it is, and of one whose model may be refused.
    /// - Throws: as `init`.
    public static func commands(of subject: Case, model: String) throws -> [String] {
        if let tokenization = subject.tokenization { return tokenizing(tokenization, model: model) }
        guard !subject.check.isOfRefusals else { return [refusing(model: model)] }
        var subject = subject
        let vocabulary = try ArchitectureCatalog.read(subject.metadata).dimensions.vocabulary
        subject.metadata = ToyTokenizer.added(to: subject.metadata, vocabulary: vocabulary)
        return try LlamaTools(subject).commands(model: model)
    }

    /// What shows whether a model is refused.
    static func refusing(model: String) -> String {
        "llama-results --model \(model.shellArgument) --prompt x --output results.gguf"
    }

    /// What makes tokens of a case's texts: of those that a shell can say.
    static func tokenizing(_ tokenization: Tokenization, model: String) -> [String] {
        tokenization.texts.compactMap { text in
            let bytes = text.bytes
            guard bytes.count <= 1024, !bytes.contains(0), let prompt = String(validating: bytes, as: UTF8.self) else {
                return nil
            }
            let options = (text.addSpecial ? [] : ["--no-bos"]) + (text.parseSpecial ? [] : ["--no-parse-special"])
            return (["llama-tokenize", "--model", model, "--ids"] + options + ["--prompt", prompt])
                .map(\.shellArgument).joined(separator: " ")
        }
    }

    /// - Throws: `MetadataError` or `GraphError` where the case has no valid model.
    public init(_ subject: Case) throws {
        let traits = try subject.sessionTraits()
        let script = subject.script
        var batches: [Batch] = []
        var others: [String] = []
        if traits.traits.hasEncoder { kind = .encoder } else if traits.traits.isOfWholeBatches { kind = .embeddings }
        for step in script.steps {
            switch step {
            case .encode(let batch): batches.append(batch)
            case .process(let batch) where kind != .encoder: batches.append(batch)
            default: if !others.contains(step.name) { others.append(step.name) }
            }
        }
        let tokens = batches.flatMap(\.tokens)
        // The sequence that says the most.
        let own = (0..<script.options.sequences).map { sequence in tokens.filter { $0.sequences.contains(sequence) } }
            .max { $0.count < $1.count } ?? []
        prompt = ToyTokenizer.text(of: own.map(\.id))

        if script.options.microBatch < own.count { options += ["--ubatch-size", "\(script.options.microBatch)"] }
        if traits.hasCache {
            options += ["--cache-type-k", script.options.cacheType.rawValue]
            options += ["--cache-type-v", script.options.valueCacheType.rawValue]
        }

        if subject.check != .agrees { limits.append("the check \(subject.check.rawValue): \(subject.check.about)") }
        if traits.traits.decides { limits.append("which tokens are of questions and options") }
        if own.count < tokens.count { limits.append("several sequences: the prompt is one of them") }
        if own.map(\.position) != Array(own.indices) { limits.append("positions other than 0, 1, 2, …") }
        if batches.count > 1 { limits.append("\(batches.count) batches: the prompt is one") }
        if !others.isEmpty { limits.append("the steps \(others.joined(separator: ", "))") }
        if subject.adapters != nil { limits.append("what the model is adapted by") }
        if let transformation = subject.transformation {
            limits.append("the model that it is compared with, \(transformation.kind.rawValue) transformed")
        }
    }
}
