import Devices
import ModelGraph

/// A model's weights on the devices that need them, each loaded when it is first used.
///
/// Sessions of one thread may share it, so that a second session of the same model loads nothing.
public final class LoadedWeights {
    public let model: Model
    private var tensors: [Key: any DeviceTensor] = [:]

    private struct Key: Hashable {
        var device: ObjectIdentifier
        var name: String
    }

    public init(_ model: Model) { self.model = model }

    func tensor(_ weight: Weight, on device: any Device) throws -> any DeviceTensor {
        let key = Key(device: ObjectIdentifier(device), name: weight.name)
        if let known = tensors[key] { return known }
        let loaded = try device.load(model.data(of: weight))
        tensors[key] = loaded
        return loaded
    }
}
