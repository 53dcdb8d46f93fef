import Devices
import VulkanDevice

/// The devices that placements may name.
public struct DeviceSet: Sendable {
    public var devices: [any Device]
    /// Why devices that might be expected are not there.
    public var absences: [String]

    public init(_ devices: [any Device], absences: [String] = []) {
        self.devices = devices
        self.absences = absences
    }

    /// Every device of this machine.
    /// - Parameters:
    ///   - threads: of the CPU device.
    ///   - isWanted: whether a device of this name is needed; Vulkan's drivers take long to open. With one of them
    ///     comes `cpu`, where what they have no shader for is computed.
    public static func all(threads: Int = 1, where isWanted: (String) -> Bool = { _ in true }) -> DeviceSet {
        let host: [any Device] = [ReferenceDevice(), CPUDevice(threads: threads)]
        let wantsVulkan = (0..<16).contains { isWanted("vulkan\($0)") }
        let wanted = host.filter { isWanted($0.name) || wantsVulkan && $0.name == Self.fallback }
        guard wantsVulkan else { return DeviceSet(wanted) }
        let vulkan = VulkanDevice.all()
        return DeviceSet(
            wanted + vulkan.devices.filter { isWanted($0.name) },
            absences: vulkan.absence.map { ["vulkan: \($0)"] } ?? [])
    }

    /// The device that runs what others cannot.
    static let fallback = CPUDevice.name

    /// - Throws: `PlacementError` that lists the devices there are.
    public func named(_ name: String) throws -> any Device {
        guard let device = devices.first(where: { $0.name == name }) else {
            throw PlacementError(
                entry: name, reason: "is no device here; there are \(devices.map(\.name).joined(separator: ", "))")
        }
        return device
    }
}
