import Devices
import ModelGraph

/// A model's weights on the devices that need them, each loaded when it is first used.
///
/// Sessions of one thread may share it, so that a second session of the same model loads nothing; neither
/// does a session on another device of the same `tensorOwner`.
public final class LoadedWeights {
    public let model: Model
    private var owners: [ObjectIdentifier: Owner] = [:]
    /// What stands in the place of the model's own elements.
    private var replaced: [String: TensorData] = [:]

    /// A device is kept with its tensors: its identity could otherwise become another device's.
    private struct Owner {
        let device: any Device
        var tensors: [String: any DeviceTensor] = [:]
    }

    public init(_ model: Model) { self.model = model }

    func tensor(_ weight: Weight, on device: any Device) throws -> any DeviceTensor {
        let owner = device.tensorOwner
        let key = ObjectIdentifier(owner)
        if let known = owners[key]?.tensors[weight.name] { return known }
        let loaded = try owner.load(replaced[weight.name] ?? model.data(of: weight))
        owners[key, default: Owner(device: owner)].tensors[weight.name] = loaded
        return loaded
    }

    /// - Parameter new: elements of the same shapes and types, by name.
    func replace(by new: [String: TensorData]) {
        replaced.merge(new) { $1 }
        for key in owners.keys { for name in new.keys { owners[key]?.tensors[name] = nil } }
    }
}
