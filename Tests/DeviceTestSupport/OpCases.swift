import Devices
import GGUF
import ModelGraph

/// Every op with every variant of its attributes, at sizes on and beside the edges of tiles.
public let opCases: [OpCase] =
    productCases + elementwiseCases + shapeCases + reductionCases + positionCases + attentionCases + indexCases
    + routingCases + cacheCases + recurrentCases + outputCases + derivativeCases

/// The types in which a product's weights come: all but those of whole numbers, and of numbers that floats cannot hold.
public let weightTypes: [TensorType] = [.f32, .f16, .bf16] + TensorType.allCases.filter(\.isQuantized)

// MARK: Tables and products with weights

private let productCases: [OpCase] = cases {
    for type in weightTypes {
        // Two types of blocks get all sizes. What the others add is how their blocks are read.
        let block = type.blockSize
        let sizes =
            switch type {
            case .f32, .f16, .bf16: [(1, 1, 1), (1, 65, 33), (3, 33, 31), (33, 3, 65), (65, 31, 3), (31, 64, 96)]
            case .q8_0, .q4_K:
                [(1, 1, block), (1, 65, 2 * block), (3, 33, block), (33, 3, 3 * block), (65, 31, 5 * block)]
            default: [(1, 5, 2 * block), (7, 37, 3 * block)]
            }
        for (t, n, k) in sizes {
            OpCase("matmul \(type.name) \(t)x\(n)x\(k)") { [$0.real([t, k]).matmul($0.weight([n, k], type))] }
        }
        if [.f32, .q8_0].contains(type) {
            OpCase("matmul \(type.name) of rank 3") { [$0.real([3, 2, 64]).matmul($0.weight([5, 64], type))] }
        }

        for (n, d) in type.isQuantized ? [(1, block), (5, 3 * block)] : [(1, 1), (33, 65)] {
            OpCase("rows \(type.name) \(n)x\(d)") {
                let indices = $0.index(.tokens, [7], below: n)
                return [$0.weight([n, d], type).rows(indices)]
            }
        }

        let width = max(32, block), hasAllSizes = [.f32, .f16, .bf16, .q8_0, .q4_K].contains(type)
        for (t, k, e) in hasAllSizes ? [(1, 1, 1), (3, 1, 4), (3, 5, 5), (31, 3, 33)] : [(3, 2, 4)] {
            for own in [false, true] {
                OpCase("expertMatmul \(type.name) T\(t) k\(k) E\(e)\(own ? " own rows" : "")") {
                    let x = $0.real([t, own ? k : 1, width])
                    let experts = $0.index(.tokens, [t, k], below: e)
                    return [$0.graph.apply(.expertMatmul, x, $0.weight([e, 3, width], type), experts)]
                }
            }
        }
        for (t, h, n) in hasAllSizes ? [(1, 1, 1), (3, 3, 33), (33, 2, 5)] : [(3, 2, 5)] {
            OpCase("headMatmul \(type.name) T\(t) H\(h) N\(n)") {
                let x = $0.real([t, h, 2 * width])
                return [$0.graph.apply(.headMatmul, x, $0.weight([h, n, 2 * width], type))]
            }
        }
        if type.isQuantized {
            OpCase("a sum with a weight of type \(type.name)") { [$0.real([3, 256]) + $0.weight([256], type)] }
        }
    }
    for type in [TensorType.f64, .i8, .i16, .i32, .i64] {
        OpCase("matmul \(type.name)") {
            let x = $0.real([3, 33])
            return [x.matmul($0.weight([5, 33], type, (0..<165).map { Float($0 % 19) - 9 }))]
        }
    }
    OpCase("matmul of a row longer than what is decoded at once") {
        [$0.real([3, 1300]).matmul($0.weight([5, 1300], .f16))]
    }
    OpCase("matmul of a vector") { [$0.real([33]).matmul($0.weight([5, 33]))] }
    OpCase("expertMatmul K33") {
        let x = $0.real([3, 1, 33])
        let experts = $0.index(.tokens, [3, 2], below: 3)
        return [$0.graph.apply(.expertMatmul, x, $0.weight([3, 31, 33]), experts)]
    }
    OpCase("headMatmul K31") {
        let x = $0.real([3, 3, 31])
        return [$0.graph.apply(.headMatmul, x, $0.weight([3, 65, 31]))]
    }
    OpCase("rows of a table of matrices") {
        let indices = $0.index(.tokens, [2, 3], below: 5)
        return [$0.weight([5, 3, 2]).rows(indices)]
    }
    OpCase("rows of a value") {
        let x = $0.real([31, 33])
        return [x.rows($0.index(.outputs, [3]) { _ in [0, 17, 30] })]
    }
    OpCase("rows of indices") {
        let positions = $0.index(.positions, [31], below: 1000)
        return [positions.rows($0.index(.outputs, [3]) { _ in [0, 17, 30] })]
    }
}

// MARK: Elementwise

