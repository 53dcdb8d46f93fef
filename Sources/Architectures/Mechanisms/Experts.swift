import ModelGraph

/// A mixture of experts: a router gives each token a few of many feed-forward networks.
///
/// Sources: Shazeer et al. 2017; DeepSeek-V3 technical report, section 2.1.2 (groups, selection bias).
public struct Experts: Hashable, Sendable {
    /// How router logits become weights. Raw values as in `expert_gating_func`.
    public enum Gating: Int, HyperparameterOption {
        case softmax = 1
        case sigmoid = 2
        /// Softmax over the selected experts only.
        case softmaxOfSelected = 3
        /// `√softplus`. Source: DeepSeek-V4 (2026).
        case rootOfSoftplus = 4
    }

    public let count: Int
    /// Experts that each token uses.
    public var used: Int { routing.used }
    /// Hidden units of one expert.
    public private(set) var size: Int
    public let gating: Gating
    public private(set) var routing: Routing
    /// Weights are divided by their sum.
    public let normalizesWeights: Bool
    /// Added to that sum.
    public let normalizationEpsilon: Double
    /// What that sum is at least; 0: no bound.
    public let normalizationFloor: Double
    /// Multiplies the weights; 0 and 1 are both recorded as nothing, as engines do.
    public let weightScale: Double

    /// Where an architecture takes what is not the same everywhere.
    public struct Options {
        /// Gating that the metadata may choose from (`expert_gating_func`); a single one is not a key.
        public var gatings: [Gating] = [.softmax]
        /// What an absent key means; nil: it is required.
        public var defaultGating: Gating?
        /// Whether the metadata says if weights are normalised; else the value here holds.
        public var normalizes: Bool = true
        public var declaresNormalization = false
        /// Added to the sum of the weights by which they are divided, as the architecture's authors have it.
        public var normalizationEpsilon = 0.0
        /// What that sum is at least; 0: no bound.
        public var normalizationFloor = 0.0
        /// Whether the weight of a single expert is divided by itself too.
        public var normalizesSingle = true
        public var declaresScale = false
        /// Whether files always say both.
        public var alwaysDeclares = false
        public var groups = false
        /// Whether experts have a size of their own; else `feed_forward_length` serves.
        public var declaresSize = true
        /// Whether an absent size means an equal share of `feed_forward_length` for each expert used.
        public var sharesSize = false
        /// Whether an absent size means `feed_forward_length`.
        public var inheritsSize = false
        /// Whether softmax is over the selected experts only, though files call it by the name of the other.
        public var softmaxIsOfSelected = false
        /// How many experts a token uses, where nothing else is possible.
        public var used: Int?
        public init() {}

        /// As DeepSeek-V3 has them, and most since: any gating, groups, and keys for all that is done to the weights.
        /// Source: DeepSeek-V3 technical report, section 2.1.2; `DeepseekV3TopkRouter` of transformers for the epsilon.
        public static var deepSeek3: Options {
            var options = Options()
            options.gatings = [.sigmoid, .softmax, .softmaxOfSelected]
            options.declaresNormalization = true
            options.normalizationEpsilon = 1e-20
            options.declaresScale = true
            options.groups = true
            return options
        }
    }

    private static let counts = [4, 2, 1, 3, 8, 5, 16, 33]
    /// Many experts are small ones, the more so in a wide or deep model: else they would be most of the time that cases
    /// take.
    private static func sizes(of count: Int, in dimensions: Dimensions) -> [Int] {
        Domains.feedForward.affordable { $0 * count * dimensions.embedding * dimensions.layers <= 1 << 16 }
    }

