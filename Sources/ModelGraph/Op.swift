import Foundation
import GGUF

/// What a node computes. Attributes are here, operands are in `Node.operands`, in the order given.
///
/// Notation: `T` tokens of the batch, `C` cells of a cache (or tokens, where there is no cache), `H` heads, `E`
/// experts, `k` experts used. All values are dense and row-major. A device is an exhaustive switch over this enum;
/// `ReferenceDevice` is the definition of each case, and `Gradients/Op+Adjoints.swift` has the derivative of each in
/// terms of others.
public enum Op: Hashable, Sendable {
    // MARK: Tables and products with weights

    /// `(table [N, …D], indices […]) → […, …D]`: row `indices[i]` of the table. The table is a weight of
    /// any type, or a value.
    case rows
    /// `(x […, K], weight [N, K]) → […, N]`: `y = x · weightᵀ`.
    case matmul
    /// `(x [T, 1 or k, K], weight [E, N, K], experts [T, k]) → [T, k, N]`: each selected expert's product
    /// with the token's row (one row for all, or a row an expert).
    case expertMatmul
    /// `(x [T, H, K], weight [H, N, K]) → [T, H, N]`: each head has a matrix of its own.
    case headMatmul

    // MARK: Elementwise and shape

    /// `(x) → x` of the same shape.
    case unary(Unary)
    /// `(a, b) → a`'s shape; `b` broadcasts to `a`.
    case binary(Binary)
    /// `(x) → x·scale + bias`.
    case affine(scale: Double, bias: Double)
    /// `(x) → min(max(x, lower), upper)`.
    case clamp(lower: Double, upper: Double)
    /// `(x) → cap · tanh(x / cap)`.
    case softcap(Double)
    /// `(x) → xielu(x)`.
    case xielu(XIELU)
    /// `(gate, up) →` their shape: the gated activation of a feed-forward network.
    case gated(GatedActivation)
    /// `(x) →` the same elements in another shape; never copies.
    case reshape(Shape)
    /// `(x) →` the elements `start ..< start + count` along `axis`.
    case slice(axis: Int, start: Int, count: Int)
    /// `(a, b, …) →` joined along `axis`.
    case concatenate(axis: Int)
    /// `(x) → x` repeated to fill the shape.
    case broadcast(Shape)
    /// `() → [n]`: numbers that the architecture fixes.
    case constant([Double])
    /// `(x) → y` of which axis `i` is axis `axes[i]` of `x`.
    case permute(axes: [Int])

    // MARK: Reductions and norms

    /// `(x) → x` with `axis` reduced to extent 1.
    case sum(axis: Int)
    /// `(x […, D], [weight [D]], [bias [D]]) → […, D]`: normalise the last dimension, then scale and shift.
    case norm(Norm, epsilon: Double, weight: Bool, bias: Bool)
    /// `(x [T, D], sequences [T]) → [T, D]`: normalises each of `groups` equal groups of columns over all tokens that
    /// share a sequence with the token: `(x − mean) / √(variance + ε)`. Source: Wu and He 2018.
    case groupNorm(groups: Int, epsilon: Double)
    /// `(x […, D]) → […, D]`: softmax over the last dimension.
    case softmax

    // MARK: Positions and attention