private let elementwiseCases: [OpCase] = cases {
    for function in Unary.allCases {
        OpCase("unary \(function.rawValue)") { [$0.real([3, 33], in: -4...4)(function)] }
        OpCase("unary \(function.rawValue) of one") { [$0.real([1])(function)] }
        if function != .exp {
            OpCase("unary \(function.rawValue) far out") { [$0.real([65], in: -150...150)(function)] }
        }
    }
    OpCase("unary exp far out") { [$0.real([65], in: -150...10)(.exp)] }

    for function in Binary.allCases {
        for b: Shape in [[3, 5, 33], [5, 33], [33], [1], [], [3, 1, 33], [3, 5, 1], [1, 5, 1], [3, 1, 1]] {
            OpCase("binary \(function.rawValue) \(b)") {
                let a = $0.real([3, 5, 33])
                return [$0.graph.apply(.binary(function), a, $0.real(b, in: 0.5...2))]
            }
        }
        OpCase("binary \(function.rawValue) with a weight") {
            let a = $0.real([3, 65])
            return [$0.graph.apply(.binary(function), a, $0.weight([65], in: 0.5...2))]
        }
    }
    OpCase("binary of a value and itself") {
        let a = $0.real([3, 31])
        return [a + a]
    }

    OpCase("affine") { [$0.graph.apply(.affine(scale: -0.75, bias: 0.3), $0.real([3, 31]))] }
    OpCase("clamp") { [$0.real([3, 31]).clamped(-0.5, 0.25)] }
    OpCase("softcap") { [$0.real([3, 31], in: -90...90).softcapped(30)] }
    for epsilon in [-1e-6, 0, -0.5] {
        OpCase("xielu \(epsilon)") {
            let function = XIELU(positive: 0.8, negative: 1.1, beta: 0.5, epsilon: epsilon)
            return [$0.graph.apply(.xielu(function), $0.real([3, 65], in: -9...9))]
        }
    }
    let gates: [GatedActivation] = [
        .swiglu, .geglu, .clampedSwiGLU(alpha: 1.702, limit: 7), .clampedSwiGLU(alpha: 1, limit: 0.5),
    ]
    for activation in gates {
        OpCase("gated \(activation)") {
            let gate = $0.real([3, 33], in: -9...9)
            let up = $0.real([3, 33], in: -9...9)
            return [$0.graph.apply(.gated(activation), gate, up)]
        }
    }
}

// MARK: Shape

private let shapeCases: [OpCase] = cases {
    OpCase("reshape of an input") { [$0.real([3, 10]).reshaped([5, 6])] }
    OpCase("reshape between ops") { [$0.real([3, 10])(.tanh).reshaped([5, 2, 3])(.exp)] }
    OpCase("reshape and its operand, both read") {
        let x = $0.real([3, 10])(.tanh)
        return [x, x.reshaped([30]) * 2]
    }
    OpCase("reshape of indices") { [$0.index(.tokens, [6], below: 99).reshaped([2, 3])] }
    OpCase("reshape of a weight") { [$0.weight([6]).reshaped([2, 3])(.exp)] }

    for (axis, start, count) in [
        (0, 1, 2), (0, 0, 3), (1, 0, 1), (1, 4, 1), (1, 1, 3), (2, 0, 1), (2, 31, 2), (2, 1, 31),
    ] {
        OpCase("slice axis \(axis) from \(start), \(count)") { [$0.real([3, 5, 33]).slice(axis, start, count)] }
    }
    OpCase("slice of indices") { [$0.index(.tokens, [9], below: 99).slice(0, 3, 4)] }
    OpCase("slice of a weight") { [$0.weight([3, 33]).columns(1, 31)(.exp)] }

    for axis in 0..<3 {
        OpCase("concatenate axis \(axis)") {
            let shape: Shape = [3, 2, 33]
            let (a, b, c) = (
                $0.real(shape), $0.real(shape.replacing(axis, with: 1)), $0.real(shape.replacing(axis, with: 5))
            )
            return [$0.graph.apply(.concatenate(axis: axis), a, b, c)]
        }
    }
    OpCase("concatenate one") { [$0.graph.apply(.concatenate(axis: 0), [$0.real([3])])] }
    OpCase("concatenate a value with itself") {
        let x = $0.real([3, 5])
        return [x.joined(x)]
    }

    let targets: [(Shape, Shape)] = [
        ([33], [3, 33]), ([1], [3, 33]), ([], [31]), ([3, 1], [3, 33]), ([1, 33], [3, 33]), ([1, 3, 1], [2, 3, 5]),
        ([2, 1, 5], [2, 3, 5]), ([3, 5], [2, 3, 5]), ([2, 3, 5], [2, 3, 5]),
    ]
    for (from, to) in targets {
        OpCase("broadcast \(from) to \(to)") { [$0.graph.apply(.broadcast(to), $0.real(from))] }
    }
    OpCase("constant") { [$0.graph.apply(.constant([0, -1.5, 1e-5, 1e30]))] }
}

// MARK: Reductions and norms

private let reductionCases: [OpCase] = cases {
    for axis in 0..<3 { OpCase("sum axis \(axis)") { [$0.real([3, 5, 33]).sum(axis)] } }
    OpCase("sum of extent one") { [$0.real([3, 1]).sum(1)] }

    for kind in Norm.allCases {
        for d in [1, 3, 33, 65, 256] {
            OpCase("norm \(kind.rawValue) of \(d)") { [$0.real([3, 2, d]).norm(kind, 1e-5)] }
        }
        for (weight, bias) in [(true, false), (false, true), (true, true)] {
            OpCase("norm \(kind.rawValue)\(weight ? ", weight" : "")\(bias ? ", bias" : "")") {
                let x = $0.real([3, 33], in: -3...3)
                return [x.norm(kind, 0.25, weight ? $0.weight([33]) : nil, bias ? $0.weight([33]) : nil)]
            }
        }
        OpCase("norm \(kind.rawValue) of zeros") {
            [$0.real([2, 5]) { _ in Array(repeating: 0, count: 10) }.norm(kind, 1e-6)]
        }
    }
    for (groups, d) in [(1, 1), (1, 33), (3, 33), (2, 64), (65, 65)] {
        OpCase("groupNorm of \(d) in \(groups)") {
            let x = $0.real([7, d], in: -3...3)
            let sequences = $0.index(.sequences, [7]) { _ in [1, 2, 1, 1, 2, 4, 1] }
            return [$0.graph.apply(.groupNorm(groups: groups, epsilon: 0.25), x, sequences)]
        }
    }
    for d in [1, 3, 31, 33, 65, 257] { OpCase("softmax of \(d)") { [$0.real([3, d], in: -4...4).softmax()] } }
    OpCase("softmax far out") { [$0.real([2, 3, 33], in: -300...300).softmax()] }
}

