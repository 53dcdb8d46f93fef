import CKernels
import ModelGraph

/// Elementwise ops, shapes and norms.
extension CPUCompiler {
    mutating func unary(_ function: Unary, _ x: ValueID, _ y: ValueID) {
        let (count, kernel) = (count(y), kernels.unary)
        let code =
            switch function {
            case .silu: CPU_SILU
            case .gelu: CPU_GELU
            case .geluErf: CPU_GELU_ERF
            case .relu: CPU_RELU
            case .squaredReLU: CPU_SQUARED_RELU
            case .sigmoid: CPU_SIGMOID
            case .tanh: CPU_TANH
            case .exp: CPU_EXP
            case .softplus: CPU_SOFTPLUS
            case .rootOfSoftplus: CPU_ROOT_OF_SOFTPLUS
            case .erf: CPU_ERF
            case .step: CPU_STEP
            }
        step { kernel(code, $0[x], $0[y], count) }
    }

    mutating func gated(_ activation: GatedActivation, _ gate: ValueID, _ up: ValueID, _ y: ValueID) {
        let (count, kernel) = (count(y), kernels.gated)
        let (code, alpha, limit): (CPUGated, Float, Float) =
            switch activation {
            case .swiglu: (CPU_SWIGLU, 1, 0)
            case .geglu: (CPU_GEGLU, 1, 0)
            case .clampedSwiGLU(let alpha, let limit): (CPU_CLAMPED_SWIGLU, Float(alpha), Float(limit))
            }
        step { kernel(code, $0[gate], $0[up], $0[y], count, alpha, limit) }
    }

    mutating func binary(_ operation: Binary, _ a: ValueID, _ b: ValueID, _ y: ValueID) throws {
        let code =
            switch operation {
            case .add: CPU_ADD
            case .subtract: CPU_SUBTRACT
            case .multiply: CPU_MULTIPLY
            case .divide: CPU_DIVIDE
            }
        try combine(code, a, b, y)
    }

    mutating func broadcast(_ x: ValueID, _ y: ValueID) throws { try combine(CPU_SECOND, y, x, y) }

    private mutating func combine(_ code: CPUBinary, _ a: ValueID, _ b: ValueID, _ y: ValueID) throws {
        let loops = Loops(shape(b), over: shape(y))
        guard loops.extents.count <= Int(
            CPU_MAX_RANK) else { throw CPUDevice.error("a broadcast of rank \(loops.extents.count)") }
        let kernel = kernels.binary
        step { kernel(code, $0[a], $0[b], $0[y], loops.extents, loops.strides, loops.extents.count) }
    }

    mutating func slice(_ axis: Int, _ start: Int, _ x: ValueID, _ y: ValueID) {
        let (from, to) = (shape(x), shape(y))
        let inner = from.count(after: axis)
        let outer = from.count(before: axis)
        step { cpu_copy_rows(
            $0[y], to[axis] * inner, $0[x] + start * inner, from[axis] * inner, to[axis] * inner, outer) }
    }

    mutating func concatenate(_ axis: Int, _ operands: [ValueID], _ y: ValueID) {
        let shape = shape(y)
        let inner = shape.count(after: axis)
        let outer = shape.count(before: axis)
        var start = 0
        for x in operands {
            let (first, width) = (start, self.shape(x)[axis] * inner)
            step { cpu_copy_rows($0[y] + first, shape[axis] * inner, $0[x], width, width, outer) }
            start += width
        }
    }

    mutating func norm(
        _ kind: Norm, _ epsilon: Double, _ x: ValueID, weight: ValueID?, bias: ValueID?, _ y: ValueID
    ) {
        let (shape, kernel) = (shape(y), kernels.norm)
        let code =
            switch kind {
            case .layer: CPU_LAYER_NORM
            case .rms: CPU_RMS_NORM
            case .l2: CPU_L2_NORM
            case .unit: CPU_UNIT_NORM
            }
        step { run in
            kernel(code, run[x], weight.map { run[$0] }, bias.map { run[$0] }, run[y], shape.rows, shape.last, epsilon)
        }
    }

    /// Sums are of doubles: a group has as many terms as a sequence has tokens, times its columns.
    mutating func groupNorm(_ groups: Int, _ epsilon: Double, _ x: ValueID, _ sequences: ValueID, _ y: ValueID) {
        let (tokens, width) = (shape(y)[0], shape(y)[1])
        let columns = width / groups
        step { run in
            let (x, y) = (run[x], run[y])
            let sets = Array(UnsafeBufferPointer(start: run.indices(sequences), count: tokens))
            for set in Set(sets) {
                let members = sets.indices.filter { sets[$0] & set != 0 }
                for group in 0..<groups {
                    let starts = members.map { $0 * width + group * columns }
                    let count = Double(members.count * columns)
                    var sum = 0.0
                    for start in starts { for i in start..<start + columns { sum += Double(x[i]) } }
                    let mean = sum / count
                    var squares = 0.0
                    for start in starts {
                        for i in start..<start + columns { squares += (Double(x[i]) - mean) * (Double(x[i]) - mean) }
                    }
                    let scale = 1 / (squares / count + epsilon).squareRoot()
                    for (member, start) in zip(members, starts) where sets[member] == set {
                        for i in start..<start + columns { y[i] = Float((Double(x[i]) - mean) * scale) }
                    }
                }
            }
        }
    }
}

/// The loops over a shape that read a smaller operand again and again: neighbouring dimensions in which
/// the operand moves on, or stays, are one loop.
private struct Loops {
    var extents: [Int] = []
    var strides: [Int] = []

    init(_ operand: Shape, over shape: Shape) {
        var step = 1
        for (axis, extent) in shape.dimensions.reversed().enumerated() where extent != 1 {
            let own = axis < operand.rank ? operand[operand.rank - 1 - axis] : 1
            let stride = own == 1 ? 0 : step
            if let last = strides.last, (last == 0) == (stride == 0) {
                extents[extents.count - 1] *= extent
            } else {
                extents.append(extent)
                strides.append(stride)
            }
            step *= own
        }
        if extents.isEmpty { (extents, strides) = ([1], [0]) }
        extents.reverse()
        strides.reverse()
    }
}
