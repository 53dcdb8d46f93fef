import CLlama
import Devices
import Foundation
import GGUF
import Inference

/// A model in llama.cpp. Where its tensors are is decided when it is loaded, so each placement loads it anew.
final class LlamaModel: EngineModel {
    enum Origin {
        case memory(any TensorSource)
        /// What may be no file.
        case bytes(Data)
        case file(String)
        case temporaryFile(TemporaryFile)
    }
    private var origin: Origin
    private let metadata: () -> Metadata?
    /// Of whose results the context is that the model takes. No public function says how many there are, and of most
    /// models nobody asks.
    private lazy var targetBlocks = metadata().map { $0["dflash.target_layers"]?.elements?.count ?? 1 }
    private let functions: UnsafePointer<llama_bridge>
    private let devices: LlamaDevices
    private var loaded: (loading: Loading, model: UnsafeMutableRawPointer)?
    /// Those that the loaded model may map, where they are others than the model's own.
    private var files: [TemporaryFile] = []
    private var adapterFiles: [AdapterFile] = []
    /// Those of the loaded model.
    private var adapters = LlamaAdapters()
    /// What was done in another way than asked, and why.
    private var fallbacks: [String] = []

    /// - Parameter metadata: the model's, where they can be read; asked for only if they are needed.
    init(
        _ origin: Origin, metadata: @escaping () -> Metadata?, _ functions: UnsafePointer<llama_bridge>,
        _ devices: LlamaDevices
    ) {
        self.origin = origin
        self.metadata = metadata
        self.functions = functions
        self.devices = devices
    }

    deinit { free() }

    private func free() {
        if let loaded { functions.pointee.free_model(loaded.model) }
        loaded = nil
        files = []
    }

    /// How a model is loaded: scripts that differ in this cannot share it.
    struct Loading: Hashable {
        var placement: Placement
        var isRepacked = false
        var reading = "mapped"
        var checksTensors = false
        var parts = 1
        var given = LlamaGivenValues()

        init(_ placement: Placement) { self.placement = placement }

        /// - Parameter metadata: the model's, asked for only if they are needed.
        init(_ script: Script, _ metadata: () -> Metadata?) {
            placement = script.placement
            parts = script.options.settings[.parts].number
            given = LlamaGivenValues(script.options.settings, metadata)
            isRepacked = script.options.settings[.repackedWeights].flag
            reading = script.options.settings[.reading].description
            checksTensors = script.options.settings[.checksTensors].flag
        }
    }

    /// - Throws: `Refusal` in llama.cpp's words.
    @discardableResult
    func load(_ loading: Loading) throws -> UnsafeMutableRawPointer {
        if let loaded, loaded.loading == loading { return loaded.model }
        let layers = loaded.map { Int(functions.pointee.layer_count($0.model)) } ?? 0
        let offloading = try LlamaOffloading(loading.placement, layers: layers, devices)
        free()
        LlamaLog.shared.clear()
        let model = try offloading.withBridgePlacement { placement in
            try loading.reading.withCString { reading in
                try loading.given.withOverrides { overrides in
                    var placement = placement.pointee
                    placement.repacked = loading.isRepacked
                    placement.checks_tensors = loading.checksTensors
                    placement.reading = reading
                    placement.overrides = overrides.baseAddress
                    placement.override_count = Int32(overrides.count)
                    return try load(loading, &placement)
                }
            }
        }
        guard let model else { throw Refusal(LlamaLog.shared.reason) }
        loaded = (loading, model)
        try takeAdapters(model)
        return model
    }

    func adapt(by adapters: [AdapterFile]) throws {
        adapterFiles = adapters
        do {
            if let loaded { try takeAdapters(loaded.model) }
        } catch {
            adapterFiles = []
            throw error
        }
    }

    private func takeAdapters(_ model: UnsafeMutableRawPointer) throws {
        adapters = LlamaAdapters()
        if !adapterFiles.isEmpty { adapters = try LlamaAdapters(adapterFiles, model, functions) }
    }

