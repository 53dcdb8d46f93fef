import Devices

/// The devices that placements may name.
public struct DeviceSet: Sendable {
    public var devices: [any Device]

    public init(_ devices: [any Device]) { self.devices = devices }

    /// - Throws: `PlacementError` that lists the devices there are.
    public func named(_ name: String) throws -> any Device {
        guard let device = devices.first(where: { $0.name == name }) else {
            throw PlacementError(
                entry: name, reason: "is no device here; there are \(devices.map(\.name).joined(separator: ", "))")
        }
        return device
    }
}