    /// `(x [T, H, D], positions [T] or [S, T], [factors [dimensions / 2]]) → [T, H, D]`. With positions of `S` sections
    /// (`Rope.Sections`), each pair turns by that of its own; without, by the one that there is.
    case rope(Rope, factors: Bool)
    /// `(positions [T], sequences [T], cellPositions [C], cellSequences [C]) → [T, C]`: 0 where the token may
    /// see the cell, −∞ elsewhere. An empty cell has position −1; sequences are bit sets, and a cell is
    /// seen only if the two sets meet.
    case mask(Mask)
    /// `(positions [T], cellPositions [C]) → [H, T, C]`: `−slope(h) · |cellPosition − position|`.
    /// Source: Press et al. 2021, "Train Short, Test Long"; slopes for a count of heads that is no power of
    /// two as in its reference code.
    case alibi(heads: Int, maxBias: Double)
    /// `(table [buckets, H], positions [T], cellPositions [C]) → [H, T, C]`: the learned bias of each
    /// relative position bucket. Source: Raffel et al. 2020 (T5), section 2.1.
    case relativePositionBias(bidirectional: Bool, maxDistance: Int)
    /// `(queries [T, H, Dk], keys [C, G, Dk], values [C, G, ≥ Dv], mask [T, C], [bias [H, T, C]], [sinks [H]])
    /// → [T, H, Dv]`: softmax attention; query head `h` reads key head `h / (H / G)`.
    case attention(Attention)
    /// `(positions [T]) → [T, 1, 1]`: `1 + scale · ln(1 + ⌊(position + offset) / length⌋)`, by which queries are
    /// multiplied. Source: Llama 4's attention temperature tuning.
    case attentionTemperature(scale: Double, length: Double, offset: Double)
    /// `(queries [T, H, S], keys [C, 1, S], weights [T, H], mask [T, C]) → [T, C]`:
    /// `Σ_h weights[t, h] · max(0, queries[t, h] · keys[c]) + mask[t, c]`, what cell `c` is worth to token `t`.
    /// Source: DeepSeek-V3.2 (2025), section 2.1, equation 1.
    case indexScores
    /// `(scores [T, C]) → [T, C]`, a mask: 0 for each token's `count` cells of greatest score, −∞ elsewhere; equal
    /// scores: the lower cell first. A cell of score −∞ is not taken.
    case topCells(count: Int)
    /// `(scores [T, H, C], mask [T, C], positions [T], cellPositions [C]) → [H, T, C]`, a bias of each head: 0 for the
    /// cells that the token sees of its best blocks of positions, −∞ elsewhere. A block is worth its greatest score
    /// among the cells that the token sees; equal ones: the earlier first. Source: MiniMax-M3's authors' code
    /// (`MiniMaxM3VLIndexer` of transformers).
    case topBlocks(BlockSelection)
    /// `(positions [T]) → [T]` indices: where the window of each position begins, or which of its positions it is.
    case windowPosition(length: Int, WindowPart)
    /// `(indices [T]) → [T]` indices: each replaced as the table says.
    case replace(IndexTable)

    // MARK: Routing

    /// `(scores [T, E]) → [T, k]` indices: the `k` experts of greatest score, best first; equal scores: the
    /// lower index first.
    case topExperts(Routing)
    /// `(x [T, E], experts [T, k]) → [T, k]`: `x[t, experts[t, i]]`.
    case takeExperts
    /// `(experts [T, k]) → [T, k]` indices: the group that each expert lies in, of groups of `size` in order.
    case expertGroups(size: Int)

    // MARK: State

    /// `(x [T, …], cells [T]) → [C, …]`: write row `t` to cell `cells[t]` of a cache; the result is the
    /// cache's first `C` cells after the writes (an alias, never a copy).
    case store(StateID, cells: Int)
    /// `() → [C, …]`: the cache's first `C` cells.
    case load(StateID, cells: Int)
    /// `(x [T, D], weight [D, K], slots [T]) → [T, D]`: depthwise causal convolution,
    /// `y[t] = Σ_j weight[:, j] · x[t − K + 1 + j]` over the tokens of the token's own sequence. The state
    /// `[slots, K − 1, D]` holds the last `K − 1` inputs, oldest first.
    case convolution(StateID)
    /// `(x [T, D], slots [T]) → [T, D]`: the input of the previous token of the same sequence.
    /// State `[slots, D]`.
    case tokenShift(StateID)
    /// `(x [T, H, P], Δ [T, H], A [H, 1 or N], B [T, G, N], C [T, G, N], slots [T]) → [T, H, P]`.
    /// With `δ = softplus(Δ)`: `h ← exp(δ·A) ⊙ h + δ·x ⊗ B`, `y = h · C`; head `h` reads group `h / (H / G)`.
    /// State `[slots, H, P, N]`. Mamba is `P = 1` with `A [H, N]`; Mamba-2 (SSD) is `A [H, 1]`.
    /// Sources: Gu and Dao 2023; Dao and Gu 2024.
    case selectiveScan(StateID)
    /// `(q [T, Hk, S], k [T, Hk, S], v [T, H, S], g [T, H, 1 or S], β [T, H], slots [T]) → [T, H, S]`:
    /// `M ← Diag(exp g) M`, `M ← M + β k ⊗ (v − kᵀM)`, `y = scale · qᵀM`, with `M` indexed `[key, value]`.
    /// Value head `h` reads key head `h / (H / Hk)`. State `[slots, H, S, S]`.
    /// Sources: Yang et al. 2024 (gated delta net, g of extent 1); Kimi Linear 2025 (KDA, extent S).
    case gatedDeltaRule(StateID, scale: Double)
    /// `(q [T, H, S], k [T, H, S], v [T, H, S], g [T, H, 1 or S], [bonus [H, S]], slots [T]) → [T, H, S]`:
    /// `M ← Diag(exp g) M + k ⊗ v`, `y = scale · qᵀM`, with `M` indexed `[key, value]`. With a bonus the token's own
    /// product counts by it and not by the decay, `y = scale · qᵀ(M + Diag(bonus) k ⊗ v)` before `M` changes.
    /// State `[slots, H, S, S]`. Sources: Yang et al. 2023 (gated linear attention); Qin et al. 2024 (lightning
    /// attention, one decay a head); Peng et al. 2024 (RWKV-6, with a bonus).
    case linearAttention(StateID, scale: Double, bonus: Bool)
    /// `(r, w, k, v, a, b: all [T, H, S], slots [T]) → [T, H, S]`:
    /// `M ← M Diag(w) + (M a) bᵀ + v kᵀ`, `y = M r`, with `M` indexed `[value, key]`. State `[slots, H, S, S]`.
    /// Source: Peng et al. 2025 (RWKV-7).
    case wkv7(StateID)

