import CLlama
import Devices
import Foundation
import GGUF
import Inference

/// llama.cpp, by its public API, on its own devices. An assertion of its own ends the process, so it belongs into a
/// worker.
public final class LlamaEngine: Engine {
    public let name = "llama"
    public let devices: [EngineDevice]
    public let absences: [String]
    public let version: String
    /// It cannot tell what is invalid from what it lacks.
    public let refusesOnlyInvalid = false
    public let traits: EngineTraits
    /// Whether a child of the process can go on with it: a driver of a GPU cannot.
    public var survivesFork: Bool {
        bridge.functions.pointee.device_count() == 1 && !ggmlDevices.usable.contains(where: \.isOffloadTarget)
    }
    private let bridge: LlamaBridge
    private let ggmlDevices: LlamaDevices

    /// - Parameters:
    ///   - path: of the bridge that was compiled by `LlamaInstallation`.
    ///   - libraryFolder: where backends are that are libraries of their own.
    /// - Throws: `EngineStartError`.
    public init(bridge path: String, libraryFolder: String) throws {
        bridge = try LlamaBridge(path: path, libraryFolder: libraryFolder)
        ggmlDevices = LlamaDevices(bridge.functions)
        guard !ggmlDevices.usable.isEmpty else { throw EngineStartError("\(path): llama.cpp has no device") }
        devices = ggmlDevices.usable.map(\.engineDevice)
        absences = ggmlDevices.absences
            + bridge.absentBackends(libraryFolder: libraryFolder).map { "llama: \($0)" }
        version = bridge.version
        traits = EngineTraits(
            cacheTypes: StateType.allCases,
            settings: bridge.settings.union(Setting.allCases.filter(\.isOfOtherSessions)),
            splits: Placement.Split.allCases, admitsGaps: false, contextUnit: 256, boundsSizes: false,
            takesEmbeddings: true, adapters: bridge.adapters, trains: bridge.functions.pointee.trains(),
            readsVocabularies: true, tokenizes: true)
    }

    /// As a file: that maps its tensors, and does not ask for those that a model may lack.
    public func load(_ source: any TensorSource) throws -> any EngineModel {
        try model(.temporaryFile(TemporaryFile(bytes: source.bytesOfFile()))) { source.metadata }
    }

    public func load(inMemory source: any TensorSource) throws -> any EngineModel {
        try model(.memory(source)) { source.metadata }
    }

    public func load(file path: String) throws -> any EngineModel {
        try model(.file(path)) { (try? FileSource(path: path))?.metadata }
    }

    /// What this program reads, it can make what llama.cpp asks for; else llama.cpp gets the bytes as they are.
    public func load(fileInMemory path: String) throws -> any EngineModel {
        guard let source = try? FileSource(path: path) else {
            return try model(.bytes(Data(contentsOf: URL(fileURLWithPath: path)))) { nil }
        }
        return try load(inMemory: source)
    }

    public func readVocabulary(file path: String) throws {
        LlamaLog.shared.clear()
        guard bridge.functions.pointee.read_vocabulary(path) else { throw Refusal(LlamaLog.shared.reason) }
    }

    public func tokenize(_ inputs: [TokenizerInput], file path: String) throws -> [[Int]?] {
        LlamaLog.shared.clear()
        let functions = bridge.functions.pointee
        guard let model = functions.load_vocabulary(path) else { throw Refusal(LlamaLog.shared.reason) }
        defer { functions.free_model(model) }
        guard functions.has_tokenizer(model) else { throw Refusal("the model has no tokenizer") }
        return try inputs.map { input in
            // Most texts have a token for each byte at most; of others it says how many they have.
            var ids = [Int32](repeating: 0, count: input.bytes.count + 8)
            func tokenize() -> Int {
                input.bytes.withUnsafeBytes { text in
                    Int(
                        functions.tokenize(
                            model, text.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: text.count),
                            input.addSpecial, input.parseSpecial, &ids, Int32(clamping: ids.count)))
                }
            }
            var count = tokenize()
            if count < 0, count > Int(Int32.min) {
                ids = Array(repeating: 0, count: -count)
                count = tokenize()
            }
            guard (0...ids.count).contains(count) else {
                throw EngineError("a text of \(input.bytes.count) bytes has \(count) tokens")
            }
            return ids.prefix(count).map { Int($0) }
        }
    }

    /// It is loaded as the whole of it on the CPU, which says whether it is one; a script's placement loads it anew.
    private func model(
        _ origin: LlamaModel.Origin, metadata: @escaping () -> Metadata?
    ) throws -> any EngineModel {
        let model = LlamaModel(origin, metadata: metadata, bridge.functions, ggmlDevices)
        try model.load(LlamaModel.Loading(Placement(devices[0].name)))
        return model
    }
}

/// The devices of ggml.
package struct LlamaDevices {
    struct Device {
        /// ggml's number of it.
        var index: Int
        var isOffloadTarget: Bool
        var engineDevice: EngineDevice
    }
    /// Those that a model can be placed on.
    private(set) var usable: [Device] = []
    private(set) var absences: [String] = []

    /// Devices that are only known by name, `llama:CPU`: their numbers are their places among the names.
    package init(named names: [String]) {
        usable = names.enumerated().map { index, name in
            let precision = Precision(storage: .float32, accumulation: .float32)
            return Device(
                index: index, isOffloadTarget: name != Self.cpu,
                engineDevice: EngineDevice(name: name, summary: "", precision: precision))
        }
    }

    /// Before the names that ggml has for them.
    package static let prefix = "llama:"
    package static let cpu = prefix + "CPU"

    init(_ functions: UnsafePointer<llama_bridge>) {
        for index in 0..<Int(functions.pointee.device_count()) {
            var info = llama_bridge_device()
            functions.pointee.device(Int32(index), &info)
            let name = Self.prefix + LlamaBridge.text(info.name)
            let backend = LlamaBridge.text(info.backend)
            let isCPU = backend == "CPU"
            guard isCPU || info.is_offload_target else {
                absences.append("\(name): helps the CPU, and is no device of its own")
                continue
            }
            let summary = LlamaBridge.text(info.description).trimmingCharacters(in: .whitespaces)
            let device = EngineDevice(
                name: name, summary: isCPU ? summary : "\(summary) (\(backend))",
                precision: Precision(storage: .float32, accumulation: .float32),
                // ggml fuses an addition or a product with what follows, where there is one.
                fusesByTensors: info.is_offload_target ? true : nil,
                isAccelerator: info.is_offload_target ? true : nil)
            usable.append(Device(index: index, isOffloadTarget: info.is_offload_target, engineDevice: device))
        }
        // The CPU first: the simplest.
        usable = usable.filter { !$0.isOffloadTarget } + usable.filter(\.isOffloadTarget)
    }

    /// - Throws: `Unsupported`.
    func named(_ name: String) throws -> Device {
        guard let device = usable.first(where: { $0.engineDevice.name == name }) else {
            throw Unsupported("llama.cpp has no device \(name)")
        }
        return device
    }
}
