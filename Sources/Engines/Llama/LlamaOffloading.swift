import CLlama
import Foundation
import Inference

/// A placement as llama.cpp takes it: so many of the last layers to some devices, and tensors that go elsewhere.
package struct LlamaOffloading {
    /// ggml's numbers of the devices that layers are offloaded to, and the part of each.
    package private(set) var devices: [Int32] = []
    package private(set) var parts: [Float] = []
    package private(set) var offloadedLayers = 0
    package private(set) var split: Placement.Split
    package private(set) var overrides: [(pattern: String, device: Int32)] = []

    /// - Parameter layers: of the model; 0 where it is not known yet and no layer is placed by itself.
    /// - Throws: `Unsupported` for devices that are not there.
    package init(_ placement: Placement, layers: Int, _ known: LlamaDevices) throws {
        split = placement.split ?? .layers
        let base = try known.named(placement.defaultDevice)
        var order: [LlamaDevices.Device] = []
        for name in placement.namedDevices {
            let device = try known.named(name)
            if device.isOffloadTarget, !order.contains(where: { $0.index == device.index }) { order.append(device) }
        }
        // All is on the CPU then, and needs no rule: llama.cpp compiles each anew for every tensor.
        if order.isEmpty { return }
        let homes = try (0..<layers).map { try known.named(placement.device(ofLayer: $0)) }
        devices = order.map { Int32($0.index) }
        parts = order.map { _ in 1 }

        if split != .layers {
            // Every layer is on all of them.
            offloadedLayers = layers + 1
        } else if base.isOffloadTarget, homes.isEmpty || homes.allSatisfy({ $0.index == base.index }) {
            (devices, parts, offloadedLayers) = ([Int32(base.index)], [1], Int(Int32.max))
        } else {
            // A tail of layers on GPUs is what llama.cpp's own parameters say; each other layer is an override.
            let tail = homes.reversed().prefix(while: \.isOffloadTarget).count
            offloadedLayers = tail == 0 && !base.isOffloadTarget ? 0 : tail + 1
            parts = order.map { device in Float(homes.suffix(tail).count { $0.index == device.index }) }
            let output = order.firstIndex { $0.index == base.index }
            if let output { parts[output] += 1 }
            if parts.allSatisfy({ $0 == 0 }), !parts.isEmpty { parts[0] = 1 }
            for (layer, home) in homes.enumerated() {
                overrides.append((#"^[a-z.]*blk\.\#(layer)\."#, Int32(home.index)))
            }
            if !base.isOffloadTarget { overrides.append((#"^output"#, Int32(base.index))) }
        }
        // Of several that match a name ours is the last, llama.cpp's the first.
        let rules = try placement.tensors.reversed().map { rule in
            ("^(?:\(rule.pattern))$", Int32(try known.named(rule.device).index))
        }
        overrides = rules + overrides
    }

    func withBridgePlacement<Result>(
        _ body: (UnsafePointer<llama_bridge_placement>) throws -> Result
    ) rethrows -> Result {
        let patterns = overrides.map { strdup($0.pattern) }
        defer { patterns.forEach { free($0) } }
        let pointers = patterns.map { UnsafePointer($0) }
        let homes = overrides.map(\.device)
        return try devices.withUnsafeBufferPointer { devices in
            try parts.withUnsafeBufferPointer { parts in
                try pointers.withUnsafeBufferPointer { pointers in
                    try homes.withUnsafeBufferPointer { homes in
                        var placement = llama_bridge_placement()
                        placement.devices = devices.baseAddress
                        placement.device_count = Int32(devices.count)
                        placement.offloaded_layers = Int32(clamping: offloadedLayers)
                        placement.split = switch split {
                        case .layers: LLAMA_BRIDGE_SPLIT_LAYERS
                        case .rows: LLAMA_BRIDGE_SPLIT_ROWS
                        case .tensors: LLAMA_BRIDGE_SPLIT_TENSORS
                        }
                        placement.parts = parts.baseAddress
                        placement.patterns = pointers.baseAddress
                        placement.pattern_devices = homes.baseAddress
                        placement.pattern_count = Int32(homes.count)
                        return try withUnsafePointer(to: placement, body)
                    }
                }
            }
        }
    }
}
