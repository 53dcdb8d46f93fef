import ModelGraph

/// Which layers attend to a window of the latest positions only.
///
/// Source: Beltagy et al. 2020 (sliding windows); Gemma 2 (2024), section 2.2 (layers in turn).
public struct WindowPattern: Hashable, Sendable {
    /// Of each layer.
    public let masks: [Mask]
    /// Whether the model knows no windows, and not only has no layer with one.
    public let isAbsent: Bool

    /// - Parameters:
    ///   - window: what a layer of the pattern sees.
    ///   - period: every so many layers, one sees everything, where the metadata does not say; 0: none does.
    ///   - startsUnlimited: whether of each period the first layer sees everything, not the last.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, window: Mask.Window, period: Int,
        causal: Bool = true, startsUnlimited: Bool = false
    ) throws {
        let layers = dimensions.layers
        let pattern = try h.optionalPattern(
            "attention.sliding_window_pattern", 0...512, fuzz: [2, 3, 4, 0], layers: layers,
            "the layers with a window: a flag each, or a period of which the \(startsUnlimited ? "first" : "last") "
                + "has none (0: all have)")
        let isWindowed: (Int) -> Bool = switch pattern ?? .period(period) {
        case .flags(let flags): { flags[$0] }
        case .period(0): { _ in true }
        case .period(let period): { startsUnlimited ? $0 % period > 0 : $0 % period < period - 1 }
        }
        masks = (0..<layers).map { Mask(causal: causal, window: isWindowed($0) ? window : .unlimited) }
        isAbsent = false
    }

    /// Windows where `attention.sliding_window` is there and not 0.
    public static func optional(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, period: Int
    ) throws -> WindowPattern {
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: lengths, default: 0,
            "positions that a window holds; 0: no windows")
        return window == 0
            ? WindowPattern(unlimited: dimensions)
            : try WindowPattern(&h, dimensions, window: .sliding(window), period: period)
    }

    /// The layers with a window as the metadata must list them, prediction blocks included.
    public init(listed h: inout some Hyperparameters, _ dimensions: Dimensions, window: Mask.Window) throws {
        let all = Array(repeating: true, count: dimensions.layers)
        let ends = (dimensions.predictionBlocks > 0 ? [true, false] : [true]).map {
            Array(repeating: $0, count: dimensions.predictionBlocks)
        }
        let layouts = (LayerLayouts.mixtures(of: dimensions.layers) + [all]).flatMap { layers in
            ends.map { layers + $0 }
        }
        let flags = try h.flags(
            "attention.sliding_window_pattern", layouts: layouts, layers: dimensions.blocks, "the layers with a window")
        masks = flags.map { Mask(causal: true, window: $0 ? window : .unlimited) }
        isAbsent = false
    }

    /// Those of an encoder, which reach as far either way.
    public init(
        ofEncoder h: inout some Hyperparameters, _ dimensions: Dimensions, length: Int, period: Int,
        startsUnlimited: Bool = false
    ) throws {
        try self.init(
            &h, dimensions, window: .symmetric(length / 2), period: period, causal: false,
            startsUnlimited: startsUnlimited)
    }

    /// What each layer sees, where the metadata must say which have a window.
    public static func flagged(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws -> [Mask] {
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: lengths, "positions that a window holds")
        let alike = [true, false].map { Array(repeating: $0, count: dimensions.layers) }
        let mixtures = dimensions.layers > 1 ? LayerLayouts.mixtures(of: dimensions.layers) : []
        return try h.flags(
            "attention.sliding_window_pattern", layouts: alike + mixtures, layers: dimensions.layers,
            "which layers have a window").map { Mask(causal: true, window: $0 ? .sliding(window) : .unlimited) }
    }

    /// - Parameter isWindowed: of each layer.
    public init(_ isWindowed: [Bool], window: Mask.Window) {
        masks = isWindowed.map { Mask(causal: true, window: $0 ? window : .unlimited) }
        isAbsent = false
    }

    /// No layer has a window.
    public init(unlimited dimensions: Dimensions, causal: Bool = true) {
        masks = Array(repeating: Mask(causal: causal), count: dimensions.layers)
        isAbsent = true
    }

    /// Whether no layer has a window.
    public var isUnlimited: Bool { masks.allSatisfy { $0.window == .unlimited } }

    public func isWindowed(_ layer: Int) -> Bool { masks[layer].window != .unlimited }

    /// Window lengths around the batches and tiles of a toy, a single token and more than the context among them.
    public static let lengths = [1, 2, 3, 8, 16, 31, 32, 33, 64, 512]
}

extension RotaryEmbedding {
    /// The rotations of layers without and with a window, which may have a base of their own.
    public struct Windowed: Hashable, Sendable {
        public let rotary: RotaryEmbedding
        let windowedBase: Double

        /// - Parameter isRequired: whether the file must say the base; else the other layers' is the default.
        public init(_ h: inout some Hyperparameters, _ rotary: RotaryEmbedding, isRequired: Bool = false) throws {
            self.rotary = rotary
            let (key, valid, fuzz) = ("rope.freq_base_swa", 1...1e12, [10_000.0, 100, 1_000_000])
            let about = "base of the rotation frequencies of layers with a window"
            windowedBase = isRequired
                ? try h.real(key, valid, fuzz: fuzz, about) : try h.real(
                    key, valid, fuzz: fuzz, default: rotary.base, about)
        }

        public func rope(isWindowed: Bool) -> Rope { rotary.rope(base: isWindowed ? windowedBase : rotary.base) }
    }

    /// The rotation of layers with a window, where its base and its dimensions are their own, and what stretches the
    /// context does not concern it.
    /// - Parameters:
    ///   - rotated: how many elements of a head it rotates where the metadata does not say; nil: as many as this.
    ///   - base: its base where the metadata does not say; nil: that of this.
    ///   - magnitude: of what it rotates.
    func ownRopeOfWindows(
        _ h: inout some Hyperparameters, headSize: Int, rotated: Int? = nil, base: Double? = nil,
        magnitude: Double = 1
    ) throws -> Rope {
        let windowedBase = try h.real(
            "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: base ?? self.base,
            "base of the rotation frequencies of layers with a window")
        let windowed = try h.integer(
            "rope.dimension_count_swa", 1...65536,
            fuzz: [headSize, headSize / 2, 2].filter { $0 > 0 && $0 % 2 == 0 }, default: rotated ?? dimensions,
            "rotated elements of each head in layers with a window")
        try h.require(
            windowed % 2 == 0 && windowed <= headSize, "rope.dimension_count_swa", "attention.key_length",
            because: "\(windowed) rotated elements of heads of \(headSize): must be even and no more than the head")
        return Rope(pairing: pairing, dimensions: windowed, base: windowedBase, magnitude: magnitude)
    }

    /// The rotations of layers without and with a window, where what stretches the context does not concern a window.
    public struct UnstretchedWindows: Hashable, Sendable {
        public let rotary: RotaryEmbedding
        let windowedBase: Double

        public init(_ h: inout some Hyperparameters, _ rotary: RotaryEmbedding, _ windows: WindowPattern) throws {
            self.rotary = rotary
            windowedBase = windows.isUnlimited ? rotary.base : try h.real(
                "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: rotary.base, isRare: true,
                "base of the rotation frequencies of layers with a window")
        }

        public func rope(isWindowed: Bool) -> Rope {
            isWindowed
                ? Rope(pairing: rotary.pairing, dimensions: rotary.dimensions, base: windowedBase) : rotary.rope()
        }
    }
}
