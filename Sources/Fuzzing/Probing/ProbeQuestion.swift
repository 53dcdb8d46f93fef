import Architectures
import Devices
import Engines
import GGUF
import Inference
import PropertyTesting

/// One thing that a device is asked: models that show it, a script, and what the answer may be.
struct ProbeQuestion {
    /// What may be found.
    enum Hypothesis: CustomStringConvertible {
        case arithmetic(Precision.Arithmetic)
        case format(Precision.Format)
        case flushes(Bool)

        /// By how many powers of two what a device does is mostly above its imitation: the error of rounding to nearest
        /// is half a step at most, as is imitated of steps of blocks; of formats, the greatest step is imitated.
        var usualError: Double {
            if case .arithmetic(let arithmetic) = self, arithmetic.operands >= .blocksOf32, arithmetic.sums == .full {
                return 0
            }
            return -0.4
        }

        var description: String {
            switch self {
            case .arithmetic(let arithmetic): "\(arithmetic)"
            case .format(let format): format.rawValue
            case .flushes(let isTrue): isTrue ? "may become zero" : "are kept"
            }
        }
    }

    /// An output that counts.
    struct Row {
        var step: Int
        var key: Int
        var part: Precision.RowCount
        var kind: Int
    }

    /// Questions of one kind have the same answer mostly.
    var kind: String
    var subject: String
    var models: [() throws -> any TensorSource]
    var script: Script
    var rows: [Row]
    /// The finest first.
    var hypotheses: [Hypothesis]
    /// Makes a hypothesis, of products of so many rows, part of a precision.
    var apply: (Hypothesis, Precision.RowCount, inout Precision) -> Void
    /// What is found mostly where the precision is so far; nil: what the last question of the kind found.
    var guess: (Precision.RowCount, Precision) -> Int? = { _, _ in nil }
    /// Whether the answer depends on the number of rows.
    var hasParts = true
    /// Whether a hypothesis must fit from both sides, since others are asked for what it would make errors of.
    var isStrict = false

    var parts: [Precision.RowCount] { Precision.RowCount.allCases.filter { part in rows.contains { $0.part == part } } }

    func subject(_ part: Precision.RowCount) -> String { hasParts ? "\(subject), \(part.rawValue)" : subject }

    /// Batches of one token, of a few and of many, of some kinds: token `i` is of kind `i % kinds`. What a batch sees
    /// was computed in batches that are no larger.
    private static func script(kinds: Int = 1, singles: Int = 8) -> (script: Script, rows: [Row]) {
        var steps: [Step] = [], rows: [Row] = []
        var position = 0
        // Where ggml's kernels change: five and nine rows, and seventeen.
        for count in Array(repeating: 1, count: singles) + [4, 5, 8, 9, 17] {
            let ids = (0..<count).map { (position + $0) % ProbeModel.vocabulary }
            for (key, id) in ids.enumerated() {
                rows.append(Row(step: steps.count, key: key, part: Precision.RowCount(count), kind: id % kinds))
            }
            steps.append(.process(Batch(ids, from: position)))
            position += count
        }
        return (Script(placement: Placement(EngineSet.reference), options: options, steps: steps), rows)
    }

    /// One token at a time: where backends are exact, if they are anywhere.
    private static func singles(_ count: Int) -> (script: Script, rows: [Row]) {
        let script = Script(
            placement: Placement(EngineSet.reference), options: options,
            steps: (0..<count).map { .process(Batch([$0], from: $0)) })
        return (script, (0..<count).map { Row(step: $0, key: 0, part: .one, kind: 0) })
    }

    private static let options = Script.Options(context: 256, microBatch: 64)
    private static let formats: [Hypothesis] =
        [.float32, .approximateFloat32, .tensorFloat32, .float16, .bfloat16].map { .format($0) }
}

// MARK: Products

