import PropertyTesting

extension ShrinkPass {
    /// What is tried first, since it knows what choices mean.
    static let ofCases: [ShrinkPass] = []
}
