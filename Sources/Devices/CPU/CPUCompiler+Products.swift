import CKernels
import Dispatch
import ModelGraph

/// Tables and products with weights.
extension CPUCompiler {
    mutating func rows(_ table: ValueID, _ indices: ValueID, _ y: ValueID) {
        let (shape, count) = (shape(table), count(indices))
        let (source, decode) = (matrix(table), kernels.decode)
        let size = shape.dropFirst().count
        step { run in
            try run.check(indices, count: count, below: shape[0], "row")
            let matrix = try run.matrix(source, columns: size)
            for (i, index) in UnsafeBufferPointer(start: run.indices(indices), count: count).enumerated() {
                decode(matrix.type.rawValue, matrix.pointer + Int(index) * matrix.rowBytes, run[y] + i * size, size)
            }
        }
    }

    mutating func matmul(_ x: ValueID, _ weight: ValueID, _ y: ValueID) {
        let (n, k) = (shape(weight)[0], shape(weight)[1])
        let (rows, source) = (shape(x).rows, matrix(weight))
        let product = product(inputs: k)
        floats(x)
        step(CPUProduct(result: y, rows: rows, width: n) { run, columns in
            let matrix = try run.matrix(source, columns: k)
            product(
                CPUMatmul(
                    x: run[x], x_stride: k, x_rows: nil,
                    weight: matrix.pointer + columns.lowerBound * matrix.rowBytes, weight_stride: matrix.rowBytes,
                    weight_step: matrix.stepBytes, type: matrix.type.rawValue, y: run[y], y_stride: columns.count,
                    y_rows: nil, rows: rows, outputs: columns.count, inputs: k, scratch: run.scratch))
        })
    }

    mutating func expertMatmul(_ x: ValueID, _ weight: ValueID, _ experts: ValueID, _ y: ValueID) {
        let (shape, tokens, used) = (shape(weight), shape(experts)[0], shape(experts)[1])
        let (count, n, k) = (shape[0], shape[1], shape[2])
        let (hasOneRow, source) = (self.shape(x)[1] == 1, matrix(weight))
        let product = product(inputs: k)
        floats(x)
        step { run in
            try run.check(experts, count: tokens * used, below: count, "expert")
            let matrix = try run.matrix(source, columns: k)
            // The tokens of each expert together, so that its rows are decoded once.
            let selected = run.indices(experts)
            var starts = [Int](repeating: 0, count: count + 1)
            for i in 0..<tokens * used { starts[Int(selected[i]) + 1] += 1 }
            for expert in 0..<count { starts[expert + 1] += starts[expert] }
            var next = starts
            var xRows = [Int32](repeating: 0, count: tokens * used)
            var yRows = xRows
            for i in 0..<tokens * used {
                let place = next[Int(selected[i])]
                next[Int(selected[i])] += 1
                xRows[place] = Int32(hasOneRow ? i / used : i)
                yRows[place] = Int32(i)
            }
            xRows.withUnsafeBufferPointer { xRows in
                yRows.withUnsafeBufferPointer { yRows in
                    guard let xRows = xRows.baseAddress, let yRows = yRows.baseAddress else { return }
                    for expert in 0..<count where starts[expert] < starts[expert + 1] {
                        let first = starts[expert]
                        product(
                            CPUMatmul(
                                x: run[x], x_stride: k, x_rows: xRows + first,
                                weight: matrix.pointer + expert * n * matrix.rowBytes, weight_stride: matrix.rowBytes,
                                weight_step: matrix.stepBytes, type: matrix.type.rawValue, y: run[y], y_stride: n,
                                y_rows: yRows + first, rows: starts[expert + 1] - first, outputs: n, inputs: k,
                                scratch: run.scratch))
                    }
                }
            }
        }
    }

    mutating func headMatmul(_ x: ValueID, _ weight: ValueID, _ y: ValueID) {
        let (tokens, heads, n, k) = (shape(x)[0], shape(x)[1], shape(weight)[1], shape(weight)[2])
        let source = matrix(weight)
        let product = product(inputs: k)
        floats(x)
        step { run in
            let matrix = try run.matrix(source, columns: k)
            for head in 0..<heads {
                product(
                    CPUMatmul(
                        x: run[x] + head * k, x_stride: heads * k, x_rows: nil,
                        weight: matrix.pointer + head * n * matrix.rowBytes, weight_stride: matrix.rowBytes,
                        weight_step: matrix.stepBytes, type: matrix.type.rawValue, y: run[y] + head * n,
                        y_stride: heads * n, y_rows: nil, rows: tokens, outputs: n, inputs: k, scratch: run.scratch))
            }
        }
    }

    /// A product of this size, its outputs shared among the threads where that pays.
    private mutating func product(inputs: Int) -> (CPUMatmul) -> Void {
        let (kernel, threads) = (kernels.matmul, threads)
        let tile = Int(CPU_WEIGHT_ROWS)
        let scratch = tile * min(inputs, Int(CPU_WEIGHT_COLUMNS))
        temporary(scratch * threads)
        return { product in
            let outputs = product.outputs
            let parts = min(threads, outputs / (2 * tile))
            guard parts > 1, product.rows * outputs * inputs > 1 << 20 else {
                withUnsafePointer(to: product, kernel)
                return
            }
            let share = (outputs + parts * tile - 1) / (parts * tile) * tile
            inParallel(parts) { part in
                let first = min(outputs, part * share)
                var some = product
                some.weight += first * product.weight_stride
                some.y += first
                some.outputs = min(share, outputs - first)
                some.scratch += part * scratch
                withUnsafePointer(to: some, kernel)
            }
        }
    }
}

/// Runs `body` for 0 ..< `count` side by side; each must write to memory of its own.
func inParallel(_ count: Int, _ body: (Int) -> Void) {
    guard count > 1 else { return body(0) }
    withoutActuallyEscaping(body) { body in
        nonisolated(unsafe) let body = body
        DispatchQueue.concurrentPerform(iterations: count) { body($0) }
    }
}
