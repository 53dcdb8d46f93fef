import GGUF
import ModelGraph

/// What executes graphs.
///
/// A device owns what outlives a case (threads, pipelines, buffers); weights, states and compiled
/// segments are made by it and used with it alone. One session uses them from one thread.
public protocol Device: AnyObject, Sendable {
    /// As placements and reports name it: `reference`, `cpu`, `vulkan0`.
    var name: String { get }
    /// What it is, in a few words: the processor's or driver's own name.
    var summary: String { get }
    var precision: Precision { get }
    /// Whether it is a GPU or the like, which all processes that use it share. Most are not.
    var isAccelerator: Bool { get }
    /// The device that loads tensors for this one, itself unless several devices share what is loaded: their
    /// executables accept each other's tensors. It must not change.
    var tensorOwner: any Device { get }

    /// Why the device cannot run this node, or nil if it can.
    /// - Parameter weightTypes: the tensor type of each weight of the graph, by its index.
    func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String?

    /// Makes a weight usable by this device.
    func load(_ tensor: TensorData) throws -> any DeviceTensor

    /// Memory for `rows` rows of a state, zero everywhere.
    func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState

    /// Prepares part of a graph; every node in it is one that the device supports.
    func compile(_ segment: Segment) throws -> any Executable
}

extension Device {
    public var tensorOwner: any Device { self }
    public var isAccelerator: Bool { false }

    /// - Throws: `DeviceError` for types of caches that the builtin engine's devices do not have.
    public func checkNative(_ type: StateType) throws {
        guard type.isNative else { throw DeviceError(device: name, reason: "has no caches of type \(type.rawValue)") }
    }
}

/// How a state's rows are kept. Only caches may be narrower than float32: recurrent states feed back.
public enum StateType: String, Hashable, Sendable, CaseIterable, Codable {
    /// The device's storage precision.
    case full = "f32"
    /// Rounded to IEEE half precision on each write.
    case half = "f16"
    /// Types that only other engines' caches have. The reference keeps what it stores whole, since where the rounding
    /// of a block lies is the engine's own affair; the noise floor has its size.
    case bfloat = "bf16"
    case q8_0, q5_1, q5_0, q4_1, q4_0
    case iq4_NL = "iq4_nl"

    /// Elements that are kept together.
    public var blockSize: Int {
        switch self {
        case .full, .half, .bfloat: 1
        case .q8_0, .q5_1, .q5_0, .q4_1, .q4_0, .iq4_NL: 32
        }
    }

    /// Whether the builtin engine's devices have it.
    public var isNative: Bool { self == .full || self == .half }
}

/// Weights in the bytes of their own type, as they lie in a file or were drawn.
public struct TensorData: Sendable {
    public var name: String
    public var shape: Shape
    public var type: TensorType
    /// Byte order of the elements.
    public var byteOrder: ByteOrder
    public var bytes: TensorBytes

    public init(name: String, shape: Shape, type: TensorType, byteOrder: ByteOrder = .little, bytes: TensorBytes) {
        self.name = name
        self.shape = shape
        self.type = type
        self.byteOrder = byteOrder
        self.bytes = bytes
    }
}

extension TensorData {
    /// The bytes with every number in little-endian order: those there are, or a copy.
    /// - Throws: `GGUFError` for types whose data is not defined in both orders.
    public func littleEndian() throws -> TensorBytes {
        guard byteOrder != .little else { return bytes }
        return try bytes.withBytes { source in
            try TensorBytes(count: source.count) { copy in
                copy.copyMemory(from: source)
                try type.swapBytes(copy)
            }
        }
    }
}

/// Immutable bytes that somebody keeps alive: a mapped file or an array.
public final class TensorBytes: @unchecked Sendable {
    private let owner: AnyObject?
    private let buffer: UnsafeRawBufferPointer
    private let allocated: UnsafeMutableRawBufferPointer?