    // MARK: Output

    /// `(x [R, K], places [K]) → [R, columns]`: column `i` of `x` becomes column `places[i]`; −∞ in all others. The
    /// places are a weight of distinct whole numbers.
    case spread(columns: Int)
    /// `(x [T, D], weights [S, T]) → [S, D]`: `y = weights · x`; pools the tokens of each sequence.
    case pool

    // MARK: Loss and derivatives

    /// `(logits [R, V], targets [R]) → [1]`: the mean over the rows of `−ln softmax(logits[r])[targets[r]]`. A target that
    /// can never be (`leastLogit`) stands for the next one that can, after the last the first. Rows whose target is −1, or
    /// of which nothing can be, do not count; where none does, it is 0.
    case crossEntropy
    /// `(logits [R, V], targets [R], d [1]) → [R, V]`: what `d` times the cross-entropy changes by with each logit.
    case crossEntropyAdjoint
    /// `(x [R…, …D], indices [R…]) → [N, …D]`: each row added to the row of its index: the adjoint of `rows`.
    case scatterRows(count: Int)
    /// `(a [R, N], b [R, K], indices [R]) → [E, N, K]`: the outer product of each pair of rows, added to the matrix of
    /// its index.
    case scatterProducts(count: Int)
    /// `(scores [T, H, C], mask [T, C], [sinks [H]]) → [T, H, C]`: what attention weighs the cells' values with, the
    /// softmax of scores and mask, with the sink as one more score. Cells of mask −∞ weigh 0, whatever their score.
    case attentionWeights(sinks: Bool)
    /// `(x […, D], d […, D]) → […, D]`: the adjoint of the norm without weights, where `d` is that of its result.
    case normAdjoint(Norm, epsilon: Double)
    /// `(x [T, D], sequences [T], d [T, D]) → [T, D]`: the adjoint of the group norm.
    case groupNormAdjoint(groups: Int, epsilon: Double)
    /// `(y [T, H, D], d [T, H, D], positions [T] or [S, T], factors [dimensions / 2]) → [dimensions / 2]`: what a
    /// rotation whose result is `y` gives to its factors.
    case ropeFactorsAdjoint(Rope)
    /// `(d [H, T, C], positions [T], cellPositions [C]) → [buckets, H]`: the adjoint of `relativePositionBias`.
    case relativePositionBiasAdjoint(buckets: Int, bidirectional: Bool, maxDistance: Int)
    /// `(slots [T]) → [T]` indices: the token that comes `distance` before each token of its sequence, after it where
    /// that is negative; `T` where there is none.
    case neighbours(distance: Int)
    /// `(r, w, k [T, H, N], v [T, H, P], a, b [T, H, N], d [T, H, P], slots [T]) → [T, H, 5 N + P]`: the adjoints of
    /// `r`, `w`, `k`, `a`, `b` and `v`, side by side, where `d` is that of `y` in the recurrence that begins with
    /// zeros, `M ← M Diag(w) + (M a) bᵀ + v kᵀ`, `y = M r`, with `M [P, N]`; `y` is taken before `M` changes if
    /// `readsBefore`. Every recurrence but the convolution is of this form.
    case recurrenceAdjoint(readsBefore: Bool)
}

