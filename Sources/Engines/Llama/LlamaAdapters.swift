import CLlama
import Inference

/// What a model of llama.cpp is adapted by.
struct LlamaAdapters {
    private var lora: [UnsafeMutableRawPointer?] = []
    private var scales: [Float] = []
    private var controlVector: ControlVector?

    /// A row for each block but the first.
    private struct ControlVector {
        var elements: [Float]
        var width: Int
        var layers: ClosedRange<Int>
    }

    init() {}

    /// - Parameters:
    ///   - files: LoRA adapters, and one control vector or none.
    ///   - model: that takes them.
    ///   - functions: the bridge's.
    /// - Throws: `Refusal`, of a LoRA adapter in llama.cpp's words; `Unsupported` for a second control vector.
    init(
        _ files: [AdapterFile], _ model: UnsafeMutableRawPointer, _ functions: UnsafePointer<llama_bridge>
    ) throws {
        for file in files {
            // llama.cpp reads LoRA adapters by itself, whatever they are, and control vectors not at all.
            if let vector = ControlVectorFile(path: file.path) {
                guard controlVector == nil else { throw Unsupported("two control vectors at once") }
                let layers = Int(functions.pointee.layer_count(model))
                let elements = try Refusal.wrapping { try vector.elements(layers: layers) }
                controlVector = ControlVector(
                    elements: elements.map { $0 * Float(file.scale) }, width: vector.width,
                    layers: file.layers ?? 1...max(1, layers))
            } else {
                LlamaLog.shared.clear()
                guard let adapter = functions.pointee.load_adapter(model, file.path) else {
                    throw Refusal(LlamaLog.shared.reason)
                }
                lora.append(adapter)
                scales.append(Float(file.scale))
            }
        }
    }

    /// - Parameters:
    ///   - session: gets what there is, while `body` runs.
    ///   - body: opens it.
    func withSession<Result>(
        _ session: inout llama_bridge_session, _ body: (UnsafePointer<llama_bridge_session>) -> Result
    ) -> Result {
        lora.withUnsafeBufferPointer { lora in
            scales.withUnsafeBufferPointer { scales in
                (controlVector?.elements ?? []).withUnsafeBufferPointer { elements in
                    session.adapters = lora.baseAddress
                    session.adapter_scales = scales.baseAddress
                    session.adapter_count = Int32(lora.count)
                    if let controlVector {
                        session.control_vector = elements.baseAddress
                        session.control_vector_length = elements.count
                        session.control_vector_width = Int32(clamping: controlVector.width)
                        session.control_vector_first = Int32(clamping: controlVector.layers.lowerBound)
                        session.control_vector_last = Int32(clamping: controlVector.layers.upperBound)
                    }
                    return body(&session)
                }
            }
        }
    }
}
