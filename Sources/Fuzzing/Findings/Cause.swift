/// What makes failures the same: what happened, and what it needs.
public struct Cause: Hashable, Sendable, Codable {
    /// What of a case matters, by the names of its `traits`, those that say most first: without any of these it does not
    /// fail.
    public var needs: [String]
    /// Tensors, without the numbers of their blocks, that matter though every model of the architecture may have them:
    /// the case passes where the weights of one are neutral. Empty where that is not known.
    public var tensors: [String]

    public init(needs: [String], tensors: [String] = []) {
        self.needs = needs
        self.tensors = tensors
    }

    /// `type Q4_K, flash attention, attention.head_count`
    var words: String {
        needs.map { $0.hasPrefix("key ") ? String($0.dropFirst(4)) : $0 }.joined(separator: ", ")
    }

    /// `attn_k attn_q`
    var tensorWords: String {
        tensors.map { name in name.split(separator: ".").filter { $0 != "blk" && $0 != "weight" }.joined(separator: ".") }
            .joined(separator: " ")
    }

    /// Parts of models whose weights matter.
    var parts: Set<ModelPart> { Set(tensors.compactMap(ModelPart.init(tensor:))) }

    /// Whether what needs this fails wherever the other does: it needs no more, and nothing else but sizes, which are
    /// an architecture's own way to show it.
    func includes(_ other: Cause) -> Bool {
        let (own, others) = (Set(needs), Set(other.needs))
        guard own.isSubset(of: others) else { return false }
        if own == others { return !own.isEmpty && !hasSizesOnly || meets(other) }
        return others.subtracting(own).allSatisfy { $0.hasPrefix("key ") } && meets(other)
    }

    /// Whether nothing but sizes matters, which every model has.
    var hasSizesOnly: Bool { needs.allSatisfy { $0.hasPrefix("key ") } }

    /// Whether the same parts of a model may be meant.
    func meets(_ other: Cause) -> Bool {
        let (own, others) = (parts, other.parts)
        return own.isEmpty && others.isEmpty || !own.isDisjoint(with: others)
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