    /// Bytes inside `owner`, which must not change or move them while it lives.
    public init(_ buffer: UnsafeRawBufferPointer, owner: AnyObject) {
        self.buffer = buffer
        self.owner = owner
        allocated = nil
    }

    /// New bytes, 64-byte aligned, written once by `fill`.
    public init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        do {
            try fill(memory)
        } catch {
            memory.deallocate()
            throw error
        }
        buffer = UnsafeRawBufferPointer(memory)
        allocated = memory
        owner = nil
    }

    deinit { allocated?.deallocate() }

    public var count: Int { buffer.count }
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(buffer) }
    }
}

/// A weight, as a device keeps it.
public protocol DeviceTensor: AnyObject {}

/// A state, as a device keeps it: rows of cells or slots.
public protocol DeviceState: AnyObject {
    /// Sets a row to zero.
    func clear(row: Int) throws
    func copy(row: Int, to other: Int) throws
    /// Elements of rows `0 ..< rows`, widened where the device is narrower.
    func read(rows: Int) throws -> [Double]
    /// Writes rows from 0 on; their number is `elements.count` over the row's count.
    func write(_ elements: [Double]) throws
}

/// Consecutive nodes of a graph that run on one device.
public struct Segment: Sendable {
    public var graph: Graph
    public var nodes: Range<Int>
    /// Values from outside, other than weights: the graph's inputs and results of other segments.
    public var inputs: [ValueID]
    /// Values that are used outside.
    public var outputs: [ValueID]

    public init(graph: Graph, nodes: Range<Int>, inputs: [ValueID], outputs: [ValueID]) {
        self.graph = graph
        self.nodes = nodes
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A compiled segment; keeps what it needs between runs.
public protocol Executable: AnyObject {
    /// - Parameters:
    ///   - weights: by index in `graph.weights`; nil for weights that the segment does not use.
    ///   - states: by `StateID`; nil for states that the segment does not use.
    ///   - inputs: a tensor for each of the segment's inputs, in its order.
    /// - Returns: a tensor for each of the segment's outputs, in its order.
    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor]
    ) throws -> [HostTensor]

    /// The same of a segment with one output, which is handed over in pieces where it is large: all rows of some
    /// columns, the first columns first.
    /// - Parameter take: is given the first column of a piece, and its elements.
    func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor],
        take: (_ firstColumn: Int, HostTensor) -> Void
    ) throws
}

extension Executable {
    public func run(
        weights: [(any DeviceTensor)?], states: [(any DeviceState)?], inputs: [HostTensor],
        take: (_ firstColumn: Int, HostTensor) -> Void
    ) throws {
        for output in try run(weights: weights, states: states, inputs: inputs) { take(0, output) }
    }
}

/// Values on the host, as they pass between devices and callers.
public enum HostTensor: Sendable, Hashable {
    case double([Double])
    case float([Float])
    case index([Int32])

    public var count: Int {
        switch self {
        case .double(let elements): elements.count
        case .float(let elements): elements.count
        case .index(let elements): elements.count
        }
    }
    public var doubles: [Double] {
        switch self {
        case .double(let elements): elements
        case .float(let elements): elements.map(Double.init)
        case .index(let elements): elements.map(Double.init)
        }
    }
    public var floats: [Float] {
        switch self {
        case .double(let elements): elements.map(Float.init)
        case .float(let elements): elements
        case .index(let elements): elements.map(Float.init)
        }
    }
    /// The indices, or nil for reals.
    public var indices: [Int32]? {
        if case .index(let elements) = self { elements } else { nil }
    }
}

/// A device that failed: which, doing what, and why.
public struct DeviceError: Error, Hashable, Sendable, CustomStringConvertible {
    public var device: String
    public var reason: String
    public init(device: String, reason: String) {
        self.device = device
        self.reason = reason
    }
    public var description: String { "\(device): \(reason)" }
}