extension Op {
    /// Logits that are not above it, −∞ among them, are of what can never be.
    public static let leastLogit = -1e30

    /// The state that the op reads or writes.
    public var state: StateID? {
        switch self {
        case .store(let id, _), .load(let id, _), .convolution(let id), .tokenShift(let id), .selectiveScan(let id),
            .gatedDeltaRule(let id, _), .linearAttention(let id, _, _), .wkv7(let id):
            id
        case .rows, .matmul, .expertMatmul, .headMatmul, .unary, .binary, .affine, .clamp, .softcap, .xielu, .gated, .reshape,
            .slice, .concatenate, .broadcast, .constant, .sum, .norm, .groupNorm, .softmax, .rope, .mask, .alibi,
            .relativePositionBias, .attention, .attentionTemperature, .windowPosition, .replace, .indexScores, .topCells,
            .topBlocks, .topExperts, .takeExperts, .expertGroups, .spread, .pool, .permute, .crossEntropy,
            .crossEntropyAdjoint, .scatterRows, .scatterProducts, .attentionWeights, .normAdjoint, .groupNormAdjoint,
            .ropeFactorsAdjoint, .relativePositionBiasAdjoint, .neighbours, .recurrenceAdjoint:
            nil
        }
    }
}

public enum Unary: String, Hashable, Sendable, CaseIterable {
    /// `x · sigmoid(x)`
    case silu
    /// The tanh approximation: `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`. Source: Hendrycks and Gimpel 2016.
    case gelu
    /// Exactly: `x/2 · (1 + erf(x / √2))`. Source: Hendrycks and Gimpel 2016.
    case geluErf
    case relu
    /// `max(x, 0)²`
    case squaredReLU
    case sigmoid
    case tanh
    case exp
    /// `ln(1 + eˣ)`
    case softplus
    /// `√ln(1 + eˣ)`
    case rootOfSoftplus
    /// `2/√π · ∫₀ˣ exp(−t²) dt`
    case erf
    /// 1 where `x > 0`, else 0.
    case step
}

/// `positive · x² + beta · x` where `x > 0`, else `negative · (exp(min(x, epsilon)) − 1 − x) + beta · x`.
/// Source: Huang and Schlag 2024, "Deriving Activation Functions Using Integration" (xIELU), whose `alpha_p` and
/// `alpha_n` these are, and its authors' code for `epsilon`.
public struct XIELU: Hashable, Sendable {
    public var positive: Double
    public var negative: Double
    public var beta: Double
    public var epsilon: Double
    public init(positive: Double, negative: Double, beta: Double, epsilon: Double) {
        self.positive = positive
        self.negative = negative
        self.beta = beta
        self.epsilon = epsilon
    }
}

public enum Binary: String, Hashable, Sendable, CaseIterable { case add, subtract, multiply, divide }

public enum GatedActivation: Hashable, Sendable {
    /// `silu(gate) · up`. Source: Shazeer 2020.
    case swiglu
    /// `gelu(gate) · up`, tanh approximation.
    case geglu
    /// With `g = min(gate, limit)`, `u = clamp(up, ±limit)`: `g · sigmoid(alpha · g) · (u + 1)`. Source: gpt-oss.
    case clampedSwiGLU(alpha: Double, limit: Double)
}

public enum Norm: String, Hashable, Sendable, CaseIterable {
    /// `(x − mean) / √(variance + ε)`
    case layer
    /// `x / √(mean(x²) + ε)`
    case rms
    /// `x / √(Σx² + ε)`
    case l2
    /// `x / max(√Σx², ε)`
    case unit
}