// MARK: Positions

private let positionCases: [OpCase] = cases {
    for pairing in [Rope.Pairing.normal, .neox] {
        let ropes: [(String, Rope, Int)] = [
            ("2 of 2", Rope(pairing: pairing, dimensions: 2, base: 10000), 2),
            ("6 of 6", Rope(pairing: pairing, dimensions: 6, base: 10000), 6),
            ("64 of 96 from 0", Rope(pairing: pairing, dimensions: 64, base: 10000), 96),
            ("66 of 97 from 31", Rope(pairing: pairing, dimensions: 66, offset: 31, base: 500), 97),
            ("linear scaling", Rope(pairing: pairing, dimensions: 40, base: 10000, frequencyScale: 0.25), 40),
            ("magnitude", Rope(pairing: pairing, dimensions: 10, base: 10000, magnitude: 1.3), 10),
            (
                "YaRN",
                Rope(
                    pairing: pairing, dimensions: 64, base: 10000, frequencyScale: 0.125, extrapolation: 1,
                    magnitude: 1.2, betaFast: 32, betaSlow: 1, originalContext: 64), 64
            ),
            (
                "YaRN with ends between pairs",
                Rope(
                    pairing: pairing, dimensions: 64, base: 150_000, frequencyScale: 0.125, extrapolation: 1,
                    roundsRamp: false, originalContext: 4096), 64
            ),
            (
                "half YaRN",
                Rope(
                    pairing: pairing, dimensions: 32, base: 1000, frequencyScale: 0.5, extrapolation: 0.5,
                    betaFast: 8, betaSlow: 0.5, originalContext: 128), 33
            ),
        ]
        for (what, rope, d) in ropes {
            for factors in [false, true] {
                OpCase("rope \(pairing.rawValue) \(what)\(factors ? ", factors" : "")") {
                    let x = $0.real([3, 3, d])
                    let positions = $0.index(.positions, [3]) { _ in [0, 1, 97] }
                    let divisors = factors ? [$0.weight([rope.dimensions / 2], in: 1...8)] : []
                    return [$0.graph.apply(.rope(rope, factors: factors), [x, positions] + divisors)]
                }
            }
        }
        for sections in [
            Rope.Sections(.consecutive, pairs: [4, 3, 1, 2]), Rope.Sections(.consecutive, pairs: [1, 2, 0, 0]),
            Rope.Sections(.interleaved, pairs: [4, 3, 3]), Rope.Sections(.interleaved, pairs: [6, 1, 2]),
        ] {
            OpCase("rope \(pairing.rawValue) \(sections.layout.rawValue) sections \(sections.pairs)") {
                let positions = $0.index(.positions, [sections.pairs.count, 3]) { _ in
                    sections.pairs.indices.flatMap { [$0, 7 * $0 + 1, 97 - $0] }
                }
                let rope = Rope(pairing: pairing, dimensions: 20, base: 10000, sections: sections)
                return [$0.graph.apply(.rope(rope, factors: false), $0.real([3, 3, 20]), positions)]
            }
        }
        OpCase("rope \(pairing.rawValue) backwards") {
            let x = $0.real([2, 1, 8])
            let positions = $0.index(.shifts, [2]) { _ in [-5, 0] }
            return [
                $0.graph.apply(.rope(Rope(pairing: pairing, dimensions: 8, base: 10000), factors: false), x, positions)
            ]
        }
    }

    let windows: [Mask.Window] = [
        .unlimited, .sliding(1), .sliding(3), .sliding(100), .chunked(1), .chunked(4), .chunked(100),
        .symmetric(0), .symmetric(2), .symmetric(100),
    ]
    for causal in [true, false] {
        for window in windows {
            OpCase("mask \(causal ? "causal" : "full") \(window)") { [$0.mask(Mask(causal: causal, window: window))] }
        }
    }

    for heads in [1, 2, 3, 8, 12] {
        OpCase("alibi \(heads) heads") {
            let (positions, cells) = (
                $0.index(.positions, [3], below: 40), $0.index(.cellPositions, [33]) { _ in Array(-1..<32) }
            )
            return [$0.graph.apply(.alibi(heads: heads, maxBias: 8), positions, cells)]
        }
    }
    for bidirectional in [true, false] {
        for (buckets, maxDistance) in [(32, 128), (8, 128), (32, 20)] {
            OpCase("relativePositionBias \(buckets) to \(maxDistance)\(bidirectional ? " bidirectional" : "")") {
                let (positions, cells) = (
                    $0.index(.positions, [4]) { _ in [0, 3, 64, 200] },
                    $0.index(.cellPositions, [33]) { _ in (0..<33).map { $0 * 7 - 1 } }
                )
                let op = Op.relativePositionBias(bidirectional: bidirectional, maxDistance: maxDistance)
                return [$0.graph.apply(op, $0.weight([buckets, 3]), positions, cells)]
            }
        }
    }
    for length in [1, 4, 100] {
        OpCase("windowPosition of \(length)") { operands in
            let positions = operands.index(.cellPositions, [33]) { _ in Array(-1..<32) }
            return [WindowPart.start, .offset].map { operands.graph.apply(
                .windowPosition(length: length, $0), positions) }
        }
    }
    for others in [nil, 0] {
        OpCase("replace, others \(others.map { "by \($0)" } ?? "kept")") { operands in
            let tokens = operands.index(.tokens, [9]) { _ in Array(0..<9) }
            let table = IndexTable([3, 0, 8, 3], to: [5, 7, 1, 2], others: others)
            return [operands.graph.apply(.replace(table), tokens)]
        }
    }
    OpCase("attentionTemperature") {
        let positions = $0.index(.positions, [6]) { _ in [0, 6, 7, 8, 100, 8191] }
        return [$0.graph.apply(.attentionTemperature(scale: 0.1, length: 8, offset: 1), positions)]
    }
}

