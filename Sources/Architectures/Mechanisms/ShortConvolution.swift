import ModelGraph

extension Scope {
    /// A depthwise causal convolution over the tokens of each sequence: `[T, D] → [T, D]`.
    ///
    /// The block keeps the last `taps − 1` inputs of each sequence.
    /// - Parameters:
    ///   - name: of the kernel, `name.weight`.
    ///   - kernelShape: the kernel's shape in files, where that is not `[D, taps]`.
    public func convolution(
        _ name: String, _ x: Value, taps: Int, bias: Bias = .none, kernelShape: Shape? = nil
    ) -> Value {
        let channels = x.shape[1]
        let kernel = weight("\(name).weight", kernelShape ?? [channels, taps], .convolution)
        let inputs = state("\(name)_inputs", .recurrent, row: [taps - 1, channels])
        let y = g.apply(.convolution(inputs), x, kernel.reshaped([channels, taps]), g.slots)
        return self.bias(name, [channels], bias).map { y + $0 } ?? y
    }

    /// A depthwise convolution over the tokens of each sequence in the batch, centred on each token: `[T, D] → [T, D]`.
    ///
    /// Nothing is kept: what is beyond a sequence's ends is zero.
    /// - Parameters:
    ///   - taps: odd.
    ///   - kernelShape: the kernel's shape in files, where that is not `[D, taps]`.
    public func centredConvolution(_ name: String, _ x: Value, taps: Int, kernelShape: Shape? = nil) -> Value {
        let channels = x.shape[1]
        let kernel = weight("\(name).weight", kernelShape ?? [channels, taps], .convolution).reshaped([channels, taps])
        return sum(taps: taps, of: x) { neighbours, tap in neighbours * kernel.columns(tap, 1).reshaped([channels]) }
    }

    /// The same with a matrix for each tap, in files `[outputs, D, taps]`, and a bias: `[T, D] → [T, outputs]`.
    public func denseConvolution(_ name: String, _ x: Value, _ outputs: Int, taps: Int) -> Value {
        let kernel = weight("\(name).weight", [outputs, x.shape[1], taps], .projection)
        let y = sum(taps: taps, of: x) { neighbours, tap in
            neighbours.matmul(kernel.columns(tap, 1).reshaped([outputs, x.shape[1]]))
        }
        return y + weight("\(name).bias", [outputs, 1], .bias).reshaped([outputs])
    }

    /// - Parameter term: of the tokens at one distance from each token, and the number of their tap.
    private func sum(taps: Int, of x: Value, _ term: (Value, Int) -> Value) -> Value {
        /// `[T, T]`: 1 for the tokens of its sequence that lie further on than `offset` from each token.
        func later(than offset: Int) -> Value {
            let mask = g.batchMask(Mask(causal: false, window: .sliding(-offset)))
            return g.applyShared(.unary(.exp), mask)
        }
        let terms = (0..<taps).map { tap in
            let offset = tap - (taps - 1) / 2
            let chosen = g.applyShared(.binary(.subtract), later(than: offset - 1), later(than: offset))
            return term(g.apply(.pool, x, chosen), tap)
        }
        return terms.dropFirst().reduce(terms[0]) { $0 + $1 }
    }

    /// A short convolution between two gates: `C ⊙ convolve(B ⊙ x)` with B, C and x projected from the input.
    /// - Parameter isCausal: whether it looks at earlier tokens only; else it is centred, as in LFM2's encoders.
    /// Source: Liquid AI 2025 (LFM2), section 2.
    public func gatedShortConvolution(_ x: Value, taps: Int, isCausal: Bool = true) -> Value {
        let width = x.shape[1]
        let projected = linear("shortconv.in_proj", x, 3 * width)
        let (b, c, input) = (
            projected.columns(0, width), projected.columns(width, width), projected.columns(2 * width, width)
        )
        let mixed = isCausal
            ? convolution("shortconv.conv", b * input, taps: taps)
            : centredConvolution("shortconv.conv", b * input, taps: taps)
        return linear("shortconv.out_proj", c * mixed, width)
    }
}

extension Domains {
    /// Taps of a short convolution.
    public static let taps = [4, 3, 2, 5, 9]
}