/// Rotary position embedding, with linear and YaRN scaling.
///
/// For pair `i` of `dimensions / 2`: `θ = position · base^(−2i / dimensions) / factor_i`; without
/// extrapolation the angle is `frequencyScale · θ`; with it, the YaRN ramp between `betaFast` and
/// `betaSlow` blends that with `θ`: `θ' = frequencyScale·θ·(1 − r) + θ·r`, `r = ramp · extrapolation`. Cosine and sine
/// are multiplied by `magnitude`, already complete (see `Architectures/Mechanisms/RoPE`). Sources: Su et al. 2021; Peng
/// et al. 2023 (YaRN), equations 17 to 22.
public struct Rope: Hashable, Sendable {
    public enum Pairing: String, Hashable, Sendable {
        /// Pairs `(2i, 2i + 1)`.
        case normal
        /// Pairs `(i, i + dimensions / 2)`.
        case neox
    }
    public var pairing: Pairing
    /// Even number of rotated elements of each head, from `offset`; the others pass unchanged.
    public var dimensions: Int
    public var offset: Int
    public var base: Double
    /// 1 / scaling factor.
    public var frequencyScale: Double
    /// 0: linear scaling only; 1: full YaRN.
    public var extrapolation: Double
    public var magnitude: Double
    public var betaFast: Double
    public var betaSlow: Double
    /// Whether the ends of YaRN's ramp are whole pairs, as the code of most models has it, or real numbers.
    public var roundsRamp: Bool
    public var originalContext: Int
    /// Which pairs turn by which position, where a token has several.
    public var sections: Sections?
    /// Whether pairs turn the other way, which is the adjoint.
    public var isReversed = false

    /// Of the positions that a token may have in place of one: of an image's, its time, row and column (M-RoPE).
    /// Sources: Qwen2-VL (2024), section 2.1; Qwen3-VL (2025), section 2, which interleaves them.
    public struct Sections: Hashable, Sendable {
        public enum Layout: String, Hashable, Sendable {
            /// The pairs of one section follow those of the one before it.
            case consecutive
            /// Of three pairs, one of each section, as long as the second and the third have pairs left; the others are
            /// of the first.
            case interleaved
        }
        public var layout: Layout
        /// Pairs of each section.
        public var pairs: [Int]

        public init(_ layout: Layout, pairs: [Int]) {
            self.layout = layout
            self.pairs = pairs
        }

        /// The section whose position turns pair `i`.
        public func section(ofPair i: Int) -> Int {
            switch layout {
            case .consecutive:
                var rest = i
                for (section, count) in pairs.enumerated() {
                    if rest < count { return section }
                    rest -= count
                }
                return 0
            case .interleaved:
                let section = i % 3
                return section < pairs.count && i < 3 * pairs[section] ? section : 0
            }
        }
    }

    public init(
        pairing: Pairing, dimensions: Int, offset: Int = 0, base: Double, frequencyScale: Double = 1,
        extrapolation: Double = 0, magnitude: Double = 1, betaFast: Double = 32, betaSlow: Double = 1,
        roundsRamp: Bool = true, originalContext: Int = 0, sections: Sections? = nil
    ) {
        self.pairing = pairing
        self.dimensions = dimensions
        self.offset = offset
        self.base = base
        self.frequencyScale = frequencyScale
        self.extrapolation = extrapolation
        self.magnitude = magnitude
        self.betaFast = betaFast
        self.betaSlow = betaSlow
        self.roundsRamp = roundsRamp
        self.originalContext = originalContext
        self.sections = sections
    }

    /// The positions of each pair among those of `[T]` or `[S, T]`: where they begin, after which `T` follow.
    /// - Parameter positions: the shape.
    public func firstPositions(in positions: Shape) -> [Int] {
        (0..<dimensions / 2).map { pair in
            positions.rank == 2 ? (sections?.section(ofPair: pair) ?? 0) * positions[1] : 0
        }
    }

    /// The first and last pair of the YaRN ramp, as real numbers clamped to `0 ... dimensions − 1`:
    /// `dimensions · ln(originalContext / (β·2π)) / (2 ln base)`, rounded outwards where `roundsRamp` says so.
    /// Sources: `find_correction_range` of the YaRN authors' repository, which rounds; OpenAI's
    /// `gpt_oss/torch/model.py`, which does not.
    public var ramp: (low: Double, high: Double) {
        func pair(_ beta: Double) -> Double {
            Double(dimensions) * log(Double(originalContext) / (beta * 2 * .pi)) / (2 * log(base))
        }
        let (low, high) = (pair(betaFast), pair(betaSlow))
        return (
            max(0, roundsRamp ? low.rounded(.down) : low),
            min(Double(dimensions - 1), roundsRamp ? high.rounded(.up) : high)
        )
    }

    /// Angle of pair `i` at position 1, before the pair's own factor divides `θ`: see the type's formula.
    /// Every device takes its frequencies from here, so that they differ in arithmetic only.
    /// - Parameter factor: the pair's frequency factor, 1 where the model has none.
    public func frequency(pair i: Int, factor: Double) -> Double {
        let theta = pow(base, -2 * Double(i) / Double(dimensions)) / factor
        let interpolated = frequencyScale * theta, sign = isReversed ? -1.0 : 1
        guard extrapolation != 0 else { return sign * interpolated }
        let (low, high) = ramp
        let y = (Double(i) - low) / max(0.001, high - low)
        let mix = (1 - min(1, max(0, y))) * extrapolation
        return sign * (interpolated * (1 - mix) + theta * mix)
    }
}

