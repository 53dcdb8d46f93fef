import ModelGraph

/// Which layers attend to a window of the latest positions only.
///
/// Source: Beltagy et al. 2020 (sliding windows); Gemma 2 (2024), section 2.2 (layers in turn).
public struct WindowPattern: Hashable, Sendable {
    /// Of each layer.
    public let masks: [Mask]

    /// - Parameters:
    ///   - window: what a layer of the pattern sees.
    ///   - period: every so many layers, one sees everything, where the metadata does not say; 0: none does.
    public init(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, window: Mask.Window, period: Int
    ) throws {
        let layers = dimensions.layers
        let pattern = try h.optionalPattern(
            "attention.sliding_window_pattern", 0...512, fuzz: [2, 3, 4, 0], layers: layers,
            "the layers with a window: a flag each, or a period of which the last has none (0: all have)")
        let isWindowed: (Int) -> Bool = switch pattern ?? .period(period) {
        case .flags(let flags): { flags[$0] }
        case .period(0): { _ in true }
        case .period(let period): { $0 % period < period - 1 }
        }
        masks = (0..<layers).map { Mask(causal: true, window: isWindowed($0) ? window : .unlimited) }
    }

    /// Windows where `attention.sliding_window` is there and not 0.
    public static func optional(
        _ h: inout some Hyperparameters, _ dimensions: Dimensions, period: Int
    ) throws -> WindowPattern {
        let window = try h.integer(
            "attention.sliding_window", 0...(1 << 30), fuzz: lengths, default: 0, "positions that a window holds; 0: no windows")
        return window == 0
            ? WindowPattern(unlimited: dimensions)
            : try WindowPattern(&h, dimensions, window: .sliding(window), period: period)
    }

    /// What each layer sees, where the metadata must say which have a window.
    public static func flagged(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws -> [Mask] {
        let window = try h.integer(
            "attention.sliding_window", 1...(1 << 30), fuzz: lengths, "positions that a window holds")
        let all = Array(repeating: true, count: dimensions.layers)
        return try h.flags(
            "attention.sliding_window_pattern", layouts: [all] + LayerLayouts.mixtures(of: dimensions.layers),
            layers: dimensions.layers, "which layers have a window").map { Mask(causal: true, window: $0 ? .sliding(window) : .unlimited) }
    }

    /// No layer has a window.
    public init(unlimited dimensions: Dimensions) {
        masks = Array(repeating: Mask(causal: true), count: dimensions.layers)
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

        public init(_ h: inout some Hyperparameters, _ rotary: RotaryEmbedding) throws {
            self.rotary = rotary
            windowedBase = try h.real(
                "rope.freq_base_swa", 1...1e12, fuzz: [10_000, 100, 1_000_000], default: rotary.base,
                "base of the rotation frequencies of layers with a window")
        }

        public func rope(isWindowed: Bool) -> Rope { rotary.rope(base: isWindowed ? windowedBase : rotary.base) }
    }
}