extension Operands {
    /// A mask of 5 tokens of three sequences over 9 cells, some empty, one shared; token 4 sees nothing
    /// if it may see its own past only.
    fileprivate func mask(_ mask: Mask) -> Value {
        let positions = index(.positions, [5]) { _ in [0, 4, 5, 9, 2] }
        let sequences = index(.sequences, [5]) { _ in [1, 1, 2, 3, 4] }
        let cellPositions = index(.cellPositions, [9]) { _ in [0, 4, 5, 9, 3, -1, 8, 1, 7] }
        let cellSequences = index(.cellSequences, [9]) { _ in [1, 1, 2, 3, 3, 0, 2, 1, 4] }
        return graph.apply(.mask(mask), positions, sequences, cellPositions, cellSequences)
    }
}

// MARK: Attention

private struct AttentionCase {
    var name: String
    var tokens = 5
    var cells = 9
    var heads = 3
    var keyHeads = 1
    var keySize = 32
    var valueSize = 32
    /// Of each value row, of which the first `valueSize` elements are used.
    var storedValueSize: Int?
    var softcap: Double?
    var bias = false
    var sinks = false

    /// Every third token's mask is empty where `emptyRows`.
    var emptyRows = false

    var opCase: OpCase {
        OpCase("attention " + name) { o in
            let stored = storedValueSize ?? valueSize
            let q = o.real([tokens, heads, keySize], in: -2...2)
            let k = o.real([cells, keyHeads, keySize])
            let v = o.real([cells, keyHeads, stored])
            let mask = o.real([tokens, cells]) { _ in
                (0..<tokens).flatMap { t in
                    (0..<cells).map { c in
                        emptyRows && t % 3 == 0 || c != t % cells && o.random(below: 3) == 0 ? -.infinity : 0
                    }
                }
            }
            let score = bias ? [o.real([heads, tokens, cells])] : []
            let sink = sinks ? [o.weight([heads], in: -2...2)] : []
            let attention = Attention(
                scale: 1 / Double(keySize).squareRoot(), softcap: softcap, valueSize: valueSize, bias: bias,
                sinks: sinks)
            return [o.graph.apply(.attention(attention), [q, k, v, mask] + score + sink)]
        }
    }
}

private let attentionCases: [OpCase] =
    [
        AttentionCase(name: "of one", tokens: 1, cells: 1, heads: 1, keySize: 1, valueSize: 1),
        AttentionCase(name: "ratio 1", heads: 3, keyHeads: 3),
        AttentionCase(name: "ratio 3", heads: 6, keyHeads: 2),
        AttentionCase(name: "ratio 7", heads: 7, keyHeads: 1),
        AttentionCase(name: "1 token, 65 cells", tokens: 1, cells: 65, keySize: 40, valueSize: 40),
        AttentionCase(name: "33 tokens, 33 cells", tokens: 33, cells: 33, heads: 2, keySize: 64, valueSize: 64),
        AttentionCase(name: "31 tokens, 128 cells", tokens: 31, cells: 128, heads: 2, keySize: 80, valueSize: 80),
        AttentionCase(name: "3 tokens, 300 cells", tokens: 3, cells: 300, heads: 2, keySize: 16, valueSize: 16),
        AttentionCase(name: "head size 3", keySize: 3, valueSize: 3),
        AttentionCase(name: "head size 192 and 128", tokens: 2, keySize: 192, valueSize: 128),
        AttentionCase(name: "head size 256", tokens: 2, heads: 1, keySize: 256, valueSize: 256),
        AttentionCase(name: "leading elements of values", keySize: 48, valueSize: 33, storedValueSize: 48),
        AttentionCase(name: "softcap", softcap: 0.5),
        AttentionCase(name: "bias", bias: true),
        AttentionCase(name: "sinks", sinks: true),
        AttentionCase(name: "softcap, bias, sinks", heads: 6, keyHeads: 2, softcap: 2, bias: true, sinks: true),
        AttentionCase(name: "empty rows", emptyRows: true),
        AttentionCase(name: "empty rows, bias, sinks", bias: true, sinks: true, emptyRows: true),
    ].map(\.opCase)
    + cases {
        OpCase("attention under a mask of the graph") {
            let q = $0.real([5, 4, 20])
            let k = $0.real([9, 2, 20])
            let v = $0.real([9, 2, 20])
            let mask = $0.mask(Mask(causal: true, window: .sliding(4)))
            return [$0.graph.apply(.attention(Attention(scale: 0.3, valueSize: 20)), q, k, v, mask)]
        }
        OpCase("attention with ALiBi") {
            let q = $0.real([5, 3, 20])
            let k = $0.real([9, 3, 20])
            let v = $0.real([9, 3, 20])
            let mask = $0.mask(Mask(causal: true))
            let bias = $0.graph.apply(.alibi(heads: 3, maxBias: 8), $0.graph.positions(5), $0.graph.cellPositions(9))
            return [$0.graph.apply(.attention(Attention(scale: 0.3, valueSize: 20, bias: true)), q, k, v, mask, bias)]
        }
    }

// MARK: Attention to the best cells