    /// A model that always has experts.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, _ options: Options, feedForward: Int
    ) throws {
        let least = options.used ?? 1
        let count = try h.integer("expert_count", least...4096, fuzz: Self.counts.filter { $0 >= least }, "experts")
        try self.init(&h, dimensions, options, count: count, feedForward: feedForward)
    }

    /// A model that may have experts: nil where `expert_count` is absent or 0.
    /// - Parameter isMostlyThere: whether most models of the architecture have them.
    public static func optional(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, _ options: Options, feedForward: Int,
        isMostlyThere: Bool = false
    ) throws -> Experts? {
        let count = try h.integer(
            "expert_count", 0...4096, fuzz: isMostlyThere ? counts + [0] : [0] + counts, default: 0,
            drawsAbsence: !isMostlyThere, "experts; 0: dense")
        return count == 0 ? nil : try Experts(&h, dimensions, options, count: count, feedForward: feedForward)
    }

    /// A model that may have experts, used and sized differently in each layer; nil for layers without.
    ///
    /// - Parameter feedForward: of each layer; 0: it has no feed-forward network. A size that is not given is an
    ///   equal share of this for each expert used.
    public static func ofLayers(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, _ options: Options, feedForward: [Int],
        mayBeDense: Bool
    ) throws -> [Experts?] {
        let count = try h.integer(
            "expert_count", 0...4096, fuzz: mayBeDense ? [0] + counts : counts, default: 0, drawsAbsence: mayBeDense,
            "experts; 0: dense")
        guard count > 0 else { return feedForward.map { _ in nil } }
        let used = try h.integers(
            usedKey, 0...4096, fuzz: usedCounts(of: count), layers: feedForward.count, "experts that each token uses")
        for (layer, used) in used.enumerated() {
            try h.require(
                used <= count && (used > 0 || feedForward[layer] == 0), usedKey, "expert_count",
                because: "\(used) experts used of \(count) (layer \(layer))")
        }
        let shares = zip(feedForward, used).map { $0 == 0 ? 0 : $0 / $1 }
        let sizes = try h.integers(
            sizeKey, 0...(1 << 20), fuzz: sizes(of: count, in: dimensions), layers: feedForward.count, default: shares,
            drawsAbsence: zip(feedForward, shares).allSatisfy { $0 == 0 || $1 > 0 }, aboutSize
        ).enumerated().map { $1 == 0 ? shares[$0] : $1 }
        let common = try Experts(&h, options, count: count, used: used.max() ?? 1, size: 0)
        return try feedForward.indices.map { layer in
            guard feedForward[layer] > 0 else { return nil }
            try h.require(
                sizes[layer] > 0, sizeKey, usedKey, "feed_forward_length",
                because: "\(feedForward[layer]) hidden units do not divide among \(used[layer]) experts "
                    + "(layer \(layer))")
            var experts = common
            experts.size = sizes[layer]
            experts.routing.used = used[layer]
            return experts
        }
    }

    private init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, _ options: Options, count: Int, feedForward: Int
    ) throws {
        let used = try h.integer(
            Self.usedKey, options.used.map { $0...$0 } ?? 1...4096,
            fuzz: options.used.map { [$0] } ?? Self.usedCounts(of: count),
            "experts that each token uses")
        try h.require(used <= count, Self.usedKey, "expert_count", because: "\(used) experts used of \(count)")
        let (key, about) = (Self.sizeKey, Self.aboutSize)
        let size = if !options.declaresSize {
            feedForward
        } else if options.inheritsSize || options.sharesSize && feedForward >= used {
            try h.integer(
                key, 1...(1 << 20), fuzz: Self.sizes(of: count, in: dimensions),
                default: options.inheritsSize ? feedForward : feedForward / used, about)
        } else {
            try h.integer(key, 1...(1 << 20), fuzz: Self.sizes(of: count, in: dimensions), about)
        }
        try self.init(&h, options, count: count, used: used, size: size)
    }

    private static let (usedKey, sizeKey) = ("expert_used_count", "expert_feed_forward_length")
    private static let aboutSize = "hidden units of an expert"
    private static func usedCounts(of count: Int) -> [Int] {
        Set([1, 2, min(3, count), count, max(1, count - 1)].filter { $0 <= count }).sorted()
    }

    private init(_ h: inout some Hyperparameters, _ options: Options, count: Int, used: Int, size: Int) throws {
        self.count = count
        self.size = size
        normalizationEpsilon = options.normalizationEpsilon
        normalizationFloor = options.normalizationFloor
        let aboutGating = "how router logits become weights"
        let declared = if options.gatings.count == 1 {
            options.gatings[0]
        } else if let absent = options.defaultGating {
            try h.option("expert_gating_func", among: options.gatings, default: absent, aboutGating)
        } else {
            try h.option("expert_gating_func", among: options.gatings, aboutGating)
        }
        gating = declared == .softmax && options.softmaxIsOfSelected ? .softmaxOfSelected : declared
        let (normKey, aboutNorm) = ("expert_weights_norm", "whether weights are divided by their sum")
        let normalizes = if !options.declaresNormalization {
            options.normalizes
        } else if options.alwaysDeclares {
            try h.boolean(normKey, among: [false, true], aboutNorm)
        } else {
            try h.boolean(normKey, default: false, aboutNorm)
        }
        normalizesWeights = normalizes && (used > 1 || options.normalizesSingle)
        let (scaleKey, factors, aboutScale) =
            ("expert_weights_scale", [1, 0, 0.5, 2.5], "multiplies the weights; 0: no scaling")
        weightScale = if !options.declaresScale {
            1
        } else if options.alwaysDeclares {
            try h.real(scaleKey, 0...1e6, fuzz: factors, aboutScale)
        } else {
            try h.real(scaleKey, 0...1e6, fuzz: factors, default: 0, aboutScale)
        }

        // A group's score is the sum of its two best experts, so it has two at least.
        let groupCounts = [count > 1 ? 1 : 0]
            + (2...8).filter { count % $0 == 0 && count / $0 >= 2 && used <= count - count / $0 }
        let groups = options.groups
            ? try h.integer("expert_group_count", 0...4096, fuzz: groupCounts, default: 0, "groups of experts")
            : 1
        if groups > 1 {
            try h.require(
                count % groups == 0 && count / groups >= 2, "expert_count", "expert_group_count",
                because: "\(count) experts do not make \(groups) groups of two or more")
            let least = (used + count / groups - 1) / (count / groups)
            let groupsUsed = try h.integer(
                "expert_group_used_count", 1...4096, fuzz: Array(least...max(least, groups - 1)),
                "groups that each token may use")
            try h.require(
                groupsUsed <= groups && used <= groupsUsed * (count / groups), "expert_group_used_count",
                "expert_group_count", "expert_used_count",
                because: "\(used) experts from \(groupsUsed) of \(groups) groups of \(count / groups)")
            routing = Routing(used: used, groups: groups, groupsUsed: groupsUsed)
        } else {
            if options.groups {
                try h.note("expert_group_used_count", "groups that each token may use, where there are several")
            }
            routing = Routing(used: used)
        }
    }
}

