import Devices
import Engines
import Foundation
import GGUF
import Inference
import ModelGraph
import PropertyTesting

/// Whether the reference's gradient is the slope of its loss, as differences of losses in float64 have it, in random
/// directions of all weights.
///
/// Choices (of experts, cells, blocks) stay as they are, as the gradient has them. Differences across a kink (of a
/// ReLU, a clamp) say nothing: shorter ones are taken until they agree with each other.
struct Slopes {
    private let loaded: LoadedCase
    private let script: Script

    init(_ loaded: LoadedCase, _ script: Script) {
        self.loaded = loaded
        self.script = script
    }

    /// How far a slope may be from the difference, as a part of what a random direction of this gradient typically has.
    private static let tolerance = 1e-6
    /// What differences must tell apart before they accuse or acquit, likewise.
    private static let resolution = 1e-4
    /// How far the longest differences reach, as parts of the size of the weights.
    private static let reaches = [0x1p-6, 0x1p-12, 0x1p-18, 0x1p-24]

    /// - Parameter transcript: as `EngineModel.differentiate` gives it.
    /// - Throws: `Wrong`, or `Discard` where there is nothing to compare with.
    func check(_ transcript: Transcript) throws {
        let line = try Landscape(loaded, script, transcript)
        guard line.loss.isFinite else { throw Discard(reason: "the loss is not finite") }
        if let name = line.notFinite {
            throw Wrong(stage: "gradient", kind: "reference not finite", seen: "the gradient of \(name) is not finite")
        }
        guard line.loss != 0 || !line.isFlat else {
            throw Discard(reason: "nothing that the batch is to predict can ever be")
        }
        var random = RandomStream(seed: loaded.subject.recipe.seed, stream: 0x61AD)
        let all = line.direction(&random) { _ in true }
        // What has a small part in the whole is seen by itself.
        let one = Int(random.next(below: UInt64(max(1, line.count))))
        let least = all.typicalSlope * Self.tolerance
        for direction in [all, line.direction(&random) { $0 == one }] {
            guard let mismatch = try mismatch(direction, of: line, least: least) else { continue }
            let wrong = try (0..<line.count).filter { tensor in
                let direction = line.direction(&random) { $0 == tensor }
                do {
                    return try self.mismatch(direction, of: line, least: least) != nil
                } catch is Discard {
                    return false
                }
            }.map(line.name)
            throw Wrong(
                stage: "gradient",
                kind: "reference has no slope" + (wrong.first.map { " of \($0.withoutBlock)" } ?? ""),
                seen: "the reference's gradient is not the slope of its loss"
                    + (wrong.isEmpty ? "" : ", of \(wrong.prefix(8).joined(separator: ", "))") + ": " + mismatch)
        }
    }

    /// What differs, if the gradient is not the slope.
    /// - Parameter least: slopes below this are none.
    /// - Throws: `Discard` where differences do not say.
    private func mismatch(_ direction: Landscape.Direction, of line: Landscape, least: Double) throws -> String? {
        let size = max(direction.typicalSlope, least)
        var closest: (distance: Double, difference: Double)?
        for reach in Self.reaches {
            let found = try line.difference(direction, reach: reach, enough: Self.tolerance / 16 * size)
            guard found.value.isFinite else { continue }
            // Losses err by roundings.
            let noise = found.error + 0x1p-46 * abs(line.loss) / reach
            let isExact = found.error == 0 && found.value == direction.slope
            guard isExact || noise <= Self.resolution * max(size, abs(found.value)) else { continue }
            let distance = abs(found.value - direction.slope)
            if distance <= Self.tolerance * size + 8 * noise { return nil }
            if distance < closest?.distance ?? .infinity { closest = (distance, found.value) }
        }
        guard let closest else { throw Discard(reason: "kinks: differences of losses say nothing of the slope") }
        let sides = try line.sides(direction, reach: 0x1p-20)
        if abs(sides.above - sides.below) > closest.distance / 2 {
            throw Discard(reason: "kinks: the loss has one at these very weights")
        }
        return "\(direction.slope), where differences are \(closest.difference)"
    }
}

/// The loss of a batch as a function of the weights.
private struct Landscape {
    struct Direction {
        /// By tensor; nil where nothing changes.
        var displacement: [[Double]?]
        /// What the loss changes by along it, if the gradient is right.
        var slope: Double
        /// The root mean square of that, if each element went up or down at random.
        var typicalSlope: Double
    }

    private struct Tensor {
        var info: TensorInfo
        /// In which graphs know it.
        var shape: Shape
        var elements: [Double]
        /// nil: the loss does not depend on it.
        var gradient: ArraySlice<Double>?
        /// Whether its elements stand for numbers that have no slope.
        var isFixed: Bool

        /// In float64, in the shape that the graph knows it by.
        func data(_ element: (Int) -> Double) -> TensorData {
            let bytes = TensorBytes(count: 8 * elements.count) { bytes in
                for index in elements.indices {
                    bytes.storeBytes(
                        of: element(index).bitPattern.littleEndian, toByteOffset: 8 * index, as: UInt64.self)
                }
            }
            return TensorData(name: info.name, shape: shape, type: .f64, bytes: bytes)
        }
    }

    let loss: Double
    private let script: Script
    private let decisions: [[Int]]
    private let tensors: [Tensor]
    /// Of the model with weights of float64, which change from loss to loss.
    private let session: Session
    private let device: ReferenceDevice

