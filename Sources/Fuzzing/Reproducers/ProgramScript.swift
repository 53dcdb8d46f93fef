import Architectures
import Engines
import Inference
import ModelGraph

/// A script as a function of C++, which gives the rows that its steps give.
struct ProgramScript {
    private let name: String
    private let about: String
    /// Of what it says that it does.
    private let prefix: String
    private let script: Script
    private let model: Model
    private let parameters: LlamaContextParameters
    /// What the reference gives; nil: it does every step.
    private let exact: Transcript?

    /// What of the model makes the calls.
    struct Model {
        let traits: Traits
        let hasLogits: Bool
        /// What it is adapted by, and the files of that.
        var adapters: [(adapter: Adapter, path: String)] = []

        init(_ architecture: any Architecture, optionalTensors: Set<String>) throws {
            traits = architecture.traits
            let graphs = try architecture.smallestGraphs(optionalTensors.contains)
            let decoder = zip(traits.allStages, graphs).first { stage, _ in stage == .decode }?.1
            hasLogits = traits.pooling == .none && decoder?.outputs[.logits] != nil
        }
    }

    /// - Parameters:
    ///   - name: of the function.
    ///   - about: what it does, as a comment.
    ///   - prefix: of what it says that it does.
    ///   - exact: what the reference gives, which refuses what it cannot do: recurrent states have no past.
    init(
        _ name: String, _ about: String, prefix: String = "", _ script: Script, _ model: Model,
        _ exact: Transcript? = nil
    ) {
        self.name = name
        self.prefix = prefix
        self.about = about
        self.script = script
        self.model = model
        self.exact = exact
        parameters = LlamaContextParameters(
            script, hasLogits: model.hasLogits, isOfWholeBatches: model.traits.isOfWholeBatches,
            hasEncoder: model.traits.hasEncoder)
    }

    // MARK: Parameters

    /// What is not as llama.cpp has it by itself.
    private var settings: [String] {
        let flash = parameters.flashAttention.map { $0 ? "ENABLED" : "DISABLED" } ?? "AUTO"
        var settings = [
            "n_ctx = \(parameters.context)", "n_batch = \(parameters.batch)", "n_ubatch = \(parameters.microBatch)",
        ]
        if parameters.sequences != 1 { settings.append("n_seq_max = \(parameters.sequences)") }
        settings += ["n_threads = \(parameters.threads)", "n_threads_batch = \(parameters.batchThreads)"]
        settings.append("flash_attn_type = LLAMA_FLASH_ATTN_TYPE_\(flash)")
        for (member, type) in [("type_k", parameters.cacheType), ("type_v", parameters.valueCacheType)] where type != .half {
            settings.append("\(member) = GGML_TYPE_\(type.rawValue.uppercased())")
        }
        if parameters.embeddings { settings.append("embeddings = true") }
        if parameters.unified { settings.append("kv_unified = true") }
        if !parameters.offloadsCaches { settings.append("offload_kqv = false") }
        if !parameters.offloadsOps { settings.append("op_offload = false") }
        return settings + ["swa_full = \(parameters.wholeWindowCaches)"]
    }

    /// The functions of some scripts, and what their contexts have in common.
    static func functions(_ scripts: [ProgramScript]) -> [String] {
        let common = scripts.dropFirst().reduce(scripts.first?.settings ?? []) { common, script in
            common.filter(script.settings.contains)
        }
        let lines = ["llama_context_params cparams = llama_context_default_params();"]
            + common.map { "cparams.\($0);" } + ["return cparams;"]
        let parameters = "static llama_context_params context_params() {\n" + lines.map { "    \($0)\n" }.joined() + "}"
        return [parameters] + scripts.map { $0.function(beside: common) }
    }

    // MARK: Steps

    private func function(beside common: [String]) -> String {
        let steps = script.steps.enumerated().map { number, step in
            ["", announcement("step \(number): \(step.summary)")] + calls(number, step)
        }.joined()
        func declares(_ name: String, _ declaration: String) -> [String] {
            steps.contains { $0.contains(name) } ? [declaration] : []
        }
        let unavailable = Setting.allCases.filter { $0.isOfOtherSessions || $0.isOfLoading }
            .compactMap { $0.feature(of: script) }
        var lines = unavailable.map { "unavailable(\($0.literal));" }
        lines += ["llama_context_params cparams = context_params();"]
        lines += settings.filter { !common.contains($0) }.map { "cparams.\($0);" }
        lines += [
            announcement("opening a context"), "llama_context * ctx = llama_init_from_model(model, cparams);",
            "if (ctx == nullptr) {", "    unavailable(\"llama.cpp opens no such context\");", "}",
        ]
        lines += adaptations
        if model.traits.drafting == .context, model.traits.isBidirectional {
            lines.append("llama_set_causal_attn(ctx, false);")
        }
        lines += declares("(memory", "llama_memory_t memory = llama_get_memory(ctx);")
        lines += declares("n_vocab", "const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));")
        lines += declares("n_embd", "const int n_embd = llama_model_n_embd_out(model);")
        lines += declares("n_cls", "const int n_cls = llama_model_n_cls_out(model);")
        lines += declares("state", "std::vector<uint8_t> state;")
        lines += ["rows result;"] + steps + ["", "llama_free(ctx);", "return result;"]
        return "// \(about)\nstatic rows \(name)(llama_model * model) {\n"
            + lines.map { $0.isEmpty ? "\n" : "    \($0)\n" }.joined() + "}"
    }

