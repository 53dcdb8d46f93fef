/// The shape and element type of an op's result, or the reason why the operands do not fit.
extension Op {
    struct Mismatch: Error { var reason: String }

    /// - Parameter states: the states declared so far.
    func result(
        of operands: [Graph.ValueInfo], states: [State]
    ) throws(Mismatch) -> (shape: Shape, element: Element) {
        let check = Check(operands: operands)
        let shapes = check.shapes

        switch self {
        case .rows:
            try check.count(2)
            try check.require(operands[1].element == .index, "the second operand must be indices")
            let dimensions = shapes[1].dimensions + shapes[0].dimensions.dropFirst()
            try check.require(dimensions.count <= Shape.greatestRank, "rows in \(dimensions.count) dimensions")
            return (Shape(dimensions), operands[0].element)
        case .matmul:
            try check.reals(2)
            try check.require(shapes[1].rank == 2, "the weight must be a matrix, not \(shapes[1])")
            try check.equal(shapes[0].last, shapes[1][1], "columns of the input and of the weight")
            return (shapes[0].replacingLast(with: shapes[1][0]), .real)
        case .expertMatmul:
            try check.count(3)
            try check.ranks(3, 3, 2)
            try check.require(operands[2].element == .index, "experts must be indices")
            try check.equal(shapes[0][0], shapes[2][0], "tokens of the input and of the selection")
            try check.require(
                [1, shapes[2][1]].contains(shapes[0][1]),
                "\(shapes[0]) has neither one row nor one for each expert of \(shapes[2])")
            try check.equal(shapes[0][2], shapes[1][2], "columns of the input and of the weight")
            return ([shapes[2][0], shapes[2][1], shapes[1][1]], .real)
        case .headMatmul:
            try check.reals(2)
            try check.ranks(3, 3)
            try check.equal(shapes[0][1], shapes[1][0], "heads")
            try check.equal(shapes[0][2], shapes[1][2], "columns of the input and of the weight")
            return (shapes[0].replacing(2, with: shapes[1][1]), .real)

        case .unary, .affine, .clamp, .softcap, .xielu, .softmax:
            try check.reals(1)
            return (shapes[0], .real)
        case .binary:
            try check.reals(2)
            try check.require(shapes[1].broadcasts(to: shapes[0]), "\(shapes[1]) does not broadcast to \(shapes[0])")
            return (shapes[0], .real)
        case .gated:
            try check.reals(2)
            try check.require(shapes[0] == shapes[1], "gate \(shapes[0]) and input \(shapes[1]) differ")
            return (shapes[0], .real)
        case .reshape(let target):
            try check.count(1)
            try check.require(shapes[0].count == target.count, "\(shapes[0]) has not as many elements as \(target)")
            return (target, operands[0].element)
        case .slice(let axis, let start, let count):
            try check.count(1)
            try check.axis(axis)
            try check.require(
                start >= 0 && count > 0 && start + count <= shapes[0][axis],
                "elements \(start) ..< \(start + count) of an axis of \(shapes[0][axis])")
            return (shapes[0].replacing(axis, with: count), operands[0].element)
        case .concatenate(let axis):
            try check.require(!operands.isEmpty, "needs an operand")
            try check.axis(axis)
            for shape in shapes.dropFirst() {
                try check.require(
                    shape.rank == shapes[0].rank && shape.replacing(axis, with: 1) == shapes[0].replacing(
                        axis, with: 1),
                    "\(shape) does not join \(shapes[0]) along axis \(axis)")
            }
            return (shapes[0].replacing(axis, with: shapes.reduce(0) { $0 + $1[axis] }), operands[0].element)
        case .broadcast(let target):
            try check.reals(1)
            try check.require(shapes[0].broadcasts(to: target), "\(shapes[0]) does not broadcast to \(target)")
            return (target, .real)
        case .constant(let numbers):
            try check.count(0)
            try check.require(!numbers.isEmpty, "no numbers")
            return ([numbers.count], .real)

        case .sum(let axis):
            try check.reals(1)
            try check.axis(axis)
            return (shapes[0].replacing(axis, with: 1), .real)
        case .norm(_, _, let weight, let bias):
            try check.reals(1 + (weight ? 1 : 0) + (bias ? 1 : 0))
            for parameter in shapes.dropFirst() {
                try check.require(parameter == [shapes[0].last], "parameter \(parameter) for rows of \(shapes[0].last)")
            }
            return (shapes[0], .real)

        case .groupNorm(let groups, _):
            try check.count(2)
            try check.rank(0, 2)
            try check.tokens(1, shapes[0][0])
            try check.require(groups > 0 && shapes[0][1] % groups == 0, "\(groups) groups of \(shapes[0][1]) columns")
            return (shapes[0], .real)

        case .rope(let rope, let factors):
            try check.count(factors ? 3 : 2)
            try check.rank(0, 3)
            if let sections = rope.sections, shapes[1].rank == 2 {
                try check.require(
                    operands[1].element == .index && shapes[1] == [sections.pairs.count, shapes[0][0]],
                    "positions \(shapes[1]) of \(shapes[0][0]) tokens in \(sections.pairs.count) sections")
            } else {
                try check.tokens(1, shapes[0][0])
            }
            try check.require(
                rope.dimensions > 0 && rope.dimensions % 2 == 0, "\(rope.dimensions) rotated elements: must be even")
            try check.require(
                rope.offset >= 0 && rope.offset + rope.dimensions <= shapes[0][2],
                "rotates \(rope.offset) ..< \(rope.offset + rope.dimensions) of heads of \(shapes[0][2])")
            if factors { try check.require(
                shapes[2] == [rope.dimensions / 2], "factors \(shapes[2]) for \(rope.dimensions / 2) pairs") }
            return (shapes[0], .real)
        case .mask(let mask):
            try check.indices(4)
            switch mask.window {
            // Where later cells are seen, a window may begin at one of them.
            case .sliding(let extent): try check.require(extent > 0 || !mask.causal, "a window of \(extent)")
            case .chunked(let extent): try check.require(extent > 0, "a window of \(extent)")
            case .symmetric(let extent): try check.require(extent >= 0, "a window of \(extent) either way")
            case .unlimited: break
            }
            try check.require(shapes.allSatisfy { $0.rank == 1 }, "operands must be vectors")
            try check.equal(shapes[0][0], shapes[1][0], "tokens")
            try check.equal(shapes[2][0], shapes[3][0], "cells")
            return ([shapes[0][0], shapes[2][0]], .real)
        case .alibi(let heads, _):
            try check.indices(2)
            try check.ranks(1, 1)
            return ([heads, shapes[0][0], shapes[1][0]], .real)
        case .relativePositionBias:
            try check.count(3)
            try check.ranks(2, 1, 1)
            return ([shapes[0][1], shapes[1][0], shapes[2][0]], .real)
        case .attention(let attention):
            try check.reals(4 + (attention.bias ? 1 : 0) + (attention.sinks ? 1 : 0))
            let (q, k, v, mask) = (shapes[0], shapes[1], shapes[2], shapes[3])
            try check.require(
                [q, k, v].allSatisfy { $0.rank == 3 } && mask.rank == 2,
                "queries \(q), keys \(k), values \(v), mask \(mask)")
            try check.equal(q[2], k[2], "head sizes of queries and keys")
            try check.require(k[0] == v[0] && k[1] == v[1], "keys \(k) and values \(v) differ in cells or heads")
            try check.require(k[1] > 0 && q[1] % k[1] == 0, "\(q[1]) query heads do not divide among \(k[1]) key heads")
            try check.require(
                attention.valueSize > 0 && attention.valueSize <= v[2],
                "value size \(attention.valueSize) of heads of \(v[2])")
            try check.require(mask == [q[0], k[0]], "mask \(mask) for \(q[0]) tokens and \(k[0]) cells")
            if attention.bias { try check.require(shapes[4] == [q[1], q[0], k[0]], "bias \(shapes[4])") }
            if attention.sinks { try check.require(
                shapes[shapes.count - 1] == [q[1]], "sinks \(shapes[shapes.count - 1]) for \(q[1]) heads") }
            return ([q[0], q[1], attention.valueSize], .real)
        case .attentionTemperature:
            try check.indices(1)
            return ([shapes[0][0], 1, 1], .real)
        case .indexScores:
            try check.reals(4)
            let (q, k, weights, mask) = (shapes[0], shapes[1], shapes[2], shapes[3])
            try check.require(
                q.rank == 3 && k.rank == 3 && k[1] == 1 && q[2] == k[2], "queries \(q) and keys \(k) of one head")
            try check.require(weights == [q[0], q[1]], "weights \(weights) for queries \(q)")
            try check.require(mask == [q[0], k[0]], "mask \(mask) for \(q[0]) tokens and \(k[0]) cells")
            return (mask, .real)
        case .topCells(let count):
            try check.reals(1)
            try check.rank(0, 2)
            try check.require(count > 0, "the best \(count) cells")
            return (shapes[0], .real)
        case .topBlocks(let selection):
            try check.count(4)
            try check.ranks(3, 2, 1, 1)
            let scores = shapes[0]
            try check.require(
                shapes[1] == [scores[0], scores[2]] && shapes[3] == [scores[2]],
                "mask \(shapes[1]) and cells \(shapes[3]) for scores \(scores)")
            try check.tokens(2, scores[0])
            try check.require(
                selection.size > 0 && selection.local >= 0 && selection.count >= max(1, selection.local),
                "\(selection.count) blocks of \(selection.size), \(selection.local) of them local")
            return ([scores[1], scores[0], scores[2]], .real)
        case .windowPosition(let length, _):
            try check.indices(1)
            try check.rank(0, 1)
            try check.require(length > 0, "windows of \(length)")
            return (shapes[0], .index)
        case .replace:
            try check.indices(1)
            try check.rank(0, 1)
            return (shapes[0], .index)

        case .topExperts(let routing):
            try check.reals(1)
            try check.rank(0, 2)
            let experts = shapes[0][1]
            try check.require(
                routing.groups > 0 && experts % routing.groups == 0
                    && (1...routing.groups).contains(routing.groupsUsed),
                "\(experts) experts in \(routing.groups) groups of which \(routing.groupsUsed) are used")
            try check.require(
                (1...2).contains(routing.groupBest), "a group's score is that of its \(routing.groupBest) best experts")
            let eligible = experts / routing.groups * routing.groupsUsed
            try check.require((1...eligible).contains(routing.used), "\(routing.used) of \(eligible) experts")
            return ([shapes[0][0], routing.used], .index)
        case .takeExperts:
            try check.count(2)
            try check.ranks(2, 2)
            try check.equal(shapes[0][0], shapes[1][0], "tokens")
            return (shapes[1], .real)
        case .expertGroups(let size):
            try check.indices(1)
            try check.rank(0, 2)
            try check.require(size > 0, "groups of \(size) experts")
            return (shapes[0], .index)

        case .store(let id, let cells):
            try check.count(2)
            let row = try check.state(id, in: states, .cache)
            try check.require(shapes[0].dropFirst() == row, "rows of \(shapes[0]) in a cache of \(row)")
            try check.tokens(1, shapes[0][0])
            return (row.repeated(cells), .real)
        case .load(let id, let cells):
            try check.count(0)
            let row = try check.state(id, in: states, .cache)
            return (row.repeated(cells), .real)
        case .convolution(let id):
            try check.count(3)
            try check.ranks(2, 2, 1)
            try check.equal(shapes[0][1], shapes[1][0], "channels of the input and of the kernel")
            try check.tokens(2, shapes[0][0])
            let row = try check.state(id, in: states, .recurrent)
            try check.require(row == [shapes[1][1] - 1, shapes[0][1]], "state \(row) for a kernel of \(shapes[1])")
            return (shapes[0], .real)
        case .tokenShift(let id):
            try check.count(2)
            try check.rank(0, 2)
            try check.tokens(1, shapes[0][0])
            let row = try check.state(id, in: states, .recurrent)
            try check.require(row == [shapes[0][1]], "state \(row) for rows of \(shapes[0][1])")
            return (shapes[0], .real)
        case .selectiveScan(let id):
            try check.count(6)
            try check.ranks(3, 2, 2, 3, 3, 1)
            let (x, b) = (shapes[0], shapes[3])
            try check.require(shapes[1] == [x[0], x[1]], "time steps \(shapes[1]) for \(x)")
            try check.require(
                shapes[2][0] == x[1] && [1, b[2]].contains(shapes[2][1]),
                "decay \(shapes[2]) for \(x[1]) heads and state size \(b[2])")
            try check.require(
                b == shapes[4] && b[0] == x[0] && b[1] > 0 && x[1] % b[1] == 0, "B \(b) and C \(shapes[4]) for \(x)")
            try check.tokens(5, x[0])
            let row = try check.state(id, in: states, .recurrent)
            try check.require(row == [x[1], x[2], b[2]], "state \(row)")
            return (x, .real)
        case .gatedDeltaRule(let id, _):
            try check.count(6)
            try check.ranks(3, 3, 3, 3, 2, 1)
            let (q, v, g) = (shapes[0], shapes[2], shapes[3])
            try check.require(
                q == shapes[1] && q[0] == v[0] && q[2] == v[2], "queries \(q), keys \(shapes[1]), values \(v)")
            try check.require(q[1] > 0 && v[1] % q[1] == 0, "\(v[1]) value heads do not divide among \(q[1]) key heads")
            try check.require(g[0] == v[0] && g[1] == v[1] && [1, v[2]].contains(g[2]), "gate \(g) for values \(v)")
            try check.require(shapes[4] == [v[0], v[1]], "β \(shapes[4]) for values \(v)")
            try check.tokens(5, v[0])
            let row = try check.state(id, in: states, .recurrent)
            try check.require(row == [v[1], v[2], v[2]], "state \(row)")
            return (v, .real)
        case .linearAttention(let id, _, let bonus):
            try check.count(bonus ? 6 : 5)
            try check.rank(0, 3)
            let (q, g) = (shapes[0], shapes[3])
            try check.require(q == shapes[1] && q == shapes[2], "queries \(q), keys \(shapes[1]), values \(shapes[2])")
            try check.require(g == q || g == q.replacing(2, with: 1), "gate \(g) for queries \(q)")
            if bonus { try check.require(shapes[4] == q.dropFirst(), "bonus \(shapes[4]) for queries \(q)") }
            try check.tokens(bonus ? 5 : 4, q[0])
            let row = try check.state(id, in: states, .recurrent)
            try check.require(row == [q[1], q[2], q[2]], "state \(row)")
            return (q, .real)
        case .wkv7(let id):
            try check.count(7)
            try check.rank(0, 3)
            try check.require(shapes[0..<6].allSatisfy { $0 == shapes[0] }, "operands differ in shape")
            try check.tokens(6, shapes[0][0])
            let row = try check.state(id, in: states, .recurrent)
            try check.require(row == [shapes[0][1], shapes[0][2], shapes[0][2]], "state \(row)")
            return (shapes[0], .real)

        case .spread(let columns):
            try check.reals(2)
            try check.ranks(2, 1)
            try check.equal(shapes[0][1], shapes[1][0], "columns")
            try check.require(columns >= shapes[1][0], "\(shapes[1][0]) columns among \(columns)")
            return ([shapes[0][0], columns], .real)
        case .pool:
            try check.reals(2)
            try check.ranks(2, 2)
            try check.equal(shapes[0][0], shapes[1][1], "tokens")
            return ([shapes[1][0], shapes[0][1]], .real)

        case .permute(let axes):
            try check.count(1)
            try check.require(axes.sorted() == Array(0..<shapes[0].rank), "axes \(axes) of \(shapes[0])")
            return (Shape(axes.map { shapes[0][$0] }), operands[0].element)
        case .crossEntropy, .crossEntropyAdjoint:
            let isAdjoint = self == .crossEntropyAdjoint
            try check.count(isAdjoint ? 3 : 2)
            try check.rank(0, 2)
            try check.tokens(1, shapes[0][0])
            if isAdjoint { try check.require(shapes[2] == [1], "\(shapes[2]) for one number") }
            return (isAdjoint ? shapes[0] : [1], .real)
        case .scatterRows(let count):
            try check.count(2)
            let (x, indices) = (shapes[0].dimensions, shapes[1].dimensions)
            try check.require(
                operands[1].element == .index && x.count >= indices.count && Array(x.prefix(indices.count)) == indices,
                "indices \(shapes[1]) of rows \(shapes[0])")
            try check.require(count > 0, "\(count) rows")
            return (Shape([count] + x.dropFirst(indices.count)), .real)
        case .scatterProducts(let count):
            try check.count(3)
            try check.ranks(2, 2, 1)
            try check.equal(shapes[0][0], shapes[1][0], "rows")
            try check.tokens(2, shapes[0][0])
            try check.require(count > 0, "\(count) matrices")
            return ([count, shapes[0][1], shapes[1][1]], .real)
        case .attentionWeights(let sinks):
            try check.reals(sinks ? 3 : 2)
            try check.ranks(3, 2)
            let scores = shapes[0]
            try check.require(shapes[1] == [scores[0], scores[2]], "mask \(shapes[1]) for scores \(scores)")
            if sinks { try check.require(shapes[2] == [scores[1]], "sinks \(shapes[2]) for \(scores[1]) heads") }
            return (scores, .real)
        case .normAdjoint:
            try check.reals(2)
            try check.require(shapes[0] == shapes[1], "an adjoint of \(shapes[1]) for \(shapes[0])")
            return (shapes[0], .real)
        case .groupNormAdjoint(let groups, _):
            try check.count(3)
            try check.rank(0, 2)
            try check.tokens(1, shapes[0][0])
            try check.require(groups > 0 && shapes[0][1] % groups == 0, "\(groups) groups of \(shapes[0][1]) columns")
            try check.require(shapes[0] == shapes[2], "an adjoint of \(shapes[2]) for \(shapes[0])")
            return (shapes[0], .real)
        case .ropeFactorsAdjoint(let rope):
            try check.count(4)
            try check.rank(0, 3)
            try check.require(shapes[0] == shapes[1], "an adjoint of \(shapes[1]) for \(shapes[0])")
            try check.require(
                operands[2].element == .index && shapes[2].last == shapes[0][0],
                "positions \(shapes[2]) of \(shapes[0][0]) tokens")
            let pairs = rope.dimensions / 2
            try check.require(shapes[3] == [pairs], "factors \(shapes[3]) for \(pairs) pairs")
            return (shapes[3], .real)
        case .relativePositionBiasAdjoint(let buckets, _, _):
            try check.count(3)
            try check.ranks(3, 1, 1)
            try check.require(shapes[0].dropFirst() == [shapes[1][0], shapes[2][0]], "an adjoint of \(shapes[0])")
            return ([buckets, shapes[0][0]], .real)
        case .neighbours:
            try check.indices(1)
            try check.rank(0, 1)
            return (shapes[0], .index)
        case .recurrenceAdjoint:
            try check.count(8)
            let (r, v) = (shapes[0], shapes[3])
            try check.require(
                r.rank == 3 && [1, 2, 4, 5].allSatisfy { shapes[$0] == r } && v.rank == 3 && shapes[6] == v
                    && v[0] == r[0] && v[1] == r[1], "operands differ in shape")
            try check.tokens(7, r[0])
            return ([r[0], r[1], 5 * r[2] + v[2]], .real)
        }
    }

