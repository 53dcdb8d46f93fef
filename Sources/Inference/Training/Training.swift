/// How a gradient changes weights.
public enum Optimiser: String, Hashable, Sendable, Codable, CaseIterable {
    /// `w ← w − rate · (g + decay · w)`.
    case sgd
    /// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← w − rate · (m̂ / (√v̂ + ε) + decay · w)`, with `m̂ = m /
    /// (1 − β₁ᵗ)` and `v̂ = v / (1 − β₂ᵗ)` in step `t`. Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay
    /// Regularization", algorithm 2.
    case adamW = "adamw"
}

/// By how many steps of an optimiser weights are changed, and how far each goes.
public struct Training: Hashable, Sendable, Codable {
    public var optimiser: Optimiser
    public var steps: Int
    public var rate: Float
    /// β₁ and β₂ of AdamW.
    public var firstDecay: Float = 0.9
    public var secondDecay: Float = 0.99
    public var epsilon: Float = 1e-8
    public var weightDecay: Float = 0

    public init(_ optimiser: Optimiser, steps: Int, rate: Float) {
        self.optimiser = optimiser
        self.steps = steps
        self.rate = rate
    }

    /// Of toys, which learn a short text by heart.
    /// - Parameters:
    ///   - optimiser: what changes the weights.
    ///   - steps: after which a toy has learned or never will.
    public static func byHeart(_ optimiser: Optimiser = .adamW, steps: Int = 300) -> Training {
        var training = Training(optimiser, steps: steps, rate: optimiser == .sgd ? 0.5 : 0.01)
        training.weightDecay = optimiser == .sgd ? 0 : 0.01
        return training
    }
}
