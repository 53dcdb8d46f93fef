import ArgumentParser
import Architectures
import Devices
import Fuzzing
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

    /// The devices under test: those of the engines, but for the reference, with which they are compared.
    /// - Throws: `CommandError` that lists the devices there are.
    func devices(of engines: EngineSet) throws -> [String] {
        let known = engines.devices.map(\.name)
        for name in names ?? [] where !known.contains(name) {
            if name == EngineSet.reference {
                throw CommandError(
                    "--device reference: is what the others are compared with; "
                        + "there are \(known.joined(separator: ", "))")
            }
            throw CommandError.noDevice(name, known, engines.absences)
        }
        return names.map { names in known.filter(names.contains) } ?? known
    }

    /// - Throws: `CommandError` that lists the checks there are.
    func checks() throws -> [Check] {
        try names?.map { name in
            guard let check = Check(rawValue: name) else {
                throw CommandError(
                    "--check \(name): no such check; \(NearNames.offer(Check.allCases.map(\.rawValue), for: name))")
            }
            return check
        } ?? Check.usual
    }
}

extension DeviceSet {
    /// - Throws: `CommandError` that lists the devices there are, and says why others are not.
    func device(_ name: String) throws -> any Device {
        guard let device = devices.first(where: { $0.name == name }) else {
            throw CommandError.noDevice(name, devices.map(\.name), absences)
        }
        return device
    }
}

extension CommandError {
    static func noDevice(_ name: String, _ known: [String], _ absences: [String]) -> CommandError {
        let reason = absences.isEmpty ? "" : "; \(absences.joined(separator: "; "))"
        return CommandError("--device \(name): no such device; \(NearNames.offer(known, for: name))\(reason)")
    }
}

/// A number and a unit: `90s`, `30m`, `8h`.
struct TimeSpan: ExpressibleByArgument, CustomStringConvertible {
    var description: String
    let duration: Duration

    init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let unit = argument.last.flatMap({ units[$0] }), let number = Double(argument.dropLast()),
            number > 0, number * unit <= 1e9
        else { return nil }
        description = argument
        duration = .seconds(number * unit)
    }
}

/// A number and a unit: `512M`, `4G`.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
    var description: String
    let bytes: Int

    init?(argument: String) {
        let units: [Character: Double] = ["K": 0x1p10, "M": 0x1p20, "G": 0x1p30, "T": 0x1p40]
        guard let unit = argument.last.flatMap({ units[$0] }), let number = Double(argument.dropLast()),
            number > 0, number * unit <= 0x1p60
        else { return nil }
        description = argument
        bytes = Int(number * unit)
    }
}

/// `I/N`: part I of N, counted from 1.
struct Shard: ExpressibleByArgument, CustomStringConvertible {
    let number: UInt64
    let count: UInt64
    static let whole = Shard(number: 1, count: 1)

    private init(number: UInt64, count: UInt64) {
        self.number = number
        self.count = count
    }
    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { UInt64($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1], (1...100_000).contains(count),
            (1...count).contains(number)
        else { return nil }
        self.init(number: number, count: count)
    }
    var description: String { "\(number)/\(count)" }
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
    private static let all = WeightRecipe.drawnTypes

    private init(type: TensorType) { self.type = type }
    init?(argument: String) {
        guard let type = TensorType(name: argument), Self.all.contains(type) else { return nil }
        self.type = type
    }
    var description: String { type.name }
    static var allValueStrings: [String] { all.map(\.name) }
}

extension StateType: ExpressibleByArgument {}
extension RunPlan.LogDetail: ExpressibleByArgument {}
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
