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
    /// - Parameter threads: of the CPU device.
    public static func all(threads: Int = 1) -> DeviceSet {
        let vulkan = VulkanDevice.all()
        return DeviceSet(
            [ReferenceDevice(), CPUDevice(threads: threads)] + vulkan.devices,
            absences: vulkan.absence.map { ["vulkan: \($0)"] } ?? [])
    }

    /// - Throws: `PlacementError` that lists the devices there are.
    public func named(_ name: String) throws -> any Device {
        guard let device = devices.first(where: { $0.name == name }) else {
            throw PlacementError(
                entry: name, reason: "is no device here; there are \(devices.map(\.name).joined(separator: ", "))")
        }
        return device
    }
}