    /// Values are given, and files split, of models that are made for it: of others there is one file.
    private func load(
        _ loading: Loading, _ placement: UnsafePointer<llama_bridge_placement>
    ) throws -> UnsafeMutableRawPointer? {
        switch origin {
        case .file(let path): return functions.pointee.load_file(path, placement)
        case .temporaryFile(let file) where loading.parts == 1 && loading.given.stored.isEmpty:
            return functions.pointee.load_file(file.path, placement)
        case .temporaryFile(let file):
            let source = RetoldSource(try FileSource(path: file.path), loading.given.stored)
            if loading.parts == 1 {
                files = [try TemporaryFile(bytes: source.bytesOfFile())]
                return functions.pointee.load_file(files[0].path, placement)
            }
            files = try source.bytesOfParts(loading.parts).map { try TemporaryFile(bytes: $0) }
            let paths = files.map { strdup($0.path) }
            defer { paths.forEach { Foundation.free($0) } }
            return paths.map { UnsafePointer($0) }.withUnsafeBufferPointer {
                functions.pointee.load_parts($0.baseAddress, Int32($0.count), placement)
            }
        case .bytes(let bytes):
            // Without all of its tensors it would be none.
            var missing = [CChar](repeating: 0, count: 256)
            let model = bytes.withUnsafeBytes { bytes in
                functions.pointee.load_memory(bytes.baseAddress, bytes.count, placement, &missing, missing.count)
            }
            guard let model, missing[0] != 0 else { return model }
            functions.pointee.free_model(model)
            throw Unsupported("a model in memory that lacks a tensor")
        case .memory(let source):
            var missing = [CChar](repeating: 0, count: 256)
            // Of a damaged file there may be no other.
            let model = try Refusal.wrapping {
                try WithOutput(source).withBytesOfFile { bytes in
                    functions.pointee.load_memory(bytes.baseAddress, bytes.count, placement, &missing, missing.count)
                }
            }
            guard let name = missing.withUnsafeBufferPointer({ $0.baseAddress.map { String(cString: $0) } }),
                !name.isEmpty
            else { return model }
            if let model { functions.pointee.free_model(model) }
            let tensor = name.split(separator: ".").map { UInt($0) == nil ? $0 : "N" }.joined(separator: ".")
            fallbacks = ["a model in memory that lacks \(tensor), which llama.cpp takes as a file only"]
            if let file = (source as? FileSource)?.wholeFile {
                origin = .file(file.path)
            } else {
                origin = .temporaryFile(try TemporaryFile(bytes: source.bytesOfFile()))
            }
            LlamaLog.shared.clear()
            return try load(loading, placement)
        }
    }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        let loading = Loading(script, metadata)
        let model: UnsafeMutableRawPointer
        do {
            model = try load(loading)
        } catch let refusal as Refusal {
            throw Unsupported("\(script.placement): \(refusal.reason)")
        }
        let hasEmbeddings = script.steps.contains { $0.batch?.tokens.contains(where: \.isEmbedding) ?? false }
        // Rows of another width would be read beyond their end.
        guard let targetBlocks = hasEmbeddings ? targetBlocks : 1 else {
            throw Unsupported("embeddings of a file that only llama.cpp reads: nobody else knows how wide they are")
        }
        var transcript = try script.play(willBegin: willBegin) { [functions, adapters] in
            try SessionAmongOthers.open(script) {
                try LlamaSession(model, script, loading.given, adapters, functions, targetBlocks: targetBlocks)
            }
        }
        transcript.fallbacks += fallbacks
        return transcript
    }

    func train(_ script: Script, _ training: Training, to path: String) throws -> Trained {
        guard let (source, batch) = script.onlyBatch, source == nil else {
            throw Unsupported("training on other than one batch, or with an encoder")
        }
        // Of longer contexts it leaves keys and values untrained.
        guard batch.tokens.count == script.options.context, script.options.microBatch == script.options.context else {
            throw Unsupported("training on a text that does not fill the context")
        }
        // What is mapped cannot be written.
        var loading = Loading(script, metadata)
        loading.reading = "read"
        let model = try load(loading)
        defer { free() }
        let session = try LlamaSession(model, script, loading.given, adapters, functions, targetBlocks: 1)
        let losses = session.train(model, batch, training)
        functions.pointee.save_model(model, path)
        let untrained = try FileSource(path: path).tensors.filter {
            $0.type != .f32 || Self.untrained.contains($0.name)
        }
        return Trained(losses: losses, untrained: untrained.map(\.name))
    }

    /// What `llama_set_param` in `llama-context.cpp` passes over, though it be float32.
    private static let untrained = ["token_embd.weight", "rope_freqs.weight"]

    func save(to path: String) throws {
        // What is laid out anew cannot be read back.
        let placement = loaded?.loading.placement ?? Placement(devices.usable[0].engineDevice.name)
        functions.pointee.save_model(try load(Loading(placement)), path)
    }
}

/// A model that names its output tensor, even where that is the token embedding: llama.cpp asks for it in memory.
struct WithOutput: TensorSource {
    private static let output = "output.weight"
    private static let embedding = "token_embd.weight"
    private let base: any TensorSource
    private let addsOutput: Bool
    let tensors: [TensorInfo]
    var metadata: Metadata { base.metadata }

    init(_ base: any TensorSource) {
        self.base = base
        var tensors = base.tensors
        var embedding = tensors.first { $0.name == Self.embedding }
        addsOutput = embedding != nil && !tensors.contains { $0.name == Self.output }
        embedding?.name = Self.output
        if addsOutput, let embedding { tensors.append(embedding) }
        self.tensors = tensors
    }

    /// The bytes of its file, which are there already where nothing is added to a file.
    func withBytesOfFile<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        if !addsOutput, let file = (base as? FileSource)?.wholeFile { return try file.withBytes(body) }
        return try bytesOfFile().withUnsafeBytes(body)
    }

    func data(of tensor: TensorInfo) throws -> TensorData {
        var original = tensor
        if addsOutput, tensor.name == Self.output { original.name = Self.embedding }
        var data = try base.data(of: original)
        data.name = tensor.name
        return data
    }
}
