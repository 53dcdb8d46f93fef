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
    /// Whether the bytes hold every tensor that llama.cpp can use, as its loader from memory takes for granted.
    private var isComplete = true
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
        let model = offloading.withBridgePlacement { placement in
            switch origin {
            case .bytes(let bytes): load(bytes, placement)
            case .file(let path): functions.pointee.load_file(path, placement)
            }
        }
        guard let model else { throw Refusal(LlamaLog.shared.reason) }
        loaded = (placement, model)
        return model
    }

    /// By the loader of models in memory, or, for a model without some optional tensors, by that of files.
    private func load(
        _ bytes: [UInt8], _ placement: UnsafePointer<llama_bridge_placement>
    ) -> UnsafeMutableRawPointer? {
        bytes.withUnsafeBytes { file in
            if isComplete {
                var missing = [CChar](repeating: 0, count: 256)
                let model = functions.pointee.load(file.baseAddress, file.count, placement, &missing, missing.count)
                if missing[0] == 0 || file.count < 24 || tensorCount(bytes) == 0 { return model }
                if let model { functions.pointee.free_model(model) }
                isComplete = false
                LlamaLog.shared.clear()
            }
            return functions.pointee.load_stream(file.baseAddress, file.count, placement)
        }
    }

    /// Of a GGUF file: bytes 8 to 15.
    private func tensorCount(_ bytes: [UInt8]) -> UInt64 { bytes[8..<16].reversed().reduce(0) { $0 << 8 | UInt64($1) } }

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
        #if os(Linux)
            // Nothing stays behind where saving ends the process.
            let file = try UnnamedFile()
            let path = "/proc/self/fd/\(file.handle.fileDescriptor)"
        #else
            let path = FileManager.default.temporaryDirectory
                .appendingPathComponent("gguf-fuzz-\(ProcessInfo.processInfo.processIdentifier).gguf").path
            defer { unlink(path) }
        #endif
        functions.pointee.save_model(model, path)
        return try Array(Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