extension ProbeQuestion {
    /// Products with the output matrix, of a row of signs, which any format holds, so that sums and weights show alone,
    /// and of one of normal numbers, of which every eighth block of 32 is larger, so that the sizes of blocks show. Two
    /// lengths of rows tell narrow operands from narrow sums. Of float types, small and large activations tell formats
    /// of few exponents.
    static func products(_ type: TensorType) -> ProbeQuestion {
        let isFloat = type.blockSize == 1
        let sizes: [(width: Int, scale: Float)] =
            [(256, 1), (1024, 1)] + (isFloat ? [(255, 1), (256, 0x1p-18), (256, 0x1p18)] : [])
        let (script, rows) = script(kinds: 2)
        return ProbeQuestion(
            kind: "products", subject: "products, \(type.name)",
            models: sizes.map { size in
                {
                    var model = ProbeModel(width: size.width)
                    model.optional = ["output.weight"]
                    model.types["output.weight"] = type
                    model.elements["token_embd.weight"] = { row, column in
                        row % 2 == 0
                            ? ProbeNumbers.sign(row, column, 1)
                            : ProbeNumbers.normal(row, column, 2) * (column / 32 % 8 == 0 ? 8 : 1)
                    }
                    model.elements["output_norm.weight"] = { _, _ in size.scale }
                    model.elements["output.weight"] = weights(type)
                    return try model.source()
                }
            },
            script: script, rows: rows, hypotheses: Precision.Arithmetic.hypotheses.map { .arithmetic($0) }
        ) { hypothesis, part, precision in
            if case .arithmetic(let arithmetic) = hypothesis {
                precision.products[Precision.Product(type, part)] = arithmetic
            }
        }
    }

    /// Normal numbers, or in the narrow float types those of seven bits.
    private static func weights(_ type: TensorType) -> @Sendable (_ row: Int, _ column: Int) -> Float {
        if type == .f16 || type == .bf16 {
            return { row, column in
                ProbeNumbers.sign(row, column, 3) * Float(1 + ProbeNumbers.integer(row, column, 4, below: 127)) / 128
            }
        }
        return { row, column in ProbeNumbers.normal(row, column, 5) }
    }

    /// Products with all of four experts.
    static func expertProducts(_ type: TensorType) -> ProbeQuestion {
        let (script, rows) = script()
        var question = ProbeQuestion(
            kind: "expert products", subject: "products with experts, \(type.name)",
            models: [
                {
                    var model = ProbeModel(width: 32, feedForward: 256)
                    model.set("expert_count", 4)
                    model.set("expert_used_count", 4)
                    model.optional = ["output.weight"]
                    // Two of the three products with experts are those with F32, which are known by then.
                    for name in ["gate", "up"] {
                        model.elements["blk.0.ffn_\(name)_exps.weight"] = { row, column in
                            ProbeNumbers.normal(row, column, name.utf8.count)
                        }
                    }
                    model.types["blk.0.ffn_down_exps.weight"] = type
                    model.elements["blk.0.ffn_down_exps.weight"] = weights(type)
                    model.elements["blk.0.ffn_gate_inp.weight"] = { row, column in ProbeNumbers.normal(
                        row, column, 8) / 4 }
                    model.elements["token_embd.weight"] = { row, column in ProbeNumbers.normal(row, column, 2) }
                    // Of the size that activations have.
                    model.elements["blk.0.ffn_norm.weight"] = { _, _ in 1 / 4 }
                    model.elements["output.weight"] = { row, column in row == column ? 1 : 0 }
                    return try model.source()
                }
            ],
            script: script, rows: rows, hypotheses: Precision.Arithmetic.hypotheses.map { .arithmetic($0) }
        ) { hypothesis, part, precision in
            if case .arithmetic(let arithmetic) = hypothesis {
                precision.products[Precision.Product(type, part, isOfExperts: true)] = arithmetic
            }
        }
        question.guess = { part, precision in
            precision.products[Precision.Product(type, part)].flatMap(Precision.Arithmetic.hypotheses.firstIndex)
        }
        return question
    }
}

// MARK: Attention

