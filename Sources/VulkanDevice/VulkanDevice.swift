import CVulkan
import Devices
import GGUF
import ModelGraph

/// A Vulkan physical device, a software one included: float32 arithmetic in compute shaders, weights in
/// their own types.
///
/// It needs Vulkan 1.1 and no extension. Pipelines, memory and command buffers live as long as the process.
public final class VulkanDevice: Device {
    public let name: String
    public let summary: String
    public let precision = Precision(storage: .float32, accumulation: .float32)
    public let isAccelerator: Bool
    private let context: Context

    init(name: String, summary: String, isAccelerator: Bool, context: Context) {
        self.name = name
        self.summary = summary
        self.isAccelerator = isAccelerator
        self.context = context
    }

    public func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String? {
        Lowering.refusal(node, in: graph) ?? oversize(node, in: graph, weightTypes)
    }

    /// Why no Vulkan device can run this node, whatever its sizes and the weights' types, or nil.
    public static func refusal(_ node: Node, in graph: Graph) -> String? { Lowering.refusal(node, in: graph) }

    /// Shaders bind weights and values whole, and drivers have a limit to that: 128 MiB at the least.
    private func oversize(_ node: Node, in graph: Graph, _ weightTypes: [TensorType]) -> String? {
        let limit = context.limits.bindingBytes
        for id in node.operands + [node.result] {
            let value = graph.values[id]
            var (type, what) = (TensorType.f32, "a value of \(value.shape)")
            if case .weight(let index) = value.source {
                type = WeightFormat(weightTypes[index])?.type ?? .f32
                what = graph.weights[index].name
            }
            if type.byteCount(elements: value.shape.count) ?? .max > limit {
                return "\(what) is larger than the \(limit >> 20) MiB of a binding"
            }
        }
        return nil
    }

    public func load(_ tensor: TensorData) throws -> any DeviceTensor {
        try VulkanTensor(context: context, tensor: tensor)
    }

    public func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState {
        try checkNative(type)
        return try VulkanState(context: context, rows: rows, rowCount: state.row.count, type: type)
    }

    public func compile(_ segment: Segment) throws -> any Executable {
        try VulkanExecutable(context: context, segment: segment)
    }
}

// MARK: Finding devices

extension VulkanDevice {
    /// The Vulkan devices of this machine: `vulkan0`, `vulkan1`, … in the loader's order. They are opened
    /// once for the whole process.
    ///
    /// `absence` says why there is none, or what is wrong with those that were left out.
    public static func all() -> (devices: [VulkanDevice], absence: String?) { found }

    private static let found = open(separateMemory: false)

    /// - Parameter separateMemory: whether the host may not write device memory even where it could, as
    ///   with discrete GPUs.
    static func open(separateMemory: Bool) -> (devices: [VulkanDevice], absence: String?) {
        var instance: OpaquePointer?
        let status = vulkan_open(&instance)
        guard let instance else { return ([], status.failure ?? "no Vulkan instance") }

        var devices: [VulkanDevice] = []
        var absences: [String] = []
        for index in 0..<vulkan_device_count(instance) {
            let info = vulkan_device_info(instance, index)
            let description = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let reason = info.unusable {
                absences.append("\(description): \(String(cString: reason))")
                continue
            }
            var handle: OpaquePointer?
            let opened = vulkan_device_open(instance, index, separateMemory, &handle)
            guard let handle else {
                absences.append("\(description): \(opened.failure ?? "no device")")
                continue
            }
            let name = "vulkan\(devices.count)"
            let limits = Context.Limits(
                bindingBytes: Int(clamping: info.max_binding_bytes), groupsX: Int(info.max_groups_x),
                groupsY: Int(info.max_groups_y))
            let version = "Vulkan \(info.api_major).\(info.api_minor)"
            let kind = String(cString: info.kind)
            devices.append(
                VulkanDevice(
                    name: name, summary: "\(description), \(kind), \(version)", isAccelerator: kind != "CPU",
                    context: Context(name: name, limits: limits, handle: handle)))
        }
        return (devices, absences.isEmpty ? nil : absences.joined(separator: "; "))
    }
}
