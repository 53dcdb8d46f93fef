import Architectures
import Engines
import GGUF
import Inference

extension CorpusEntry {
    /// Why its case cannot be run, as `Case.flaw`; nil where it can, or where that it was refused is what it records.
    /// - Parameter largest: of a model, the bytes that its weights may take.
    public func flaw(largest: Double = Case.largest()) -> String? {
        // A refusal of ours by mistake replays as one.
        if signature.kind.hasPrefix("error"), !signature.device.contains(":") { return nil }
        return `case`.flaw(largest: largest).map { "case.\($0)" }
    }
}

extension Case {
    /// What a program and a worker can both hold of a model: bytes that its weights may take.
    /// - Parameter memory: the limit of a worker's memory in bytes.
    public static func largest(memory: Int = WorkerCommand.Limits().memory) -> Double { Double(memory) / 4 }

    /// The bytes that its weights take, drawn in the largest type.
    /// - Throws: `MetadataError`, `GraphError` or `ModelError` where the metadata is no valid model's.
    public static func weightBytes(_ metadata: Metadata, _ optionalTensors: Set<String>) throws -> Double {
        try Inventory(metadata, optional: .only(optionalTensors)).tensors.reduce(0) { $0 + 4 * Double($1.shape.count) }
    }

    /// Why no engine is asked for it, as a file edited by hand may have it: `metadata: llama.block_count: is 0; …`; nil
    /// where it can be run.
    /// - Parameter largest: of a model, the bytes that its weights may take.
    public func flaw(largest: Double) -> String? {
        switch check {
        case .rejects:
            return contradiction == nil ? "contradiction: is missing" : nil
        case .tokenizes:
            guard let tokenization else { return "tokenization: is missing" }
            return tokenization.flaw.map { "tokenization.\($0)" }
        case .metamorphic where transformation == nil:
            return "transformation: is missing"
        default: break
        }
        if let reason = malformedPattern { return reason }
        do {
            if let reason = try unknownKey() ?? unknownTensor() ?? flawOfAdapters() { return reason }
            let bytes = try Self.weightBytes(metadata, Set(optionalTensors))
            if bytes > largest { return "metadata: " + Self.excess(bytes, "weights", largest) }
            if let objection = try objection() { return objection }
            let kept = try script.stateBytes(sessionTraits())
            return kept > largest ? "script.options: " + Self.excess(kept, "caches and outputs", largest) : nil
        } catch {
            return "metadata: \(error)"
        }
    }

    private var malformedPattern: String? {
        do { try recipe.checkPatterns() } catch { return "recipe.rules: \(error)" }
        do { try script.placement.checkPatterns() } catch { return "script.placement.tensors: \(error)" }
        return nil
    }

    /// A hyperparameter that nobody reads, or of another architecture.
    private func unknownKey() throws -> String? {
        let all = Set(ArchitectureCatalog.all.map { $0.name })
        let unread = try DeclarationRecorder.unread(metadata).first
            ?? metadata.lazy.map(\.key).first { key in
                key.split(separator: ".").first.map { $0 != architecture && all.contains(String($0)) } ?? false
            }
        guard let unread else { return nil }
        let declared = try DeclarationRecorder.declarations(of: ArchitectureCatalog.type(of: metadata), metadata)
        let close = NearNames(of: unread, among: declared.map(\.key)).words
        return "metadata: \(unread): is no key of \(architecture)" + (close.map { "; \($0)" } ?? "")
    }

    private func unknownTensor() throws -> String? {
        let (unknown, others) = try OptionalTensors.unasked(Set(optionalTensors), by: metadata)
        guard let name = unknown.first else { return nil }
        let close = NearNames(of: name, among: others).words
        return "optionalTensors: \(name): is no optional tensor of such a model" + (close.map { "; \($0)" } ?? "")
    }

    private static func excess(_ bytes: Double, _ what: String, _ largest: Double) -> String {
        func size(_ bytes: Double) -> String { "\(Int((bytes / 0x1p20).rounded(.up))) MiB" }
        return "asks for \(size(bytes)) of \(what), of which no more than \(size(largest)) is tried, a quarter of the "
            + "limit of memory"
    }
}

extension Script {
    /// The bytes that the reference keeps for it, in float64: caches, recurrent states, and the outputs of all steps.
    fileprivate func stateBytes(_ traits: SessionTraits) -> Double {
        let outputs = steps.reduce(0) { $0 + ($1.batch?.tokens.count { $0.wantsOutput } ?? 0) }
        return 8
            * (Double(options.context) * Double(traits.cellElements)
                + Double(options.sequences) * Double(traits.sequenceElements)
                + Double(outputs) * Double(traits.dimensions.vocabulary))
    }
}