    init(_ loaded: LoadedCase, _ script: Script, _ transcript: Transcript) throws {
        let source = try loaded.source()
        self.script = script
        decisions = transcript.decisions.map(\.taken)
        loss = transcript.results.first?.rows?.elements.first ?? .nan
        let weights = Dictionary(try Model(source).weights.map { ($0.name, $0) }) { first, _ in first }
        let tensors = try zip(source.tensors, transcript.results.dropFirst()).map { info, result in
            let elements = try source.elements(of: info)
            let gradient = result.rows?.row(at: 0)
            guard gradient == nil || gradient?.count == elements.count else {
                throw Wrong(
                    stage: "gradient", kind: "wrong size", seen: "the gradient of \(info.name) has another size")
            }
            let weight = weights[info.name]
            return Tensor(
                info: info, shape: weight?.shape ?? info.shape, elements: elements, gradient: gradient,
                isFixed: weight?.role == .places)
        }
        self.tensors = tensors

        let known = Dictionary(tensors.map { ($0.info.name, $0) }) { first, _ in first }
        let wide = try MemorySource(
            source.metadata, optional: .of(source.tensors),
            type: { weight in known[weight.name].flatMap { $0.isFixed ? $0.info.type : nil } ?? .f64 }
        ) { tensor in
            guard let own = known[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is missing") }
            if !own.isFixed { return own.data { own.elements[$0] } }
            var data = try source.data(of: own.info)
            data.shape = tensor.shape
            return data
        }
        device = ReferenceDevice(decisions: DecisionLog())
        session = try Session(
            Model(wide), placement: Placement(device.name), devices: DeviceSet([device]),
            options: SessionOptions(
                context: script.options.context, sequences: script.options.sequences,
                microBatch: script.options.microBatch, cacheType: script.options.cacheType))
    }

    var count: Int { tensors.count }
    func name(_ tensor: Int) -> String { tensors[tensor].info.name }
    /// Whether no gradient has an element that is not zero.
    var isFlat: Bool { tensors.allSatisfy { $0.gradient?.allSatisfy { $0 == 0 } ?? true } }
    var notFinite: String? { tensors.first { !($0.gradient?.allSatisfy(\.isFinite) ?? true) }?.info.name }

    /// - Parameter changes: whether a tensor does.
    func direction(_ random: inout RandomStream, _ changes: (Int) -> Bool) -> Direction {
        var result = Direction(displacement: [], slope: 0, typicalSlope: 0)
        for (index, tensor) in tensors.enumerated() {
            guard changes(index), !tensor.isFixed else {
                result.displacement.append(nil)
                continue
            }
            let squares = tensor.elements.reduce(0) { $0 + $1 * $1 } / Double(max(1, tensor.elements.count))
            let size = squares > 0 && squares.isFinite ? squares.squareRoot() : 0x1p-6
            let displacement = tensor.elements.map { _ in size * (Double(random.next() >> 11) * 0x1p-52 - 1) }
            for (a, b) in zip(displacement, tensor.gradient ?? []) {
                result.slope += a * b
                result.typicalSlope += a * b * a * b
            }
            result.displacement.append(displacement)
        }
        result.typicalSlope = result.typicalSlope.squareRoot()
        return result
    }

    /// The loss where the weights are displaced.
    private func loss(_ direction: Direction, _ step: Double) throws -> Double {
        guard let (encoded, batch) = script.onlyBatch else { throw Discard(reason: "a gradient is of one batch") }
        var moved: [String: TensorData] = [:]
        for (tensor, displacement) in zip(tensors, direction.displacement) where !tensor.isFixed {
            moved[tensor.info.name] = tensor.data { tensor.elements[$0] + step * (displacement?[$0] ?? 0) }
        }
        try session.replaceWeights(by: moved)
        device.restart(rounding: nil, prescribed: decisions)
        return try session.loss(of: batch, encoding: encoded)
    }

    /// The slope by central differences, of ever shorter ones extrapolated to none.
    ///
    /// Sources: Richardson 1911, "The approximate arithmetical solution by finite differences"; Ridders 1982, "Accurate
    /// computation of F′(x) and F′(x) F″(x)", for the estimate of the error.
    /// - Parameters:
    ///   - reach: the longest step.
    ///   - enough: an error that is small enough.
    func difference(_ direction: Direction, reach: Double, enough: Double) throws -> (value: Double, error: Double) {
        var best = (value: Double.nan, error: Double.infinity)
        var last: [Double] = []
        for level in 0..<6 {
            let step = reach * pow(2, -Double(level))
            var row = [(try loss(direction, step) - loss(direction, -step)) / (2 * step)]
            for (order, before) in last.enumerated() {
                let value = row[order] + (row[order] - before) / (pow(4, Double(order + 1)) - 1)
                let error = max(abs(value - row[order]), abs(value - before))
                row.append(value)
                if error <= best.error { best = (value, error) }
            }
            if best.error <= enough { break }
            // What gets worse does so by roundings, or since it passes a kink.
            if level > 2, let a = row.last, let b = last.last, abs(a - b) > 2 * best.error { break }
            last = row
        }
        return best
    }

    /// The slopes to either side.
    func sides(_ direction: Direction, reach: Double) throws -> (below: Double, above: Double) {
        let middle = try loss(direction, 0)
        return ((middle - (try loss(direction, -reach))) / reach, (try loss(direction, reach) - middle) / reach)
    }
}
