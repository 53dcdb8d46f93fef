import ArgumentParser
import Architectures
import Devices
import GGUF
import Inference

/// Names separated by commas, or `all`.
struct NameList: ExpressibleByArgument, CustomStringConvertible {
    /// nil: all.
    var names: [String]?
    static let all = NameList(names: nil)

    init(names: [String]?) { self.names = names }
    init?(argument: String) {
        let names = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard !names.contains("") else { return nil }
        self.names = names == ["all"] ? nil : names
    }
    var description: String { names?.joined(separator: ",") ?? "all" }

    /// - Throws: `MetadataError` that lists what is supported.
    func architectures() throws -> [any Architecture.Type] {
        try names?.map(ArchitectureCatalog.named) ?? ArchitectureCatalog.all
    }

    /// - Throws: `CommandError` that lists the devices there are.
    func devices(of set: DeviceSet) throws -> [any Device] {
        try names?.map(set.device) ?? set.devices
    }
}

extension DeviceSet {
    /// - Throws: `CommandError` that lists the devices there are, and says why others are not.
    func device(_ name: String) throws -> any Device {
        guard let device = devices.first(where: { $0.name == name }) else {
            let reason = absences.isEmpty ? "" : "; \(absences.joined(separator: "; "))"
            throw CommandError("--device \(name): no such device; there are \(devices.map(\.name).joined(separator: ", "))\(reason)")
        }
        return device
    }
}

/// Token ids, separated by commas or spaces.
struct TokenList: ExpressibleByArgument {
    var ids: [Int]

    init(ids: [Int]) { self.ids = ids }
    init?(argument: String) {
        let parts = argument.split { $0 == "," || $0 == " " }
        ids = parts.compactMap { Int($0) }
        guard !ids.isEmpty, ids.count == parts.count else { return nil }
    }
}

/// What the large matrices of toys can be.
struct MatrixType: ExpressibleByArgument, CustomStringConvertible {
    let type: TensorType
    static let f32 = MatrixType(type: .f32)
    private static let all: [TensorType] = [.f32, .f16, .bf16, .q8_0, .q4_0]

    private init(type: TensorType) { self.type = type }
    init?(argument: String) {
        guard let type = TensorType(name: argument), Self.all.contains(type) else { return nil }
        self.type = type
    }
    var description: String { type.name }
    static var allValueStrings: [String] { all.map(\.name) }
}

extension StateType: ExpressibleByArgument {}
extension Adversity: ExpressibleByArgument {}

/// How embeddings are pooled, by name.
struct PoolingName: ExpressibleByArgument {
    let pooling: Pooling

    init?(argument: String) {
        guard let pooling = Pooling.allCases.first(where: { $0.name == argument }) else { return nil }
        self.pooling = pooling
    }
    static var allValueStrings: [String] { Pooling.allCases.map(\.name) }
}