extension ProbeQuestion {
    /// Attention whose queries, keys and values are elements of the embedding, moved by a matrix of zeros and one other
    /// number; with heads of 64 and of 128, for which backends have kernels.
    /// - Parameter isChosen: whether the script says which attention is meant.
    static func attention(_ cache: StateType, isFlash: Bool, isChosen: Bool) -> ProbeQuestion {
        var (script, rows) = script(singles: 20)
        script.options.cacheType = cache
        if isChosen { script.options.settings[.flashAttention] = .flag(isFlash) }
        // What sees few others has next to no sums.
        rows.removeAll { $0.step < 8 }
        return ProbeQuestion(
            kind: "attention \(cache == .full) \(isFlash)",
            subject: "attention, \(cache.rawValue) cache\(isChosen ? isFlash ? ", flash" : ", plain" : "")",
            models: [64, 128].map { size in { try attentionModel(headSize: size, cache).source() } },
            script: script, rows: rows, hypotheses: attentionHypotheses(isFlash: isFlash)
        ) { hypothesis, part, precision in
            if case .arithmetic(let arithmetic) = hypothesis {
                precision.attention[Precision.AttentionKind(cache, isFlash: isFlash, part)] = arithmetic
            }
        }
    }

    /// Values are added one after the other in any case; half precision comes before TF32, which these numbers do not
    /// tell apart and no kernel is known to use in one pass over the keys.
    private static func attentionHypotheses(isFlash: Bool) -> [Hypothesis] {
        let isTensor = { (arithmetic: Precision.Arithmetic) in
            [.tensorFloat32, .cutTensorFloat32].contains(arithmetic.operands)
        }
        let all = Precision.Arithmetic.hypotheses.filter { $0.sums != .chunkedFloat16 }
        return (all.filter { !isTensor($0) } + (isFlash ? [] : all.filter(isTensor))).map { .arithmetic($0) }
    }

    private static func attentionModel(headSize: Int, _ cache: StateType) -> ProbeModel {
        let width = 2 * headSize
        var model = ProbeModel(width: width, heads: 2, headSize: headSize)
        // Positions turn next to nothing.
        model.metadata["llama.rope.freq_base"] = .float32(1e12)
        model.metadata["llama.rope.scaling.type"] = .string("linear")
        model.metadata["llama.rope.scaling.factor"] = .float32(1e6)
        model.optional = ["output.weight"]
        // Keys and values are signs, which caches of floats hold; queries have as many bits as float32 has.
        for (name, offset) in [("q", 0), ("k", 1), ("v", 5)] {
            model.elements["blk.0.attn_\(name).weight"] = { row, column in
                guard column == (row + offset) % width else { return 0 }
                return name == "q" ? 1 + abs(ProbeNumbers.normal(row, 0, 6)) / 4 : 1
            }
        }
        model.elements["blk.0.attn_output.weight"] = { row, column in row == column ? 64 : 0 }
        let isOfBlocks = cache.blockSize > 1
        model.elements["token_embd.weight"] = { row, column in
            isOfBlocks ? ProbeNumbers.normal(row, column, 2) : ProbeNumbers.sign(row, column, 2)
        }
        model.elements["output.weight"] = { row, column in row == column % ProbeModel.vocabulary ? 1 : 0 }
        return model
    }
}

// MARK: Functions, results and states

extension ProbeQuestion {
    static func function(_ function: Precision.Function) -> ProbeQuestion {
        let (script, rows) = singles(12)
        return ProbeQuestion(
            kind: "functions", subject: function.rawValue, models: [{ try model(showing: function).source() }],
            script: script, rows: rows, hypotheses: formats
        ) { hypothesis, _, precision in
            guard case .format(let format) = hypothesis else { return }
            precision.functions[function] = format == .float32 ? nil : format
        }.withoutParts
    }