extension Scope {
    /// What an architecture's mixture has besides the common parts.
    public struct ExpertTensors: Sendable {
        public var activation: Activation = .gated(.swiglu)
        /// A bias of each linear map, the router's included.
        public var bias: Bias = .none
        /// `exp_probs_b.bias`, added to the scores for the selection only.
        public var selectionBias: Bias = .none
        /// Its name, where an architecture has it otherwise.
        public var selectionBiasName = "exp_probs_b.bias"
        /// Whether a group of experts is scored by its best one where gating is softmax and nothing is added to the
        /// scores, which is how DeepSeek-V2 differs from V3: no key says it.
        public var mayScoreGroupsByBest = false
        /// Gate and up may be one matrix, `ffn_gate_up_exps`.
        public var mayFuseGateUp = false
        /// Bound of the router's logits.
        public var routerSoftcap: Double?
        /// Selection by the logits themselves, and weights applied to the input (Llama 4).
        public var weighsInput = false
        /// Whether each expert may have a scale, `ffn_down_exps.scale`, by which its weight is multiplied.
        public var mayScaleExperts = false
        public init() {}
    }

    /// Whether the block has experts, where its tensors alone say so.
    var hasExperts: Bool { has("ffn_gate_inp.weight", presence: .most) }

    /// Which experts each token uses, and how much of each: indices and weights `[T, k]`.
    public typealias Routed = (experts: Value, weights: Value)

    /// `[T, D] → [T, D]`: the weighted sum of each token's experts.
    /// - Parameter scored: what the router sees, where that is not `x`.
    public func mixture(_ x: Value, _ experts: Experts, _ tensors: ExpertTensors, scored: Value? = nil) -> Value {
        mixture(x, route(scored ?? x, experts, tensors), count: experts.count, size: experts.size, tensors)
    }

