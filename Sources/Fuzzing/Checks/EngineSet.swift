import Devices
import Engines

/// The engines that devices belong to, and the one that is believed.
public final class EngineSet {
    /// Holds the reference device.
    public let oracle: any Engine
    public let engines: [any Engine]
    /// What probing found, by device.
    public let probed: [String: Precision]

    /// - Parameters:
    ///   - oracle: the engine that has the reference device.
    ///   - engines: those that have the devices under test.
    ///   - probed: how devices compute, where they were asked; others are believed.
    public init(oracle: any Engine, engines: [any Engine], probed: [String: Precision] = [:]) {
        self.oracle = oracle
        self.engines = engines
        self.probed = probed
    }

    /// One engine whose own `reference` is believed.
    public convenience init(_ engine: any Engine) { self.init(oracle: engine, engines: [engine]) }

    public func engine(of device: String) -> (any Engine)? {
        engines.first { $0.devices.contains { $0.name == device } }
    }

    /// How a device computes; nil: there is none of this name.
    public func precision(of device: String) -> Precision? {
        probed[device] ?? engine(of: device)?.devices.first { $0.name == device }?.precision
    }

    /// The devices that can be put under test: all but the reference.
    public var devices: [EngineDevice] { engines.flatMap(\.devices).filter { $0.name != Self.reference } }

    /// What placements may name when these devices are tested: a placement is of one engine, that of the first of
    /// them. Its own devices that are tested, and the one that all others can be beside.
    public func placeable(with devices: [String]) -> [String] {
        guard let first = devices.first, let own = engine(of: first)?.devices.map(\.name) else { return devices }
        return own.filter { devices.contains($0) || $0 == own.first }
    }

    /// What all engines under test can be asked for.
    public var traits: EngineTraits {
        engines.dropFirst().reduce(engines.first?.traits ?? EngineTraits()) { $0.common(with: $1.traits) }
    }

    /// Why devices that might be expected are not there.
    public var absences: [String] { engines.flatMap(\.absences) }

    public static let reference = ReferenceDevice.name
}