    private static func model(showing function: Precision.Function) -> ProbeModel {
        switch function {
        case .softmax: return attentionModel(headSize: 64, .full)
        case .rope:
            // All pairs turn by a radian from one token to the next.
            var model = attentionModel(headSize: 64, .full)
            model.metadata["llama.rope.freq_base"] = .float32(1)
            model.metadata["llama.rope.scaling.factor"] = .float32(1)
            return model
        case .norm, .silu, .gelu:
            var model = ProbeModel(function == .gelu ? "gemma" : "llama", width: 64, feedForward: 64)
            model.elements["token_embd.weight"] = { row, column in ProbeNumbers.normal(row, column, 2) }
            if function != .gelu {
                model.optional = ["output.weight"]
                model.elements["output.weight"] = { row, column in row == column ? 1 : 0 }
            }
            if function != .norm {
                for name in ["gate", "up"] {
                    model.elements["blk.0.ffn_\(name).weight"] = { row, column in row == column ? 1 : 0 }
                }
                model.elements["blk.0.ffn_down.weight"] = { row, column in row == column ? 64 : 0 }
            }
            return model
        }
    }

    /// Results between ops: the sum of a large number and a small one, from which the large one is then taken away, is
    /// the small one where results are float32.
    static func results() -> ProbeQuestion {
        let (script, rows) = singles(4)
        var question = ProbeQuestion(
            kind: "results", subject: "results between ops",
            models: [
                {
                    var model = ProbeModel(width: 64)
                    model.optional = ["output.weight", "blk.0.attn_output.bias"]
                    model.elements["token_embd.weight"] = { row, column in
                        1024 + Float(ProbeNumbers.integer(row, column, 1, below: 128) - 64) / 64
                    }
                    model.elements["blk.0.attn_output.bias"] = { _, _ in -1024 }
                    model.elements["output.weight"] = { row, column in row == column ? 1 : 0 }
                    return try model.source()
                }
            ],
            script: script, rows: rows, hypotheses: [.format(.float32), .format(.float16), .format(.bfloat16)]
        ) { hypothesis, _, precision in
            guard case .format(let format) = hypothesis, precision.storage != .float64 else { return }
            precision.storage = format
        }.withoutParts
        question.isStrict = true
        return question
    }

    /// Numbers below the least normal one of float32.
    static func subnormals() -> ProbeQuestion {
        let (script, rows) = singles(4)
        return ProbeQuestion(
            kind: "subnormals", subject: "subnormal numbers",
            models: [
                {
                    var model = ProbeModel(width: 64)
                    model.optional = ["output.weight"]
                    model.elements["token_embd.weight"] = { row, column in ProbeNumbers.sign(row, column, 1) }
                    model.elements["output_norm.weight"] = { _, _ in 0x1p-100 }
                    model.elements["output.weight"] = { row, column in
                        Float(1 + ProbeNumbers.integer(row, column, 2, below: 127)) * 0x1p-42
                    }
                    return try model.source()
                }
            ],
            script: script, rows: rows, hypotheses: [.flushes(false), .flushes(true)]
        ) { hypothesis, _, precision in
            if case .flushes(let isTrue) = hypothesis { precision.flushesSubnormals = isTrue }
        }.withoutParts
    }

    /// Recurrent states, of the simplest model of an architecture that has them.
    static func states(of architecture: String) -> ProbeQuestion {
        let (script, rows) = singles(16)
        return ProbeQuestion(
            kind: "states", subject: "recurrent states, \(architecture)",
            models: [
                {
                    var choices = Choices(replaying: [])
                    let drawn = try DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices)
                    return try MemorySource(
                        drawn.metadata, optional: .only(drawn.optionalTensors), recipe: WeightRecipe(seed: 1))
                }
            ],
            script: script, rows: rows, hypotheses: [.format(.float32), .format(.float16), .format(.bfloat16)]
        ) { hypothesis, _, precision in
            // The coarsest of all kinds of states.
            guard case .format(let format) = hypothesis, format.unit > precision.states?.unit ?? 0 else { return }
            precision.states = format == .float32 ? precision.states : format
        }.withoutParts
    }

    private var withoutParts: ProbeQuestion {
        var question = self
        question.hasParts = false
        return question
    }
}
