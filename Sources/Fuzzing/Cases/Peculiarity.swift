import Architectures
import Engines
import GGUF
import Inference
import PropertyTesting

/// Something that a case has and the simplest case of its architecture has not: what may matter to a failure.
enum Peculiarity: Hashable {
    /// A hyperparameter that is missing, or has another value; its key without the architecture's name.
    case hyperparameter(String)
    /// Optional tensors that are there, by their name without the number of a block.
    case tensor(String)
    /// The type that some matrices have, which is not always what the recipe asks for.
    case type(TensorType)
    case weights(Adversity)
    /// Steps of this name.
    case step(String)
    case sequences
    case microBatch
    case cacheType
    case setting(Setting)
    /// Products of low rank beside matrices of this name, without the number of a block.
    case adapter(String)
    case controlVector
    case damage(Damage.Kind)

    /// What says more of what is wrong comes first: kernels are made for types and options, and every model has sizes.
    var rank: Int {
        switch self {
        case .type, .damage: 0
        case .cacheType, .adapter, .controlVector: 1
        case .setting(let setting): setting.declaration.rank
        case .step: 3
        case .sequences, .microBatch: 4
        case .weights: 5
        case .tensor: 6
        case .hyperparameter: 7
        }
    }
}

extension Case {
    /// The simplest model of the architecture.
    var simplestModel: DrawnModel? {
        var choices = Choices(replaying: [])
        return try? DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices)
    }

    /// What the case has and the simplest of its architecture has not.
    ///
    /// The size of the context is no part of it: engines round it.
    var peculiarities: [Peculiarity] {
        let simplest = simplestModel
        let prefix = architecture + "."
        var result: [Peculiarity] = []
        let keys = metadata.keys.filter { $0.hasPrefix(prefix) && simplest?.metadata[$0] != metadata[$0] }
            + (simplest?.metadata.keys.filter { $0.hasPrefix(prefix) && metadata[$0] == nil } ?? [])
        result += keys.sorted().map { .hyperparameter(String($0.dropFirst(prefix.count))) }
        let tensors = optionalTensors.filter { !(simplest?.optionalTensors.contains($0) ?? false) }
        result += Set(tensors.map(\.withoutBlock)).sorted().map { .tensor($0) }
        let types = Set(((try? source().tensors) ?? []).filter { $0.shape.rank > 1 }.map(\.type)).subtracting([.f32])
        result += types.sorted { $0.name < $1.name }.map { .type($0) }
        result += recipe.adversities.map { .weights($0) }
        for step in script.steps.map(\.name) where step != "process" && step != "encode" {
            if !result.contains(.step(step)) { result.append(.step(step)) }
        }
        let options = script.options
        if options.sequences > 1 { result.append(.sequences) }
        if options.microBatch < tokens { result.append(.microBatch) }
        if options.cacheType != .full { result.append(.cacheType) }
        result += options.settings.all.map { .setting($0.setting) }
        result += adaptedMatrices.sorted().map { .adapter($0) }
        if isSteered { result.append(.controlVector) }
        return result + (damages ?? []).map(\.kind).uniqued.map { .damage($0) }
    }

    /// What the case has in `traits` because of this; nil where that is an absence.
    func trait(of peculiarity: Peculiarity) -> String? {
        switch peculiarity {
        case .hyperparameter(let key):
            switch metadata["\(architecture).\(key)"] {
            case nil: nil
            case .string(let value)?: "\(key) \(MetadataValue.string(value).summary)"
            case .bool(let value)?: "\(key) \(value)"
            case _?: "key \(key)"
            }
        case .tensor(let name): "tensor \(name)"
        case .type(let type): "type \(type.name)"
        case .weights(let adversity): "weights \(adversity.rawValue)"
        case .step(let name): "step \(name)"
        case .sequences: "several sequences"
        case .microBatch: "micro-batches"
        case .cacheType: "cache \(script.options.cacheType.rawValue)"
        case .setting(let setting): setting.feature(of: script)
        case .adapter(let name): "adapter of \(name)"
        case .controlVector: "control vector"
        case .damage(let kind): Damage.feature(of: kind)
        }
    }

    /// As a person reads it: `attention.head_count 3`, `weights Q8_0`.
    func words(of peculiarity: Peculiarity) -> String {
        switch peculiarity {
        case .hyperparameter(let key):
            metadata["\(architecture).\(key)"].map { "\(key) \($0.summary)" } ?? "no \(key)"
        case .tensor(let name):
            "with " + optionalTensors.filter { $0.withoutBlock == name }.joined(separator: " ")
        case .type(let type):
            if recipe.type.gives(type) {
                "weights \(type.name)"
            } else {
                recipe.rules.filter { $0.type?.gives(type) ?? false }.map { "\($0.pattern ?? "all") \(type.name)" }
                    .joined(separator: ", ")
            }
        case .weights(let adversity): "weights with \(adversity.rawValue)"
        case .step(let name): "step \(name)"
        case .sequences: "\(script.options.sequences) sequences"
        case .microBatch: "micro-batches of \(script.options.microBatch)"
        case .cacheType: "cache \(script.options.cacheType.rawValue)"
        case .setting(let setting):
            setting.declaration.words(script.options.settings[setting], script.options) ?? setting.rawValue
        case .adapter(let name): "adapter of \(name)"
        case .controlVector: "control vector"
        case .damage(let kind):
            (damages ?? []).filter { $0.kind == kind }.map(\.words).joined(separator: ", ")
        }
    }

    /// The same case without this: as the simplest of its architecture has it. It need not be valid.
    func removing(_ peculiarity: Peculiarity) -> Case { removing([peculiarity]) }

    /// The same case without any of these.
    func removing(_ peculiarities: [Peculiarity]) -> Case {
        var result = self
        let simplest = simplestModel
        for peculiarity in peculiarities {
            switch peculiarity {
            case .hyperparameter(let key):
                let key = "\(architecture).\(key)"
                result.metadata[key] = simplest?.metadata[key]
            case .tensor(let name):
                result.optionalTensors.removeAll {
                    $0.withoutBlock == name && !(simplest?.optionalTensors.contains($0) ?? false)
                }
            case .type(let type):
                if recipe.type.gives(type) { result.recipe.type = .f32 }
                for (index, rule) in result.recipe.rules.enumerated() where rule.type?.gives(type) ?? false {
                    result.recipe.rules[index].type = .f32
                }
            case .weights(let adversity): result.recipe.rules.removeAll { adversity.rules.contains($0) }
            case .step(let name): result.removeSteps(name)
            case .sequences: result.script.becomeOfOneSequence()
            case .microBatch: result.script.options.microBatch = max(64, result.tokens)
            case .cacheType: result.script.options.cacheType = .full
            case .setting(let setting): result.script.options.settings[setting] = setting.plain
            case .adapter(let name): result.renameAdaptedMatrices { $0.withoutBlock == name ? nil : $0 }
            case .controlVector: result.changeAdapters { $0.kind == .controlVector ? nil : $0 }
            case .damage(let kind): result.damages?.removeAll { $0.kind == kind }
            }
        }
        return result
    }
}