private let indexCases: [OpCase] = cases {
    for (tokens, heads, size, cells) in [(1, 1, 1, 1), (5, 3, 33, 9), (3, 4, 64, 65), (33, 2, 16, 33)] {
        OpCase("indexScores of \(tokens) tokens, \(heads) heads of \(size), \(cells) cells") { o in
            let mask = o.real([tokens, cells]) { _ in
                (0..<tokens * cells).map { _ in o.random(below: 3) == 0 ? -.infinity : 0 }
            }
            let (queries, keys) = (o.real([tokens, heads, size]), o.real([cells, 1, size]))
            return [o.graph.apply(.indexScores, queries, keys, o.real([tokens, heads]), mask)]
        }
    }
    for (count, cells) in [(1, 1), (1, 9), (4, 33), (33, 33), (64, 33), (17, 65)] {
        OpCase("topCells \(count) of \(cells)") { [$0.graph.apply(.topCells(count: count), $0.real([5, cells]))] }
    }
    for (heads, selection) in [
        (1, BlockSelection(size: 1, count: 1, local: 1)), (3, BlockSelection(size: 4, count: 2, local: 1)),
        (2, BlockSelection(size: 2, count: 3, local: 0)), (1, BlockSelection(size: 3, count: 9, local: 2)),
    ] {
        OpCase("topBlocks \(selection.count) of \(selection.size), \(selection.local) local, \(heads) heads") { o in
            let scores = o.real([5, heads, 9])
            let mask = o.real([5, 9]) { _ in (0..<45).map { _ in o.random(below: 4) == 0 ? -.infinity : 0 } }
            let (positions, cells) = (o.index(.positions, [5], below: 9), o.index(.cellPositions, [9], below: 9))
            return [o.graph.apply(.topBlocks(selection), scores, mask, positions, cells)]
        }
    }
    OpCase("topCells of equal scores") {
        let scores = $0.real([3, 9]) { _ in
            [1, 3, 3, 0, 3, 2, 2, 3, 1] + Array(repeating: -1, count: 9) + [0, 0, -.infinity, 0, 0, 0, -.infinity, 0, 0]
        }
        return [$0.graph.apply(.topCells(count: 5), scores)]
    }
    OpCase("topCells of few and of none") {
        let scores = $0.real([3, 4]) { _ in
            [-.infinity, 1, -.infinity, -2] + Array(repeating: -.infinity, count: 4) + [5, 4, 3, 2]
        }
        return [$0.graph.apply(.topCells(count: 3), scores)]
    }
    OpCase("attention to the best cells") {
        let mask = $0.real([5, 9]) { _ in (0..<45).map { $0 % 9 <= $0 / 9 + 4 ? 0 : -.infinity } }
        let (queries, keys, weights) = ($0.real([5, 2, 16]), $0.real([9, 1, 16]), $0.real([5, 2]))
        let (q, k, v) = ($0.real([5, 4, 20]), $0.real([9, 2, 20]), $0.real([9, 2, 20]))
        let best = $0.graph.apply(.topCells(count: 2), $0.graph.apply(.indexScores, queries, keys, weights, mask))
        return [$0.graph.apply(.attention(Attention(scale: 0.3, valueSize: 20)), q, k, v, best)]
    }
}

extension GraphBuilder {
    fileprivate func positions(_ count: Int) -> Value { input(.positions, [count]) }
    fileprivate func cellPositions(_ count: Int) -> Value { input(.cellPositions, [count]) }
}

// MARK: Routing

private let routingCases: [OpCase] = cases {
    for (e, routing) in [
        (1, Routing(used: 1)), (3, Routing(used: 1)), (3, Routing(used: 3)), (33, Routing(used: 4)),
        (65, Routing(used: 65)),
        (256, Routing(used: 8)), (12, Routing(used: 3, groups: 4, groupsUsed: 2)),
        (12, Routing(used: 3, groups: 4, groupsUsed: 4)),
        (12, Routing(used: 3, groups: 4, groupsUsed: 2, groupBest: 1)),
        (12, Routing(used: 6, groups: 4, groupsUsed: 2)), (5, Routing(used: 2, groups: 5, groupsUsed: 3)),
        (6, Routing(used: 2, groups: 1, groupsUsed: 1)), (66, Routing(used: 6, groups: 3, groupsUsed: 1)),
    ] {
        let groups = "\(routing.groupsUsed) of \(routing.groups) groups by their \(routing.groupBest) best"
        OpCase("topExperts \(routing.used) of \(e), \(groups)") {
            [$0.graph.apply(.topExperts(routing), $0.real([7, e]))]
        }
    }
    OpCase("topExperts of equal scores") {
        let scores = $0.real([2, 9]) { _ in [1, 3, 3, 0, 3, 2, 2, 3, 1] + Array(repeating: -1, count: 9) }
        return [$0.graph.apply(.topExperts(Routing(used: 6)), scores)]
    }
    OpCase("topExperts of equal groups") {
        let scores = $0.real([2, 8]) { _ in [1, 0, 3, 2, 5, 0, 2, 3] + Array(repeating: 0, count: 8) }
        return [$0.graph.apply(.topExperts(Routing(used: 3, groups: 4, groupsUsed: 2)), scores)]
    }
    OpCase("topExperts of negative scores") {
        [$0.graph.apply(.topExperts(Routing(used: 2, groups: 3, groupsUsed: 2)), $0.real([5, 9], in: -9 ... -1))]
    }
    for (t, k, e) in [(1, 1, 1), (3, 1, 5), (3, 5, 5), (33, 4, 65)] {
        OpCase("takeExperts \(k) of \(e)") {
            let x = $0.real([t, e])
            return [$0.graph.apply(.takeExperts, x, $0.index(.tokens, [t, k], below: e))]
        }
    }
    for (count, columns) in [(1, 1), (1, 5), (5, 5), (33, 65)] {
        OpCase("spread of \(count) over \(columns)") { o in
            let places = (0..<count).map { Float((7 * $0 + 3) % columns) }
            return [o.graph.apply(.spread(columns: columns), o.real([3, count]), o.weight([count], .f32, places))]
        }
    }
    for (size, e) in [(1, 1), (2, 5), (3, 66), (64, 65)] {
        OpCase("expertGroups of \(size) of \(e)") {
            [$0.graph.apply(.expertGroups(size: size), $0.index(.tokens, [7, 3], below: e))]
        }
    }
    OpCase("experts chosen, and their groups multiplied") {
        let x = $0.real([5, 1, 32])
        let experts = $0.graph.apply(.topExperts(Routing(used: 3)), $0.real([5, 9]))
        let groups = $0.graph.apply(.expertGroups(size: 2), experts)
        return [groups, $0.graph.apply(.expertMatmul, x, $0.weight([5, 7, 32]), groups)]
    }
    OpCase("experts chosen, taken and multiplied") {
        let x = $0.real([5, 32])
        let scores = $0.real([5, 9])
        let experts = $0.graph.apply(.topExperts(Routing(used: 3)), scores)
        let weights = $0.graph.apply(.takeExperts, scores.softmax(), experts)
        let y = $0.graph.apply(.expertMatmul, x.reshaped([5, 1, 32]), $0.weight([9, 7, 32]), experts)
        return [experts, (y * weights.reshaped([5, 3, 1])).sum(1)]
    }
}

