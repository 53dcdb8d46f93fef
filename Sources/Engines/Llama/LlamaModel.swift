import CLlama
import Foundation
import Inference

/// A model in llama.cpp. Where its tensors are is decided when it is loaded, so each placement loads it anew.
final class LlamaModel: EngineModel {
    enum Origin {
        case bytes([UInt8])
        case file(String)
    }
    private let origin: Origin
    private let functions: UnsafePointer<llama_bridge>
    private let devices: LlamaDevices
    private var loaded: (placement: Placement, model: UnsafeMutableRawPointer)?

    init(_ origin: Origin, _ functions: UnsafePointer<llama_bridge>, _ devices: LlamaDevices) {
        self.origin = origin
        self.functions = functions
        self.devices = devices
    }

    deinit { free() }

    private func free() {
        if let loaded { functions.pointee.free_model(loaded.model) }
        loaded = nil
    }

    /// - Throws: `Refusal` in llama.cpp's words.
    @discardableResult
    func load(_ placement: Placement) throws -> UnsafeMutableRawPointer {
        if let loaded, loaded.placement == placement { return loaded.model }
        let layers = loaded.map { Int(functions.pointee.layer_count($0.model)) } ?? 0
        let offloading = try LlamaOffloading(placement, layers: layers, devices)
        free()
        LlamaLog.shared.clear()
        let model = try offloading.withBridgePlacement { placement in
            switch origin {
            case .bytes(let bytes): try load(bytes, placement)
            case .file(let path): functions.pointee.load_file(path, placement)
            }
        }
        guard let model else { throw Refusal(LlamaLog.shared.reason) }
        loaded = (placement, model)
        return model
    }

    private func load(
        _ bytes: [UInt8], _ placement: UnsafePointer<llama_bridge_placement>
    ) throws -> UnsafeMutableRawPointer? {
        var missing = [CChar](repeating: 0, count: 256)
        let model = bytes.withUnsafeBytes { file in
            functions.pointee.load(file.baseAddress, file.count, placement, &missing, missing.count)
        }
        let name = String(decoding: missing.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        // Metadata alone may be offered, to be refused.
        if let model, !name.isEmpty, (try? GGUFHeaderCount.tensors(bytes)) != 0 {
            functions.pointee.free_model(model)
            throw Refusal("it wants the tensor \(name), which is not there or of another size")
        }
        return model
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        let model: UnsafeMutableRawPointer
        do {
            model = try load(script.placement)
        } catch let refusal as Refusal {
            throw Unsupported("\(script.placement): \(refusal.reason)")
        }
        return try script.play(willBegin: willBegin) { [functions] in try LlamaSession(model, script, functions) }
    }

    func saved() throws -> [UInt8] {
        let model = try load(loaded?.placement ?? Placement(devices.usable[0].engineDevice.name))
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("gguf-fuzz-\(ProcessInfo.processInfo.processIdentifier).gguf").path
        defer { unlink(path) }
        functions.pointee.save_model(model, path)
        return try Array(Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

/// The number of tensors that a GGUF file's first bytes say it has.
private enum GGUFHeaderCount {
    struct TooShort: Error {}
    static func tensors(_ bytes: [UInt8]) throws -> UInt64 {
        guard bytes.count >= 16 else { throw TooShort() }
        return bytes[8..<16].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
