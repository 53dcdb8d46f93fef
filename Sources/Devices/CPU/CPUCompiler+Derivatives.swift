import Foundation
import ModelGraph

/// Loss and derivatives. Sums are of doubles, but for those of whole rows.
extension CPUCompiler {
    mutating func permute(_ axes: [Int], _ x: ValueID, _ y: ValueID) {
        // Leading dimensions of extent 1, so that there are four.
        let missing = Shape.greatestRank - axes.count
        let from = shape(x)
        let extents = Array(repeating: 1, count: missing) + axes.map { from[$0] }
        let strides = Array(repeating: 0, count: missing) + axes.map { from.count(after: $0) }
        step { run in
            var (source, target) = (run[x], run[y])
            for _ in 0..<extents[0] {
                var second = source
                for _ in 0..<extents[1] {
                    var third = second
                    for _ in 0..<extents[2] {
                        for i in 0..<extents[3] { target[i] = third[i * strides[3]] }
                        target += extents[3]
                        third += strides[2]
                    }
                    second += strides[1]
                }
                source += strides[0]
            }
        }
    }

    mutating func crossEntropy(_ x: ValueID, _ targets: ValueID, _ y: ValueID) {
        let (rows, columns) = (shape(x)[0], shape(x)[1])
        step { run in
            let counted = try run.countedRows(x, targets, rows: rows, columns: columns)
            var sum = 0.0
            for (row, target) in counted {
                let logits = UnsafeBufferPointer(start: run[x] + row * columns, count: columns)
                let (greatest, own, others) = shares(logits, target)
                sum += own == 1 ? log1p(others) : log(own + others) - Double(logits[target] - greatest)
            }
            run[y][0] = counted.isEmpty ? 0 : Float(sum / Double(counted.count))
        }
    }

    mutating func crossEntropyAdjoint(_ x: ValueID, _ targets: ValueID, _ d: ValueID, _ y: ValueID) {
        let (rows, columns) = (shape(x)[0], shape(x)[1])
        step { run in
            let counted = try run.countedRows(x, targets, rows: rows, columns: columns)
            run[y].update(repeating: 0, count: rows * columns)
            for (row, target) in counted {
                let logits = UnsafeBufferPointer(start: run[x] + row * columns, count: columns)
                let given = run[y] + row * columns
                let (greatest, own, others) = shares(logits, target)
                let share = Double(run[d][0]) / Double(counted.count) / (own + others)
                for i in 0..<columns {
                    given[i] = Float(share * (i == target ? -others : Double(exp(logits[i] - greatest))))
                }
            }
        }
    }

    mutating func scatterRows(_ count: Int, _ x: ValueID, _ indices: ValueID, _ y: ValueID) {
        let rows = self.count(indices), length = self.count(x) / rows
        step { run in
            try run.check(indices, count: rows, below: count, "row")
            run[y].update(repeating: 0, count: count * length)
            for row in 0..<rows {
                let (from, to) = (run[x] + row * length, run[y] + Int(run.indices(indices)[row]) * length)
                for i in 0..<length { to[i] += from[i] }
            }
        }
    }

    mutating func scatterProducts(_ count: Int, _ a: ValueID, _ b: ValueID, _ indices: ValueID, _ y: ValueID) {
        let (rows, outer, inner) = (shape(a)[0], shape(a)[1], shape(b)[1])
        step { run in
            try run.check(indices, count: rows, below: count, "matrix")
            run[y].update(repeating: 0, count: count * outer * inner)
            for row in 0..<rows {
                let (factors, from) = (run[a] + row * outer, run[b] + row * inner)
                let matrix = run[y] + Int(run.indices(indices)[row]) * outer * inner
                for n in 0..<outer {
                    let (factor, to) = (factors[n], matrix + n * inner)
                    for i in 0..<inner { to[i] += factor * from[i] }
                }
            }
        }
    }

    mutating func attentionWeights(_ scores: ValueID, mask: ValueID, sinks: ValueID?, _ y: ValueID) {
        let (tokens, heads, cells) = (shape(y)[0], shape(y)[1], shape(y)[2])
        step { run in
            for t in 0..<tokens {
                let mask = run[mask] + t * cells
                for h in 0..<heads {
                    let (from, to) = (run[scores] + (t * heads + h) * cells, run[y] + (t * heads + h) * cells)
                    var greatest = -Float.infinity
                    for c in 0..<cells {
                        to[c] = mask[c] > -.infinity ? from[c] + mask[c] : -.infinity
                        if mask[c] > -.infinity { greatest = max(greatest, to[c]) }
                    }
                    guard greatest > -.infinity else {
                        to.update(repeating: 0, count: cells)
                        continue
                    }
                    let sink = sinks.map { run[$0][h] }
                    if let sink { greatest = max(greatest, sink) }
                    var total = sink.map { Double(exp($0 - greatest)) } ?? 0
                    for c in 0..<cells {
                        to[c] = mask[c] > -.infinity ? exp(to[c] - greatest) : 0
                        total += Double(to[c])
                    }
                    for c in 0..<cells { to[c] = Float(Double(to[c]) / total) }
                }
            }
        }
    }