    /// The op's name as errors and listings show it: the case's own, without attributes.
    public var name: String {
        let text = String(describing: self)
        return String(text.prefix { $0 != "(" })
    }
}

private struct Check {
    let operands: [Graph.ValueInfo]
    // Views: this is asked for every op of every graph.
    var shapes: LazyMapCollection<[Graph.ValueInfo], Shape> { operands.lazy.map { $0.shape } }
    var elements: LazyMapCollection<[Graph.ValueInfo], Element> { operands.lazy.map { $0.element } }

    func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(Op.Mismatch) {
        if !condition { throw Op.Mismatch(reason: reason()) }
    }
    func count(_ n: Int) throws(Op.Mismatch) {
        try require(shapes.count == n, "\(shapes.count) operands where \(n) are needed")
    }
    func reals(_ n: Int) throws(Op.Mismatch) {
        try count(n)
        try require(elements.allSatisfy { $0 == .real }, "operands must be real")
    }
    func indices(_ n: Int) throws(Op.Mismatch) {
        try count(n)
        try require(elements.allSatisfy { $0 == .index }, "operands must be indices")
    }
    func rank(_ operand: Int, _ rank: Int) throws(Op.Mismatch) {
        try require(shapes[operand].rank == rank, "operand \(operand) is \(shapes[operand]), not of rank \(rank)")
    }
    func ranks(_ ranks: Int...) throws(Op.Mismatch) {
        for (operand, expected) in ranks.enumerated() { try rank(operand, expected) }
    }
    func equal(_ a: Int, _ b: Int, _ what: String) throws(Op.Mismatch) {
        try require(a == b, "\(what) differ: \(a) and \(b)")
    }
    func axis(_ axis: Int) throws(Op.Mismatch) {
        try require(axis >= 0 && axis < shapes[0].rank, "axis \(axis) of \(shapes[0])")
    }
    func tokens(_ operand: Int, _ tokens: Int) throws(Op.Mismatch) {
        try require(
            elements[operand] == .index && shapes[operand] == [tokens],
            "operand \(operand) must hold one index for each of \(tokens) tokens")
    }
    func state(_ id: StateID, in states: [State], _ kind: State.Kind) throws(Op.Mismatch) -> Shape {
        guard states.indices.contains(id), states[id].kind == kind else {
            throw Op.Mismatch(reason: "no \(kind.rawValue) state \(id)")
        }
        try require(states[id].row.rank < Shape.greatestRank, "a state with rows of \(states[id].row)")
        return states[id].row
    }
}