    private var adaptations: [String] {
        let products = model.adapters.filter { $0.adapter.kind == .lora }
            .map { "{\($0.path.literal), \(Float($0.adapter.scale))f}" }
        let lines = products.isEmpty ? [] : ["adapt(ctx, {\(products.joined(separator: ", "))});"]
        return lines + model.adapters.compactMap { adapter, path in
            adapter.layers.map {
                "steer(ctx, \(path.literal), \(Float(adapter.scale))f, \($0.lowerBound), \($0.upperBound));"
            }
        }
    }

    private func announcement(_ text: String) -> String { "fprintf(stderr, \("\(prefix)\(text)\n".literal));" }

    private func calls(_ number: Int, _ step: Step) -> [String] {
        func required(_ call: String) -> String {
            exact?.results[number].isDone ?? true
                ? "require(\(call), \"the step is done\");" : "require(!\(call), \"the step is refused\");"
        }
        switch step {
        case .process(let batch) where batch.tokens.contains(where: \.isEmbedding):
            return ["unavailable(\"tokens that are given as embeddings\");"]
        case .process where model.traits.decides:
            return ["unavailable(\"tokens of questions that are decided on\");"]
        case .process where model.traits.drafting == .states:
            return ["unavailable(\"tokens with a state beside them\");"]
        case .encode(let batch): return process(batch, "llama_encode") + outputs(number, batch, hasLogits: false)
        case .process(let batch):
            // Its cache would show a batch to the next.
            let clearing = model.traits.isOfWholeBatches ? ["llama_memory_clear(memory, true);"] : []
            let isPooled = model.traits.pooling != .none
            return clearing + process(batch, "llama_decode")
                + (isPooled ? pooled(number, batch) : outputs(number, batch, hasLogits: model.hasLogits))
        case .remove(let sequence, let from, let to):
            return [required("llama_memory_seq_rm(memory, \(sequence ?? -1), \(range(from, to)))")]
        case .keep(let sequence): return ["llama_memory_seq_keep(memory, \(sequence));"]
        case .copy(let source, let destination, let from, let to):
            let positions = from == 0 && to == nil ? "-1, -1" : range(from, to)
            return [
                // It adds to what is there.
                required("llama_memory_seq_rm(memory, \(destination), -1, -1)"),
                "llama_memory_seq_cp(memory, \(source), \(destination), \(positions));",
            ]
        case .shift(let sequence, let from, let to, let delta):
            return moving("llama_memory_seq_add(memory, \(sequence), \(range(from, to)), \(delta));")
        case .divide(let sequence, let from, let to, let divisor):
            return moving("llama_memory_seq_div(memory, \(sequence), \(range(from, to)), \(divisor));")
        case .save(let sequence):
            return [
                "state.resize(\(state(sequence, "get_size", "ctx")));",
                "require(\(state(sequence, "get_data", "ctx, state.data(), state.size()")) == state.size(), "
                    + "\"the whole state is saved\");",
            ]
        case .restore(let sequence):
            return [
                "require(\(state(sequence, "set_data", "ctx, state.data(), state.size()")) == state.size(), "
                    + "\"the whole state is restored\");"
            ]
        case .clear: return ["llama_memory_clear(memory, true);"]
        }
    }

    private func range(_ from: Int, _ to: Int?) -> String { "\(from), \(to.map { max(from, $0) } ?? -1)" }

    private func moving(_ call: String) -> [String] {
        ["if (!llama_memory_can_shift(memory)) {", "    unavailable(\"positions cannot shift\");", "}", call]
    }

    private func state(_ sequence: Int?, _ function: String, _ arguments: String) -> String {
        sequence.map { "llama_state_seq_\(function)(\(arguments), \($0))" } ?? "llama_state_\(function)(\(arguments))"
    }

    private func process(_ batch: Batch, _ function: String) -> [String] {
        let tokens = batch.tokens.map { token in
            let sequences = token.sequences.elements.map(String.init).joined(separator: ", ")
            return "{\(token.id), \(token.position), {\(sequences)}, \(token.wantsOutput)},"
        }
        if tokens.count <= 4 {
            return ["process(ctx, \(function), {\(tokens.joined(separator: " ").dropLast())});"]
        }
        return ["process(ctx, \(function), {"] + tokens.filled().map { "    " + $0 } + ["});"]
    }

    private func outputs(_ number: Int, _ batch: Batch, hasLogits: Bool) -> [String] {
        let wanted = batch.tokens.indices.filter { batch.tokens[$0].wantsOutput }
        let count = parameters.makesAllOutputs ? batch.tokens.count : wanted.count
        let function = "llama_get_\(hasLogits ? "logits" : "embeddings")", width = hasLogits ? "n_vocab" : "n_embd"
        return wanted.enumerated().map { place, token in
            // Its number among the outputs.
            let output = parameters.makesAllOutputs ? token : place
            let row = switch script.options.outputAccess {
            case nil: "\(function)_ith(ctx, \(token)), \(width)"
            case .fromEnd: "\(function)_ith(ctx, \(output - count)), \(width)"
            case .array: "\(function)(ctx), \(width), \(output)"
            }
            return "result[{\(number), \(token)}] = output(\(row));"
        }
    }

    private func pooled(_ number: Int, _ batch: Batch) -> [String] {
        let width = model.traits.pooling == .rank ? "n_cls" : "n_embd"
        return batch.tokens.sequences.elements.map { sequence in
            "result[{\(number), \(sequence)}] = output(llama_get_embeddings_seq(ctx, \(sequence)), \(width));"
        }
    }
}

extension [String] {
    /// In lines of about 100 columns.
    func filled() -> [String] {
        reduce(into: []) { lines, item in
            if let last = lines.last, last.utf8.count + 1 + item.utf8.count <= 100 {
                lines[lines.count - 1] += " " + item
            } else {
                lines.append(item)
            }
        }
    }
}
