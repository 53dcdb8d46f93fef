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

    /// A short convolution between two gates: `C ⊙ convolve(B ⊙ x)` with B, C and x projected from the input.
    /// Source: Liquid AI 2025 (LFM2), section 2.
    public func gatedShortConvolution(_ x: Value, taps: Int) -> Value {
        let width = x.shape[1]
        let projected = linear("shortconv.in_proj", x, 3 * width)
        let (b, c, input) = (
            projected.columns(0, width), projected.columns(width, width), projected.columns(2 * width, width)
        )
        return linear("shortconv.out_proj", c * convolution("shortconv.conv", b * input, taps: taps), width)
    }
}

extension Domains {
    /// Taps of a short convolution.
    public static let taps = [4, 3, 2, 5, 9]
}
