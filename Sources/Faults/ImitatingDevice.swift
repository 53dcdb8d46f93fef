import Devices
import Foundation
import GGUF
import ModelGraph

/// A device that computes as a precision says, on another one that is more exact: what a probe must recognise, and the
/// checks must not accuse.
///
/// Operands are rounded to nearest as a kernel would round them, and sums are rounded after each term; what a precision
/// says of results and functions is done to what the other device gives. Recurrent states are left as they are.
public final class ImitatingDevice: Device {
    private let device: any Device
    private let imitated: Precision
    private let counter = RunCounter()
    private let types = WeightTypes()

    /// - Parameter precision: what is imitated.
    public init(_ device: any Device, as precision: Precision) {
        self.device = device
        imitated = precision
    }

    public var name: String { device.name }
    public var summary: String { device.summary }
    /// As that of the other: it is to be asked.
    public var precision: Precision { device.precision }

    public func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String? {
        device.unsupported(node, in: graph, weightTypes: weightTypes)
    }

    public func load(_ tensor: TensorData) throws -> any DeviceTensor {
        types[tensor.name] = tensor.type
        return try device.load(tensor)
    }

    public func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState {
        try device.allocate(state, rows: rows, type: type)
    }

    public func compile(_ segment: Segment) throws -> any Executable {
        segment.nodes.contains { change(Site(graph: segment.graph, index: $0)) != nil }
            ? try FaultyExecutable(segment, on: device, counter: counter, change)
            : try device.compile(segment)
    }

    private func change(_ site: Site) -> Change? {
        switch site.op {
        case .matmul, .headMatmul, .expertMatmul: product(site)
        case .attention: attention(site)
        default: result(site)
        }
    }

    // MARK: Products

    private func product(_ site: Site) -> Change? {
        guard let weight = site.weight(1), !imitated.products.isEmpty else { return result(site) }
        // As the kernel has them: they are those of one session.
        var rounded: [Double]?
        return .around { [self] call in
            // A session compiles before it loads.
            let arithmetic = types[weight.name].flatMap { type in
                imitated.products[
                    Precision.Product(
                        type, Precision.RowCount(site.shape(0).rank > 1 ? site.shape(0)[0] : 1),
                        isOfExperts: site.op.isOfExperts)]
            }
            guard let arithmetic, arithmetic != Precision.Arithmetic(.asStored) else {
                try call.run()
                return store(&call.result)
            }
            var weights = try rounded ?? call.operand(1).values
            if rounded == nil, arithmetic.operands.roundsWeights {
                weights.withUnsafeMutableBufferPointer { arithmetic.operands.round($0, rowLength: site.shape(1).last) }
            }
            rounded = weights
            var x = call.operands[0].values
            x.withUnsafeMutableBufferPointer { arithmetic.operands.round($0, rowLength: site.shape(0).last) }
            let (length, outputs) = (site.shape(0).last, site.shape.last)
            var result = [Double](repeating: 0, count: site.shape.count)
            x.withUnsafeBufferPointer { x in
                weights.withUnsafeBufferPointer { weights in
                    for row in 0..<site.shape.rows {
                        let (input, matrix): (Int, Int) = switch site.op {
                        case .expertMatmul:
                            (site.shape(0)[1] == 1 ? row / site.shape[1] : row, Int(call.operands[2][row]))
                        case .headMatmul: (row, row % site.shape(1)[0])
                        default: (row, 0)
                        }
                        for n in 0..<outputs {
                            let start = (matrix * outputs + n) * length
                            result[row * outputs + n] = arithmetic.sums.sum(
                                UnsafeBufferPointer(rebasing: x[input * length..<(input + 1) * length]),
                                UnsafeBufferPointer(rebasing: weights[start..<start + length]))
                        }
                    }
                }
            }
            call.result = Elements(site.graph.values[site.node.result], result)
            store(&call.result)
        }
    }

    // MARK: Attention

    private func attention(_ site: Site) -> Change? {
        // Which type a cache has is the session's affair: it is computed alike with all of them.
        guard let arithmetic = imitated.attention[
            Precision.AttentionKind(.full, isFlash: false, Precision.RowCount(site.shape(0)[0]))],
            arithmetic != Precision.Arithmetic(.asStored)
        else { return result(site) }
        return .around { [self] call in
            for operand in 0..<3 {
                let length = site.shape(operand).last
                call.operands[operand].values.withUnsafeMutableBufferPointer {
                    arithmetic.operands.round($0, rowLength: length)
                }
            }
            try call.run()
            if arithmetic.sums != .full { call.result.map(\.half) }
            store(&call.result)
        }
    }

    // MARK: Results

