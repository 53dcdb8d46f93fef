import ModelGraph

/// What makes failures the same: what happened, and what it needs.
public struct Cause: Hashable, Sendable, Codable {
    /// What of a case matters, by the names of its `traits`, those that say most first: without any of these it passes.
    public var needs: [String]
    /// Tensors, without the numbers of their blocks, that matter though every model of the architecture may have them:
    /// the case passes where the weights of one are neutral. Empty where that is not known.
    public var tensors: [String]
    /// What the model does between these tensors.
    public var ops: [String]

    public init(needs: [String], tensors: [String] = [], ops: [String] = []) {
        self.needs = needs
        self.tensors = tensors
        self.ops = ops
    }

    /// `type Q4_K, flash attention, attention.head_count`
    var words: String {
        needs.map { $0.hasPrefix("key ") ? String($0.dropFirst(4)) : $0 }.joined(separator: ", ")
    }

    /// ` in attention or rope`: those that tell most.
    var opWords: String { ops.isEmpty ? "" : " in " + ops.prefix(3).joined(separator: " or ") }

    /// `attn_k attn_q`
    var tensorWords: String {
        tensors.map { name in
            name.split(separator: ".").filter { $0 != "blk" && $0 != "weight" }.joined(separator: ".")
        }.joined(separator: " ")
    }

    /// Whether the other is this cause too. Sizes and weights are an architecture's own way to show it; all else that the
    /// other needs this needs as well, or if there is nothing else, the same ops of the model are meant.
    /// - Parameter isWidespread: whether many architectures have shown this cause, see `meets`.
    func includes(_ other: Cause, isWidespread: Bool = false) -> Bool {
        Set(strongNeeds) == Set(other.strongNeeds) && (namesType || meets(other, isWidespread: isWidespread))
    }

    /// What it needs other than sizes and weights.
    var strongNeeds: [String] { needs.filter { !$0.isWeak } }

    /// Whether a type of weights is needed: any matrix of the model may be of it.
    var namesType: Bool { needs.contains { $0.hasPrefix("type ") } }

    /// Whether nothing but sizes and weights matters, which every model has.
    var hasSizesOnly: Bool { needs.allSatisfy(\.isWeak) }

    /// Whether no block of the model is needed.
    var isOutside: Bool { tensors.contains(where: CauseSearch.ofEveryToken.contains) }

    /// Whether the same ops may be meant: those that not every model has everywhere; or, of matrices of certain extents,
    /// those that all of them go through.
    ///
    /// Where nothing but sizes is needed, what both have in common may be no more than what most models have, attention
    /// for one, while each is wrong in a way of its own. So the other must have the same mechanisms there; or more, if
    /// this has none, or many architectures have shown that it is not one's own.
    func meets(_ other: Cause, isWidespread: Bool = false) -> Bool {
        let common = Set(ops).intersection(other.ops)
        let needExtents = [self, other].allSatisfy { $0.needs.contains(where: \.isExtent) && $0.tensors.count <= 2 }
        if isOutside && other.isOutside || ops == other.ops && tensors == other.tensors { return true }
        // What no part of the model shows by itself is in all of them.
        if ops.isEmpty && other.isOutside || isOutside && other.ops.isEmpty { return true }
        if needExtents && !common.isEmpty { return true }
        if hasSizesOnly && other.hasSizesOnly {
            let (own, others) = (mechanisms, other.mechanisms)
            guard own == others || (own.isEmpty || isWidespread) && own.isSubset(of: others) else { return false }
        }
        return !common.subtracting(Op.namesOfPlumbing).isEmpty
    }

    private var mechanisms: Set<String> { Op.namesOfMechanisms.intersection(ops) }
}

extension String {
    /// Whether a trait is a number in the metadata, which every model has.
    fileprivate var isSize: Bool { hasPrefix("key ") }

    /// Whether every model may show a cause with it and without.
    fileprivate var isWeak: Bool { isSize || hasPrefix("weights ") }

    /// Whether it is the extent of a tensor.
    fileprivate var isExtent: Bool {
        isSize && ["_length", "_size", "head_count", "head_count_kv", "_rank", "_dim"].contains { hasSuffix($0) }
    }
}

/// A part of a model, as tensors are named after.
enum ModelPart: String, Hashable, Sendable, CaseIterable {
    case attention, feedForward, experts, recurrence, convolution, head

    /// - Parameter tensor: its name, without the number of its block. Nil: every token goes through it.
    init?(tensor: String) {
        let name = tensor.split(separator: ".").first { !["enc", "dec", "blk"].contains($0) } ?? ""
        switch true {
        case name.hasSuffix("_exps") || name.hasPrefix("exp_probs") || name.hasPrefix("ffn_gate_inp"): self = .experts
        case name.hasPrefix("ffn_"): self = .feedForward
        case name.hasPrefix("attn_") || name.hasPrefix("cross_attn"): self = .attention
        case name.hasPrefix("ssm_") || name.hasPrefix("time_mix") || name.hasPrefix("channel_mix"): self = .recurrence
        case name.hasPrefix("shortconv"): self = .convolution
        case name.hasPrefix("cls") || name.hasPrefix("dense_"): self = .head
        default: return nil
        }
    }
}