// MARK: Caches

private let cacheCases: [OpCase] = cases {
    for type in StateType.allCases where type.isNative {
        OpCase("store \(type.rawValue)", steps: 2, stateRows: 7, stateType: type) {
            let x = $0.real([3, 2, 5], in: -100...100)
            let cells = $0.index(.cells, [3]) { step in step == 0 ? [4, 0, 2] : [2, 5, 6] }
            let cache = $0.graph.state("cache", .cache, row: [2, 5])
            return [$0.graph.apply(.store(cache, cells: 6), x, cells)]
        }
        OpCase("load what was stored \(type.rawValue)", steps: 2, stateRows: 5, stateType: type) {
            let x = $0.real([2, 33], in: -100...100)
            let cells = $0.index(.cells, [2]) { step in step == 0 ? [0, 3] : [4, 1] }
            let cache = $0.graph.state("cache", .cache, row: [33])
            let stored = $0.graph.apply(.store(cache, cells: 5), x, cells)
            return [stored, $0.graph.apply(.load(cache, cells: 4), []) * 2]
        }
        OpCase("attention over stored keys and values \(type.rawValue)", steps: 3, stateRows: 8, stateType: type) {
            let q = $0.real([2, 6, 12])
            let k = $0.real([2, 2, 12])
            let v = $0.real([2, 2, 7])
            let cells = $0.index(.cells, [2]) { step in [2 * step, 2 * step + 1] }
            let mask = $0.real([2, 6]) { step in
                (0..<2).flatMap { t in (0..<6).map { $0 <= 2 * step + t ? 0 : -.infinity } }
            }
            let keys = $0.graph.state("k", .cache, row: [2, 12])
            let values = $0.graph.state("v", .cache, row: [2, 7])
            return [
                $0.graph.apply(
                    .attention(Attention(scale: 0.3, valueSize: 7)), q,
                    $0.graph.apply(.store(keys, cells: 6), k, cells),
                    $0.graph.apply(.store(values, cells: 6), v, cells), mask)
            ]
        }
        OpCase("one cache for keys and values \(type.rawValue)", steps: 2, stateRows: 4, stateType: type) {
            let q = $0.real([2, 3, 12])
            let kv = $0.real([2, 12])
            let cells = $0.index(.cells, [2]) { step in [2 * step, 2 * step + 1] }
            let mask = $0.real([2, 4]) { step in
                (0..<2).flatMap { t in (0..<4).map { $0 <= 2 * step + t ? 0 : -.infinity } }
            }
            let cache = $0.graph.state("kv", .cache, row: [12])
            let all = $0.graph.apply(.store(cache, cells: 4), kv, cells).reshaped([4, 1, 12])
            return [$0.graph.apply(.attention(Attention(scale: 0.3, valueSize: 8)), q, all, all, mask)]
        }
    }
}

// MARK: Recurrent states

/// Slots of tokens: one token, one sequence, and several whose tokens alternate.
private let slotPatterns: [(String, [Int])] = [
    ("one token", [2]), ("one sequence", Array(repeating: 1, count: 9)), ("three sequences", [0, 2, 2, 0, 3, 2, 0, 0]),
    ("33 tokens", Array(repeating: 0, count: 33)),
]