public struct Mask: Hashable, Sendable {
    public enum Window: Hashable, Sendable {
        case unlimited
        /// A token sees cells less than `n` positions back (itself included); without causality, of an `n` of 0 or
        /// less, those more than `−n` further on.
        case sliding(Int)
        /// A token sees cells of its own chunk: `cell ≥ ⌊position / n⌋ · n`.
        case chunked(Int)
        /// A token sees cells no more than `n` positions away, later ones too where the mask is not causal.
        case symmetric(Int)
    }
    public var causal: Bool
    public var window: Window
    public init(causal: Bool, window: Window = .unlimited) {
        self.causal = causal
        self.window = window
    }

    /// The one definition of what a token at `position` sees, for cells of its own sequences.
    public func isVisible(cell: Int, from position: Int) -> Bool {
        guard cell >= 0 else { return false }
        if causal && cell > position { return false }
        switch window {
        case .unlimited: return true
        case .sliding(let n): return position - cell < n
        case .chunked(let n): return cell >= position / n * n
        case .symmetric(let n): return abs(position - cell) <= n
        }
    }
}

/// Positions lie in windows of equal length, one after the other.
public enum WindowPart: Hashable, Sendable {
    /// The first position of the window.
    case start
    /// How far the position lies from that.
    case offset

    /// The one definition; an empty cell, of position −1, is taken for position 0.
    public func of(_ position: Int, length: Int) -> Int {
        let offset = max(position, 0) % length
        return self == .offset ? offset : max(position, 0) - offset
    }
}

/// What stands for a few indices.
public struct IndexTable: Hashable, Sendable {
    private let values: [Int: Int]
    /// What stands for all others; nil: they stand for themselves.
    private let others: Int?

    /// - Parameter indices: of those that are equal, the last counts.
    public init(_ indices: [Int], to values: [Int], others: Int? = nil) {
        self.values = Dictionary(zip(indices, values)) { $1 }
        self.others = others
    }

    /// Whether all others stand for themselves.
    public var keepsOthers: Bool { others == nil }

    public subscript(index: Int) -> Int { values[index] ?? others ?? index }
}

/// Which blocks of positions a token attends to: the `local` ones up to its own, then the best ones, `count` in all.
public struct BlockSelection: Hashable, Sendable {
    /// Positions of a block.
    public var size: Int
    public var count: Int
    public var local: Int
    public init(size: Int, count: Int, local: Int) {
        self.size = size
        self.count = count
        self.local = local
    }

    public func isLocal(block: Int, to position: Int) -> Bool {
        let own = position / size
        return block <= own && block > own - local
    }
}

public struct Attention: Hashable, Sendable {
    /// Multiplies the products of queries and keys.
    public var scale: Double
    /// `softcap · tanh(score / softcap)` before bias and mask, or nil.
    public var softcap: Double?
    /// `Dv`: the leading elements of each value head that are used.
    public var valueSize: Int
    /// Whether the operands hold a bias and sinks. A sink is a score with no value: it only takes weight.
    public var bias: Bool
    public var sinks: Bool
    public init(scale: Double, softcap: Double? = nil, valueSize: Int, bias: Bool = false, sinks: Bool = false) {
        self.scale = scale
        self.softcap = softcap
        self.valueSize = valueSize
        self.bias = bias
        self.sinks = sinks
    }
}

/// Selection of experts, with groups: experts lie in `groups` equal groups in order; a group's score is the sum of its
/// `groupBest` best; only experts of the `groupsUsed` best groups may be selected.
/// Sources: DeepSeek-V2 (2024), section 2.1.2 (the best one); DeepSeek-V3 technical report, section 2.1.2 (the best
/// two).
public struct Routing: Hashable, Sendable {
    public var used: Int
    public var groups: Int
    public var groupsUsed: Int
    public var groupBest: Int
    public init(used: Int, groups: Int = 1, groupsUsed: Int = 1, groupBest: Int = 2) {
        self.used = used
        self.groups = groups
        self.groupsUsed = groupsUsed
        self.groupBest = groupBest
    }
}
