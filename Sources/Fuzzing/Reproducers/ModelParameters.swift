import Engines
import Inference

/// `model_params` of a program: where llama.cpp is to put a model, and how it is to load it.
struct ModelParameters {
    let text: String

    /// - Parameters:
    ///   - name: of the function.
    ///   - layers: of the model.
    init(_ name: String, _ script: Script, layers: Int) throws {
        let (placement, chosen) = (script.placement, script.options.settings)
        let names = placement.namedDevices.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let offloading = try LlamaOffloading(placement, layers: layers, LlamaDevices(named: names))
        func device(_ index: Int32) -> String {
            "device(\(String(names[Int(index)].dropFirst(LlamaDevices.prefix.count)).literal))"
        }

        var tables: [String] = [], settings: [String] = []
        let devices = offloading.devices.map { device($0) + ", " }.joined()
        tables.append("static ggml_backend_dev_t devices[] = {\(devices)nullptr};")
        settings.append("devices = devices;" + (devices.isEmpty ? "  // none beside the CPU" : ""))
        let isWhole = offloading.offloadedLayers == Int(Int32.max)
        settings.append("n_gpu_layers = \(isWhole ? -1 : offloading.offloadedLayers);")
        switch offloading.split {
        case .layers: break
        case .rows: settings.append("split_mode = LLAMA_SPLIT_MODE_ROW;")
        case .tensors: settings.append("split_mode = LLAMA_SPLIT_MODE_TENSOR;")
        }
        if offloading.devices.count > 1 {
            let parts = offloading.parts.map { "\($0)" }.joined(separator: ", ")
            tables += [
                "static std::vector<float> tensor_split = {\(parts)};", "tensor_split.resize(llama_max_devices());",
            ]
            settings.append("tensor_split = tensor_split.data();")
        }
        if !offloading.overrides.isEmpty {
            tables.append("static const llama_model_tensor_buft_override overrides[] = {")
            tables += offloading.overrides.map { rule in
                "    {\(rule.pattern.literal), ggml_backend_dev_buffer_type(\(device(rule.device)))},"
            }
            tables += ["    {nullptr, nullptr},", "};"]
            settings.append("tensor_buft_overrides = overrides;")
        }
        if !chosen[.repackedWeights].flag {
            settings.append("use_extra_bufts = false;  // weights as the file has them")
        }
        if chosen[.checksTensors].flag { settings.append("check_tensors = true;") }
        switch chosen[.reading] {
        case .name("read"): settings.append("load_mode = LLAMA_LOAD_MODE_NONE;")
        case .name("direct"): settings.append("load_mode = LLAMA_LOAD_MODE_DIRECT_IO;")
        default: break
        }
        let lines = tables + ["llama_model_params mparams = llama_model_default_params();"]
            + settings.map { "mparams." + $0 } + ["return mparams;"]
        text = "static llama_model_params \(name)() {\n" + lines.map { "    \($0)\n" }.joined() + "}"
    }
}
