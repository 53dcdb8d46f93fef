import ModelGraph

/// Matrix products, and attention, which is two of them and a softmax.
extension Lowering {
    /// The extents and strides of `matmul.comp`.
    struct Product {
        var batches = 1
        var m, n, k: Int
        var xFirst = 0
        var xRow: Int
        var xBatch = 0
        var xShare = 1
        var yFirst = 0
        var yRow: Int
        var yBatch = 0
        var weightBatch = 0
        var weightShare = 1
        var weightRow, weightColumn: Int
        var skipsZeros = false
    }

    mutating func product(
        x: Dispatch.Binding, weight: Dispatch.Binding, experts: Dispatch.Binding?, y: Dispatch.Binding,
        _ product: Product
    ) {
        // Few rows, or a matrix for each: a tile of one row, else of 8 or 32, by 64.
        let isFlat = experts != nil || product.m < 6
        let (rows, columns, height) = isFlat ? (1, 1, 1) : product.m < 24 ? (1, 8, 8) : (4, 8, 8)
        let tilesM = (product.m + height * rows - 1) / (height * rows)
        let width = Self.group / height * columns
        let tilesN = (product.n + width - 1) / width
        let groups = tilesM * tilesN * product.batches
        let tile = [rows, columns, height].map { Dispatch.Constant.value(UInt32($0)) }
        append(
            .matmul,
            Dispatch.Constant.format(binding: 1) + [.flag(experts != nil)] + tile + [.flag(product.skipsZeros)],
            [x, weight, experts ?? x, y],
            [
                groups, tilesM, tilesN, product.m, product.n, product.k,
                product.xFirst, product.xRow, product.xBatch, product.xShare,
                product.yFirst, product.yRow, product.yBatch,
                product.weightBatch, product.weightShare, product.weightRow, product.weightColumn,
            ], [], groups: groups)
    }

    // MARK: Attention

    /// Scores, their softmax and the sums of values, for as many tokens at a time as the scratch memory
    /// holds.
    mutating func lower(
        _ attention: Attention, _ shapes: [Shape], queries: Dispatch.Binding, keys: Dispatch.Binding,
        values: Dispatch.Binding, mask: Dispatch.Binding, bias: Dispatch.Binding?, sinks: Dispatch.Binding?,
        result: Dispatch.Binding
    ) {
        let (tokens, heads, keySize) = (shapes[0][0], shapes[0][1], shapes[0][2])
        let (cells, keyHeads, valueStride) = (shapes[1][0], shapes[1][1], shapes[2][2])
        let part = Self.partTokens(shapes)
        let scratch = Dispatch.Place.arena(scratchStart, bytes: heads * part * cells * 4)
        for first in stride(from: 0, to: tokens, by: part) {
            let count = min(part, tokens - first)
            product(
                x: queries, weight: keys, experts: nil, y: .write(scratch),
                Product(
                    batches: heads, m: count, n: cells, k: keySize, xFirst: first * heads * keySize,
                    xRow: heads * keySize, xBatch: keySize, yRow: cells, yBatch: count * cells,
                    weightBatch: keySize, weightShare: heads / keyHeads, weightRow: keyHeads * keySize,
                    weightColumn: 1))
            rowwise(
                .attention,
                constants: [.flag(attention.softcap != nil), .flag(bias != nil), .flag(sinks != nil)],
                [.readWrite(scratch), mask, bias ?? mask, sinks ?? mask], rows: heads * count,
                [heads * count, count, first, tokens, cells], reals: [attention.scale, attention.softcap ?? 1])
            product(
                x: .read(scratch), weight: values, experts: nil, y: result,
                Product(
                    batches: heads, m: count, n: attention.valueSize, k: cells, xRow: cells,
                    xBatch: count * cells, yFirst: first * heads * attention.valueSize,
                    yRow: heads * attention.valueSize, yBatch: attention.valueSize, weightBatch: valueStride,
                    weightShare: heads / keyHeads, weightRow: 1, weightColumn: keyHeads * valueStride,
                    skipsZeros: true))
        }
    }

    /// Bytes of scores that are kept at once, unless those of one token are more.
    static let scratchBytes = 64 << 20

    static func partTokens(_ shapes: [Shape]) -> Int {
        min(shapes[0][0], max(1, scratchBytes / max(shapes[0][1] * shapes[1][0] * 4, 1)))
    }
}
