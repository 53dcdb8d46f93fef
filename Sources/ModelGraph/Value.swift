/// A value of a graph under construction.
public struct Value {
    public let builder: GraphBuilder
    public let id: ValueID
    public let shape: Shape

    public static func + (a: Value, b: Value) -> Value { a.builder.apply(.binary(.add), a, b) }
    public static func - (a: Value, b: Value) -> Value { a.builder.apply(.binary(.subtract), a, b) }
    public static func * (a: Value, b: Value) -> Value { a.builder.apply(.binary(.multiply), a, b) }
    public static func / (a: Value, b: Value) -> Value { a.builder.apply(.binary(.divide), a, b) }
    /// Addition of zero, and multiplication by one, are recorded as nothing.
    public static func + (a: Value, bias: Double) -> Value {
        bias == 0 ? a : a.builder.apply(.affine(scale: 1, bias: bias), a)
    }
    public static func * (a: Value, scale: Double) -> Value {
        scale == 1 ? a : a.builder.apply(.affine(scale: scale, bias: 0), a)
    }
    public static prefix func - (a: Value) -> Value { a * -1 }

    public func callAsFunction(_ function: Unary) -> Value { builder.apply(.unary(function), self) }
    public func clamped(
        _ lower: Double, _ upper: Double
    ) -> Value { builder.apply(.clamp(lower: lower, upper: upper), self) }
    public func softcapped(_ cap: Double) -> Value { builder.apply(.softcap(cap), self) }

    /// `self · weightᵀ` for a matrix `[N, K]`.
    public func matmul(_ weight: Value) -> Value { builder.apply(.matmul, self, weight) }
    public func rows(_ indices: Value) -> Value { builder.apply(.rows, self, indices) }
    public func norm(_ kind: Norm, _ epsilon: Double, _ weight: Value? = nil, _ bias: Value? = nil) -> Value {
        builder.apply(
            .norm(kind, epsilon: epsilon, weight: weight != nil, bias: bias != nil),
            [self] + [weight, bias].compactMap { $0 })
    }
    public func softmax() -> Value { builder.apply(.softmax, self) }
    public func sum(_ axis: Int) -> Value { builder.apply(.sum(axis: axis), self) }

    public func reshaped(_ shape: Shape) -> Value { shape == self.shape ? self : builder.apply(.reshape(shape), self) }
    /// Elements `start ..< start + count` of the last dimension.
    public func columns(_ start: Int, _ count: Int) -> Value { slice(shape.rank - 1, start, count) }
    public func slice(_ axis: Int, _ start: Int, _ count: Int) -> Value {
        builder.apply(.slice(axis: axis, start: start, count: count), self)
    }
    /// Joined with others along the last dimension.
    public func joined(_ others: Value...) -> Value {
        builder.apply(.concatenate(axis: shape.rank - 1), [self] + others)
    }
    public func permuted(_ axes: Int...) -> Value { builder.apply(.permute(axes: axes), self) }
    public func broadcast(_ shape: Shape) -> Value { shape == self.shape ? self : builder.apply(.broadcast(shape), self) }
}