    mutating func normAdjoint(_ kind: Norm, _ epsilon: Double, _ x: ValueID, _ d: ValueID, _ y: ValueID) {
        let (rows, count) = (shape(y).rows, shape(y).last)
        let size = Double(count)
        step { run in
            for row in 0..<rows {
                let (x, d, y) = (run[x] + row * count, run[d] + row * count, run[y] + row * count)
                var (mean, given) = (0.0, 0.0)
                if kind == .layer {
                    for i in 0..<count {
                        mean += Double(x[i]) / size
                        given += Double(d[i]) / size
                    }
                }
                var (squares, products) = (0.0, 0.0)
                for i in 0..<count {
                    squares += (Double(x[i]) - mean) * (Double(x[i]) - mean)
                    products += (Double(x[i]) - mean) * Double(d[i])
                }
                let divisor =
                    switch kind {
                    case .layer, .rms: (squares / size + epsilon).squareRoot()
                    case .l2: (squares + epsilon).squareRoot()
                    case .unit: max(squares.squareRoot(), epsilon)
                    }
                var share = products / divisor / divisor
                if kind == .layer || kind == .rms { share /= size }
                if kind == .unit, squares.squareRoot() <= epsilon { share = 0 }
                for i in 0..<count { y[i] = Float((Double(d[i]) - given - (Double(x[i]) - mean) * share) / divisor) }
            }
        }
    }

    mutating func groupNormAdjoint(
        _ groups: Int, _ epsilon: Double, _ x: ValueID, _ sequences: ValueID, _ d: ValueID, _ y: ValueID
    ) {
        let (tokens, width) = (shape(y)[0], shape(y)[1])
        let columns = width / groups
        step { run in
            let (x, d, y) = (run[x], run[d], run[y])
            let sets = Array(UnsafeBufferPointer(start: run.indices(sequences), count: tokens))
            var sums = [Double](repeating: 0, count: tokens * width)
            for set in Set(sets) {
                let members = sets.indices.filter { sets[$0] & set != 0 }
                let count = Double(members.count * columns)
                for group in 0..<groups {
                    func sum(_ term: (_ place: Int, _ given: Double) -> Double) -> Double {
                        var sum = 0.0
                        for member in members {
                            let first = member * width + group * columns
                            for place in first..<first + columns {
                                sum += term(place, sets[member] == set ? Double(d[place]) : 0)
                            }
                        }
                        return sum
                    }
                    let mean = sum { place, _ in Double(x[place]) } / count
                    func deviation(_ place: Int) -> Double { Double(x[place]) - mean }
                    let variance = sum { place, _ in deviation(place) * deviation(place) } / count + epsilon
                    let given = sum { $1 } / count, share = sum { deviation($0) * $1 } / count / variance
                    _ = sum { place, own in
                        sums[place] += (own - given - deviation(place) * share) / variance.squareRoot()
                        return 0
                    }
                }
            }
            for i in sums.indices { y[i] = Float(sums[i]) }
        }
    }

    mutating func ropeFactorsAdjoint(
        _ rope: Rope, _ turned: ValueID, _ d: ValueID, _ positions: ValueID, _ factors: ValueID, _ y: ValueID
    ) {
        let (tokens, heads, size, pairs) = (shape(d)[0], shape(d)[1], shape(d)[2], rope.dimensions / 2)
        let firstPositions = rope.firstPositions(in: shape(positions))
        step { run in
            for pair in 0..<pairs {
                let (first, second) = rope.pairing == .normal ? (2 * pair, 2 * pair + 1) : (pair, pair + pairs)
                var sum = 0.0
                for t in 0..<tokens {
                    var angle = 0.0
                    for h in 0..<heads {
                        let start = (t * heads + h) * size + rope.offset
                        angle += Double(run[d][start + second] * run[turned][start + first])
                        angle -= Double(run[d][start + first] * run[turned][start + second])
                    }
                    sum += angle * Double(run.indices(positions)[firstPositions[pair] + t])
                }
                let factor = Double(run[factors][pair])
                run[y][pair] = Float(-sum * rope.frequency(pair: pair, factor: factor) / factor)
            }
        }
    }

    mutating func relativePositionBiasAdjoint(
        _ buckets: Int, _ bidirectional: Bool, _ maxDistance: Int, _ d: ValueID, _ positions: ValueID, _ cells: ValueID,
        _ y: ValueID
    ) {
        let (heads, tokens, count) = (shape(d)[0], shape(d)[1], shape(d)[2])
        step { run in
            run[y].update(repeating: 0, count: buckets * heads)
            for t in 0..<tokens {
                for c in 0..<count {
                    let bucket = relativePositionBucket(
                        Int(run.indices(cells)[c]) - Int(run.indices(positions)[t]), buckets: buckets,
                        bidirectional: bidirectional, maxDistance: maxDistance)
                    for h in 0..<heads { run[y][bucket * heads + h] += run[d][(h * tokens + t) * count + c] }
                }
            }
        }
    }