private let recurrentCases: [OpCase] = cases {
    for (what, slots) in slotPatterns {
        let t = slots.count
        for (d, taps) in [(1, 2), (33, 4), (65, 3)] {
            OpCase("convolution \(d)x\(taps), \(what)", steps: 2) {
                let x = $0.real([t, d])
                let slot = $0.index(.slots, [t]) { _ in slots }
                let state = $0.graph.state("conv", .recurrent, row: [taps - 1, d])
                return [$0.graph.apply(.convolution(state), x, $0.weight([d, taps]), slot)]
            }
        }
        OpCase("tokenShift, \(what)", steps: 2) {
            let x = $0.real([t, 33])
            let slot = $0.index(.slots, [t]) { _ in slots }
            return [$0.graph.apply(.tokenShift($0.graph.state("shift", .recurrent, row: [33])), x, slot)]
        }
        for (h, p, n, g, perState) in [
            (33, 1, 16, 1, true), (1, 1, 1, 1, true), (3, 5, 7, 1, false), (6, 33, 31, 2, false), (4, 3, 16, 4, true),
        ] {
            OpCase("selectiveScan H\(h) P\(p) N\(n) G\(g)\(perState ? " A a state" : ""), \(what)", steps: 2) {
                let x = $0.real([t, h, p])
                let delta = $0.real([t, h], in: -3...1)
                let b = $0.real([t, g, n])
                let c = $0.real([t, g, n])
                let slot = $0.index(.slots, [t]) { _ in slots }
                let a = $0.weight([h, perState ? n : 1], in: -4 ... -0.1)
                let state = $0.graph.state("ssm", .recurrent, row: [h, p, n])
                return [$0.graph.apply(.selectiveScan(state), x, delta, a, b, c, slot)]
            }
        }
        for (h, hk, s, perKey) in [
            (1, 1, 1, false), (3, 1, 5, false), (6, 2, 32, true), (2, 2, 33, true), (2, 1, 65, false),
        ] {
            OpCase("gatedDeltaRule H\(h) of \(hk) S\(s)\(perKey ? " gate a key" : ""), \(what)", steps: 2) {
                let q = $0.real([t, hk, s])
                let k = $0.real([t, hk, s], in: -0.3...0.3)
                let v = $0.real([t, h, s])
                let gate = $0.real([t, h, perKey ? s : 1], in: -1...0)
                let beta = $0.real([t, h], in: 0...1)
                let slot = $0.index(.slots, [t]) { _ in slots }
                let state = $0.graph.state("delta", .recurrent, row: [h, s, s])
                let op = Op.gatedDeltaRule(state, scale: 1 / Double(s).squareRoot())
                return [$0.graph.apply(op, q, k, v, gate, beta, slot)]
            }
        }
        for (h, s, perKey, bonus) in [
            (1, 1, false, false), (3, 5, true, true), (2, 32, false, true), (2, 33, true, false), (1, 65, true, true),
        ] {
            OpCase(
                "linearAttention H\(h) S\(s)\(perKey ? " gate a key" : "")\(bonus ? " bonus" : ""), \(what)",
                steps: 2) {
                let q = $0.real([t, h, s])
                let k = $0.real([t, h, s])
                let v = $0.real([t, h, s])
                let gate = $0.real([t, h, perKey ? s : 1], in: -1...0)
                let slot = $0.index(.slots, [t]) { _ in slots }
                let state = $0.graph.state("memory", .recurrent, row: [h, s, s])
                let own = bonus ? [$0.weight([h, s], in: -1...1)] : []
                return [$0.graph.apply(
                    .linearAttention(state, scale: 0.5, bonus: bonus), [q, k, v, gate] + own + [slot])]
            }
        }
        for (h, s) in [(1, 1), (3, 5), (2, 33), (1, 64)] {
            OpCase("wkv7 H\(h) S\(s), \(what)", steps: 2) {
                let shape: Shape = [t, h, s]
                let r = $0.real(shape)
                let w = $0.real(shape, in: 0.5...1)
                let k = $0.real(shape)
                let v = $0.real(shape)
                let a = $0.real(shape, in: -0.2...0.2)
                let b = $0.real(shape, in: -0.2...0.2)
                let slot = $0.index(.slots, [t]) { _ in slots }
                let state = $0.graph.state("wkv", .recurrent, row: [h, s, s])
                return [$0.graph.apply(.wkv7(state), r, w, k, v, a, b, slot)]
            }
        }
    }
}

// MARK: Output

private let outputCases: [OpCase] = cases {
    for (s, t, d) in [(1, 1, 1), (1, 33, 65), (3, 5, 33)] {
        OpCase("pool \(s)x\(t)x\(d)") {
            let x = $0.real([t, d])
            let weights = $0.real([s, t])
            return [$0.graph.apply(.pool, x, weights)]
        }
    }
}

// MARK: Loss and derivatives