    /// The router's choice for each row of `[T, D]`.
    public func route(_ scored: Value, _ experts: Experts, _ tensors: ExpertTensors) -> Routed {
        let logits = routerLogits(scored, experts, tensors)

        let probabilities = switch experts.gating {
        case .softmax: logits.softmax()
        case .sigmoid: logits(.sigmoid)
        case .rootOfSoftplus: logits(.rootOfSoftplus)
        case .softmaxOfSelected: logits
        }
        var scores = tensors.weighsInput ? logits : probabilities
        var routing = experts.routing
        if let bias = selectionBias(experts, tensors) {
            scores = scores + bias
        } else if experts.gating == .softmax, tensors.mayScoreGroupsByBest {
            routing.groupBest = 1
        }
        let selected = g.apply(.topExperts(routing), scores)
        var weights = g.apply(.takeExperts, probabilities, selected)
        if experts.gating == .softmaxOfSelected { weights = weights.softmax() }
        if experts.normalizesWeights {
            var sum = weights.sum(1) + experts.normalizationEpsilon
            if experts.normalizationFloor > 0 {
                sum = sum.clamped(experts.normalizationFloor, .greatestFiniteMagnitude)
            }
            weights = weights / sum
        }
        if experts.weightScale != 0 { weights = weights * experts.weightScale }
        if tensors.mayScaleExperts,
            let scales = optionalWeight("ffn_down_exps.scale", [experts.count], .scale, presence: .most)
        {
            weights = weights * scales.reshaped([experts.count, 1]).rows(selected).reshaped(weights.shape)
        }
        return (selected, weights)
    }

    /// `[T, E]`
    func routerLogits(_ x: Value, _ experts: Experts, _ tensors: ExpertTensors) -> Value {
        var logits = x.matmul(weight("ffn_gate_inp.weight", [experts.count, x.shape.last], .router))
        if let bias = bias("ffn_gate_inp", [experts.count], tensors.bias) { logits = logits + bias }
        return tensors.routerSoftcap.map { logits.softcapped($0) } ?? logits
    }

    private func selectionBias(_ experts: Experts, _ tensors: ExpertTensors) -> Value? {
        let (name, shape) = (tensors.selectionBiasName, [experts.count] as Shape)
        return switch tensors.selectionBias {
        case .none: nil
        case .optional: optionalWeight(name, shape, .selectionBias)
        case .rare: optionalWeight(name, shape, .selectionBias, presence: .few)
        case .usual: optionalWeight(name, shape, .selectionBias, presence: .most)
        case .required: weight(name, shape, .selectionBias)
        }
    }

    /// `[T, D] → [T, D]`: the weighted sum of what the chosen ones of `count` experts make of each row.
    /// - Parameter suffix: of the tensor names.
    public func mixture(
        _ x: Value, _ routed: Routed, count: Int, size: Int, _ tensors: ExpertTensors, suffix: String = "exps"
    ) -> Value {
        let (tokens, width, used) = (x.shape[0], x.shape[1], routed.weights.shape[1])
        let perExpert = routed.weights.reshaped([tokens, used, 1])
        var rows = x.reshaped([tokens, 1, width])
        if tensors.weighsInput { rows = rows.broadcast([tokens, used, width]) * perExpert }

        func expertLinear(_ name: String, _ rows: Value, _ outputs: Int, _ matrix: Value? = nil) -> Value {
            let matrix = matrix ?? weight("\(name)_\(suffix).weight", [count, outputs, rows.shape[2]], .projection)
            let y = g.apply(.expertMatmul, rows, matrix, routed.experts)
            return bias("\(name)_\(suffix)", [count, outputs], tensors.bias).map { y + $0.rows(routed.experts) } ?? y
        }
        let hidden: Value
        switch tensors.activation {
        case .plain(let function):
            hidden = expertLinear("ffn_up", rows, size)(function)
        case .gated, .limited, .product, .softLimited:
            let gate: Value, up: Value
            if tensors.mayFuseGateUp,
                let fused = optionalWeight("ffn_gate_up_\(suffix).weight", [count, 2 * size, width], .projection)
            {
                let both = expertLinear("ffn_gate_up", rows, 2 * size, fused)
                (gate, up) = (both.columns(0, size), both.columns(size, size))
            } else {
                gate = expertLinear("ffn_gate", rows, size)
                up = expertLinear("ffn_up", rows, size)
            }
            hidden = tensors.activation.hidden(gate: gate, up: up)
        }
        var outputs = expertLinear("ffn_down", hidden, width)
        if !tensors.weighsInput { outputs = outputs * perExpert }
        return outputs.sum(1).reshaped([tokens, width])
    }
}