    mutating func neighbours(_ distance: Int, _ slots: ValueID, _ y: ValueID) {
        let count = self.count(y)
        step { run in
            var members: [Int32: [Int]] = [:]
            for token in 0..<count { members[run.indices(slots)[token], default: []].append(token) }
            for tokens in members.values {
                for (i, token) in tokens.enumerated() {
                    run.indices(y)[token] = Int32(tokens.indices.contains(i - distance) ? tokens[i - distance] : count)
                }
            }
        }
    }

    /// Every memory of a sequence's head is kept until it has been gone back through.
    mutating func recurrenceAdjoint(_ operands: [ValueID], slots: ValueID, readsBefore: Bool, _ y: ValueID) {
        let (tokens, heads, size, values) = (shape(y)[0], shape(y)[1], shape(operands[0])[2], shape(operands[3])[2])
        let (count, stride) = (values * size, 5 * size + values)
        temporary((tokens + 2) * count)
        step { run in
            let (r, w, k, v) = (run[operands[0]], run[operands[1]], run[operands[2]], run[operands[3]])
            let (a, b, d) = (run[operands[4]], run[operands[5]], run[operands[6]])
            var members: [Int32: [Int]] = [:]
            for token in 0..<tokens { members[run.indices(slots)[token], default: []].append(token) }
            let (memories, given) = (run.scratch, run.scratch + (tokens + 1) * count)
            for own in members.values {
                for h in 0..<heads {
                    memories.update(repeating: 0, count: count)
                    for (step, token) in own.enumerated() {
                        let (old, new) = (memories + step * count, memories + (step + 1) * count)
                        let (row, value) = ((token * heads + h) * size, (token * heads + h) * values)
                        for i in 0..<values {
                            let (from, to) = (old + i * size, new + i * size)
                            let removed = dot(from, a + row, size)
                            for j in 0..<size {
                                to[j] = from[j] * w[row + j] + removed * b[row + j] + v[value + i] * k[row + j]
                            }
                        }
                    }
                    given.update(repeating: 0, count: count)
                    for (step, token) in own.enumerated().reversed() {
                        let (old, new) = (memories + step * count, memories + (step + 1) * count)
                        let (row, value) = ((token * heads + h) * size, (token * heads + h) * values)
                        let out = run[y] + (token * heads + h) * stride
                        out.update(repeating: 0, count: stride)
                        for i in 0..<values {
                            let (before, after, changes) = (old + i * size, new + i * size, given + i * size)
                            let gift = d[value + i]
                            let read = readsBefore ? before : after
                            for j in 0..<size { out[j] += read[j] * gift }
                            if !readsBefore { for j in 0..<size { changes[j] += gift * r[row + j] } }
                            let removed = dot(before, a + row, size), learned = dot(changes, b + row, size)
                            out[5 * size + i] = dot(changes, k + row, size)
                            for j in 0..<size {
                                out[size + j] += changes[j] * before[j]
                                out[2 * size + j] += changes[j] * v[value + i]
                                out[3 * size + j] += before[j] * learned
                                out[4 * size + j] += changes[j] * removed
                                changes[j] = changes[j] * w[row + j] + learned * a[row + j]
                            }
                            if readsBefore { for j in 0..<size { changes[j] += gift * r[row + j] } }
                        }
                    }
                }
            }
        }
    }
}

/// Exponentials of logits, less the greatest: of the target, and of all others together.
private func shares(
    _ logits: UnsafeBufferPointer<Float>, _ target: Int
) -> (greatest: Float, own: Double, others: Double) {
    let greatest = logits.max() ?? 0
    var others = 0.0
    for (i, logit) in logits.enumerated() where i != target { others += Double(exp(logit - greatest)) }
    return (greatest, Double(exp(logits[target] - greatest)), others)
}

private func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
    var sum = 0.0
    for i in 0..<count { sum += Double(a[i]) * Double(b[i]) }
    return Float(sum)
}

extension CPURun {
    /// The rows that count in a cross-entropy.
    /// - Throws: `DeviceError` for a target that is no column.
    fileprivate func countedRows(
        _ x: ValueID, _ targets: ValueID, rows: Int, columns: Int
    ) throws -> [(row: Int, target: Int)] {
        try (0..<rows).compactMap { row in
            var target = Int(indices(targets)[row])
            guard target >= 0 else { return nil }
            guard target < columns else { throw CPUDevice.error("target \(target) is not in 0 ..< \(columns)") }
            for _ in 0..<columns {
                if self[x][row * columns + target] > Float(Op.leastLogit) { return (row, target) }
                target = target + 1 == columns ? 0 : target + 1
            }
            return nil
        }
    }
}