extension Case {
    /// What comes later is moved along: tokens follow those that their sequence holds now. Where another step could no
    /// longer be asked for, it stays all the same, and there is no such case.
    fileprivate mutating func removeSteps(_ name: String) {
        let numbers = Set(script.steps.indices.filter { script.steps[$0].name == name })
        let others = script.steps.map(\.name).filter { $0 != name }
        if let traits = try? sessionTraits() {
            let left = script.removing(ScriptCut(steps: numbers), traits, check)
            if left.steps.map(\.name) == others {
                script = left
                return
            }
        }
        script.steps.removeAll { $0.name == name }
    }
}

extension Script {
    /// Only what is asked of the first sequence that has tokens stays, as sequence 0.
    fileprivate mutating func becomeOfOneSequence() {
        guard let own = steps.lazy.compactMap(\.batch).first?.tokens.first?.sequences.elements.first else { return }
        func batch(_ batch: Batch) -> Batch? {
            let tokens = batch.tokens.filter { $0.sequences.contains(own) }.map { token in
                var token = token
                token.sequences = SequenceSet(0)
                return token
            }
            return tokens.isEmpty ? nil : Batch(tokens)
        }
        steps = steps.compactMap { step in
            switch step {
            case .encode(let tokens): batch(tokens).map { .encode($0) }
            case .process(let tokens): batch(tokens).map { .process($0) }
            case .remove(own, let from, let to): .remove(sequence: 0, from: from, to: to)
            case .keep(own): .keep(sequence: 0)
            case .remove(nil, _, _): step
            case .shift(own, let from, let to, let delta): .shift(sequence: 0, from: from, to: to, by: delta)
            case .divide(own, let from, let to, let divisor): .divide(sequence: 0, from: from, to: to, by: divisor)
            case .save(own?): .save(sequence: 0)
            case .restore(own?): .restore(sequence: 0)
            case .save(nil), .restore(nil), .clear: step
            case .remove, .keep, .copy, .shift, .divide, .save, .restore: nil
            }
        }
        options.sequences = 1
    }
}

extension TensorType {
    /// Whether a matrix for which a recipe asks for this may have that type.
    fileprivate func gives(_ type: TensorType) -> Bool { self == type || ofSmallerBlocks == type }
}

extension String {
    /// A tensor's name without the number of its block: `blk.attn_q.weight`.
    var withoutBlock: String { split(separator: ".").filter { Int($0) == nil }.joined(separator: ".") }
}