private let derivativeCases: [OpCase] = cases {
    for (shape, axes) in [
        ([7], [0]), ([3, 65], [1, 0]), ([2, 3, 5], [2, 0, 1]), ([2, 3, 4, 5], [0, 2, 1, 3]),
    ] as [(Shape, [Int])] {
        OpCase("permute \(shape) by \(axes)") { [$0.graph.apply(.permute(axes: axes), $0.real(shape))] }
    }
    OpCase("permute of indices") {
        [$0.graph.apply(.permute(axes: [1, 0]), $0.index(.tokens, [3, 5], below: 9))]
    }
    for (rows, columns) in [(1, 1), (1, 65), (5, 33)] {
        OpCase("crossEntropy \(rows)x\(columns)") {
            let logits = $0.real([rows, columns], in: -5...5)
            return [$0.graph.apply(.crossEntropy, logits, $0.index(.targets, [rows], below: columns))]
        }
        OpCase("crossEntropyAdjoint \(rows)x\(columns)") {
            let logits = $0.real([rows, columns], in: -5...5), given = $0.real([1])
            return [$0.graph.apply(.crossEntropyAdjoint, logits, $0.index(.targets, [rows], below: columns), given)]
        }
    }
    for op in [Op.crossEntropy, .crossEntropyAdjoint] {
        OpCase("\(op.name) of rows that do not count") {
            let logits = $0.real([4, 3]) { _ in [1, 2, 3, 1, -.infinity, 2, 5, 4, 3, 0, 0, 0] }
            let given = op == .crossEntropy ? [] : [$0.real([1])]
            let targets = $0.index(.targets, [4]) { _ in [2, 1, -1, 0] }
            return [$0.graph.apply(op, [logits, targets] + given)]
        }
        OpCase("\(op.name) where no row counts") {
            let logits = $0.real([2, 3])
            let given = op == .crossEntropy ? [] : [$0.real([1])]
            return [$0.graph.apply(op, [logits, $0.index(.targets, [2]) { _ in [-1, -1] }] + given)]
        }
    }
    for (shape, indices, count) in [
        ([1], [1], 1), ([7, 33], [7], 3), ([3, 2, 5], [3, 2], 4), ([6, 3, 5], [6], 2),
    ] as [(Shape, Shape, Int)] {
        OpCase("scatterRows \(shape) by \(indices) over \(count)") {
            let x = $0.real(shape)
            return [$0.graph.apply(.scatterRows(count: count), x, $0.index(.tokens, indices, below: count))]
        }
    }
    for (rows, n, k, count) in [(1, 1, 1, 1), (7, 5, 33, 3), (33, 31, 3, 5)] {
        OpCase("scatterProducts \(rows) of \(n)x\(k) over \(count)") {
            let a = $0.real([rows, n]), b = $0.real([rows, k])
            return [$0.graph.apply(.scatterProducts(count: count), a, b, $0.index(.tokens, [rows], below: count))]
        }
    }
    for (t, h, c, sinks) in [(1, 1, 1, false), (1, 1, 1, true), (5, 3, 33, false), (3, 2, 7, true)] {
        OpCase("attentionWeights T\(t) H\(h) C\(c)\(sinks ? " sinks" : "")") {
            let scores = $0.real([t, h, c], in: -3...3)
            // The last token sees nothing.
            let mask = $0.real([t, c]) { _ in
                (0..<t * c).map { $0 / c == t - 1 && t > 1 || $0 % 3 == 1 ? -.infinity : Float($0 % 2) }
            }
            return [$0.graph.apply(.attentionWeights(sinks: sinks), [scores, mask] + (sinks ? [$0.real([h])] : []))]
        }
    }
    for kind in Norm.allCases {
        for shape in [[1, 1], [3, 33], [2, 3, 64]] as [Shape] {
            OpCase("normAdjoint \(kind.rawValue) \(shape)") {
                let x = $0.real(shape)
                return [$0.graph.apply(.normAdjoint(kind, epsilon: 1e-3), x, $0.real(shape))]
            }
        }
    }
    OpCase("normAdjoint of rows that are too short") {
        let x = $0.real([2, 4], in: -0.1...0.1)
        return [$0.graph.apply(.normAdjoint(.unit, epsilon: 1), x, $0.real([2, 4]))]
    }
    for (width, groups) in [(1, 1), (33, 3), (64, 32)] {
        OpCase("groupNormAdjoint \(width) in \(groups)") {
            let x = $0.real([5, width])
            let given = $0.real([5, width])
            let sequences = $0.index(.sequences, [5]) { _ in [1, 2, 1, 3, 2] }
            return [$0.graph.apply(.groupNormAdjoint(groups: groups, epsilon: 1e-3), x, sequences, given)]
        }
    }
    for pairing in [Rope.Pairing.normal, .neox] {
        OpCase("ropeFactorsAdjoint \(pairing.rawValue)") {
            let rope = Rope(pairing: pairing, dimensions: 6, offset: 1, base: 100, frequencyScale: 0.5)
            let turned = $0.real([5, 2, 8]), given = $0.real([5, 2, 8])
            let positions = $0.index(.positions, [5]) { _ in [0, 1, 7, 3, 12] }
            return [$0.graph.apply(.ropeFactorsAdjoint(rope), turned, given, positions, $0.weight([3], in: 0.5...2))]
        }
        OpCase("rope \(pairing.rawValue) reversed") {
            var rope = Rope(pairing: pairing, dimensions: 6, offset: 1, base: 100)
            rope.isReversed = true
            let x = $0.real([5, 2, 8])
            return [$0.graph.apply(.rope(rope, factors: false), x, $0.index(.positions, [5]) { _ in [0, 1, 7, 3, 12] })]
        }
    }
    for bidirectional in [false, true] {
        OpCase("relativePositionBiasAdjoint\(bidirectional ? " bidirectional" : "")") {
            let given = $0.real([3, 5, 7])
            let positions = $0.index(.positions, [5]) { _ in [0, 1, 7, 30, 12] }
            let cells = $0.index(.cellPositions, [7]) { _ in [0, 1, 7, 30, 12, 2, 90] }
            let op = Op.relativePositionBiasAdjoint(buckets: 8, bidirectional: bidirectional, maxDistance: 20)
            return [$0.graph.apply(op, given, positions, cells)]
        }
    }
    for (what, slots) in slotPatterns {
        for distance in [-2, -1, 1, 3] {
            OpCase("neighbours at \(distance), \(what)") {
                [$0.graph.apply(.neighbours(distance: distance), $0.index(.slots, [slots.count]) { _ in slots })]
            }
        }
        for (h, n, p, readsBefore) in [(1, 1, 1, false), (3, 5, 7, true), (2, 33, 5, false)] {
            OpCase("recurrenceAdjoint H\(h) N\(n) P\(p)\(readsBefore ? " read before" : ""), \(what)") {
                let (keys, values): (Shape, Shape) = ([slots.count, h, n], [slots.count, h, p])
                let r = $0.real(keys), w = $0.real(keys, in: 0.5...1), k = $0.real(keys), v = $0.real(values)
                let a = $0.real(keys, in: -0.2...0.2), b = $0.real(keys, in: -0.2...0.2), given = $0.real(values)
                let slot = $0.index(.slots, [slots.count]) { _ in slots }
                return [$0.graph.apply(.recurrenceAdjoint(readsBefore: readsBefore), r, w, k, v, a, b, given, slot)]
            }
        }
    }
}

// MARK: Lists

/// Lets a list of cases be written as loops.
@resultBuilder
private enum CaseList {
    static func buildExpression(_ opCase: OpCase) -> [OpCase] { [opCase] }
    static func buildBlock(_ parts: [OpCase]...) -> [OpCase] { parts.flatMap { $0 } }
    static func buildArray(_ parts: [[OpCase]]) -> [OpCase] { parts.flatMap { $0 } }
    static func buildOptional(_ part: [OpCase]?) -> [OpCase] { part ?? [] }
}

private func cases(@CaseList _ list: () -> [OpCase]) -> [OpCase] { list() }