    private func result(_ site: Site) -> Change? {
        guard site.shape.count > 0, site.graph.values[site.node.result].element == .real, site.op.isComputed,
            imitated.storage != .float32 || imitated.flushesSubnormals || imitates(site.op.function)
        else { return nil }
        return .around { [self] call in
            if site.op.function == .gelu, imitated.functions[.gelu] == .float16 {
                for index in site.operands.indices.prefix(1) { call.operands[index].map(\.half) }
            }
            try call.run()
            if let function = site.op.function, let format = imitated.functions[function] {
                call.result.map { format.rounded($0) }
            }
            store(&call.result)
        }
    }

    private func imitates(_ function: Precision.Function?) -> Bool {
        function.map { imitated.functions[$0] != nil } ?? false
    }

    private func store(_ result: inout Elements) {
        if imitated.storage != .float32 { result.map { imitated.storage.rounded($0) } }
        if imitated.flushesSubnormals { result.map { abs($0) < Double(Float.leastNormalMagnitude) ? 0 : $0 } }
    }
}

/// The types of the weights that were loaded, by name.
private final class WeightTypes: @unchecked Sendable {
    private let lock = NSLock()
    private var types: [String: TensorType] = [:]

    subscript(name: String) -> TensorType? {
        get { lock.withLock { types[name] } }
        set { lock.withLock { types[name] = newValue } }
    }
}

extension Precision.Format {
    /// To nearest.
    fileprivate func rounded(_ x: Double) -> Double {
        switch self {
        case .float64: x
        case .float32: Double(Float(x))
        case .approximateFloat32: x.rounded(significandBits: 21)
        case .tensorFloat32: x.rounded(significandBits: 10)
        case .float16: x.half
        case .bfloat16: x.rounded(significandBits: 7)
        }
    }
}

extension Precision.Operands {
    /// Whether weights are rounded as well: what is a multiple of a block's scale is not.
    fileprivate var roundsWeights: Bool { ![.asStored, .blocksOf32, .blocksOf256].contains(self) }

    fileprivate func round(_ x: UnsafeMutableBufferPointer<Double>, rowLength: Int) {
        switch self {
        case .asStored: break
        case .tensorFloat32: for i in x.indices { x[i] = x[i].rounded(significandBits: 10) }
        case .cutTensorFloat32: for i in x.indices { x[i] = Double(
            Float(bitPattern: Float(x[i]).bitPattern & ~0x1FFF)) }
        case .float16: for i in x.indices { x[i] = x[i].half }
        case .flushedFloat16: for i in x.indices { x[i] = abs(x[i]) < 0x1p-14 ? 0 : x[i].half }
        case .bfloat16: for i in x.indices { x[i] = x[i].rounded(significandBits: 7) }
        case .blocksOf32: Self.round(x, rowLength, blocksOf: 32) { $0.half }
        case .blocksOf256: Self.round(x, rowLength, blocksOf: 256) { $0 }
        }
    }

    private static func round(
        _ x: UnsafeMutableBufferPointer<Double>, _ rowLength: Int, blocksOf size: Int, _ stored: (Double) -> Double
    ) {
        for row in stride(from: 0, to: x.count, by: rowLength) {
            for start in stride(from: row, to: row + rowLength, by: size) {
                let block = start..<min(start + size, row + rowLength)
                var step = 0.0
                for i in block { step = max(step, abs(x[i]) / 127) }
                let kept = stored(step)
                for i in block { x[i] = step == 0 ? 0 : (x[i] / step).rounded() * kept }
            }
        }
    }
}

extension Precision.Sums {
    fileprivate func sum(_ a: UnsafeBufferPointer<Double>, _ b: UnsafeBufferPointer<Double>) -> Double {
        var total = 0.0
        switch self {
        case .full: for i in a.indices { total = Double(Float(total + a[i] * b[i])) }
        case .float16: for i in a.indices { total = (total + a[i] * b[i]).half }
        case .chunkedFloat16:
            for start in stride(from: 0, to: a.count, by: 32) {
                var chunk = 0.0
                for i in start..<min(start + 32, a.count) { chunk = (chunk + a[i] * b[i]).half }
                total = Double(Float(total + chunk))
            }
        }
        return total
    }
}

extension Double {
    /// To the nearest number of so many bits after the first, whatever its exponent.
    fileprivate func rounded(significandBits count: Int) -> Double {
        guard isFinite, self != 0 else { return self }
        let unit = binade * Double(sign: .plus, exponent: -count, significand: 1)
        return (self / unit).rounded(.toNearestOrEven) * unit
    }
}

extension Op {
    fileprivate var isOfExperts: Bool { if case .expertMatmul = self { true } else { false } }

    /// Whether results are computed, not moved.
    fileprivate var isComputed: Bool {
        switch self {
        case .matmul, .expertMatmul, .headMatmul, .attention, .unary, .binary, .affine, .softcap, .xielu, .gated,
            .sum, .norm,
            .groupNorm, .softmax, .rope, .pool, .attentionTemperature, .rows:
            true
        default: false
        }
    }
}
