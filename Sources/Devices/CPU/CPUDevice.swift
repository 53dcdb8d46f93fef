import CKernels
import Foundation
import GGUF
import ModelGraph

/// float32 with SIMD; weights are used in their own type, decoded a few rows at a time.
///
/// Results depend neither on the number of threads nor on which other tokens a batch holds.
public final class CPUDevice: Device {
    public static let name = "cpu"
    public let name: String = CPUDevice.name
    public let summary: String
    public let precision = Precision(storage: .float32, accumulation: .float32)
    let kernels: CPUKernelTable
    let threads: Int
    let arenas = CPUArenaPool()

    /// - Parameter threads: how many run large products side by side.
    public convenience init(threads: Int = 1) {
        self.init(threads: threads, kernels: .best)
    }

    init(threads: Int, kernels: CPUKernelTable) {
        self.threads = max(1, threads)
        self.kernels = kernels
        summary = "\(Self.processor), \(kernels.name), \(self.threads) thread\(self.threads == 1 ? "" : "s")"
    }

    public func unsupported(_ node: Node, in graph: Graph, weightTypes: [TensorType]) -> String? {
        nil
    }

    public func load(_ tensor: TensorData) throws -> any DeviceTensor {
        try CPUTensor(tensor, kernels: kernels)
    }

    public func allocate(_ state: State, rows: Int, type: StateType) throws -> any DeviceState {
        try checkNative(type)
        return try CPUState(rows: rows, rowCount: state.row.count, type: type, kernels: kernels)
    }

    public func compile(_ segment: Segment) throws -> any Executable {
        try CPUExecutable(segment, device: self)
    }

    /// The processor's own name for itself.
    private static let processor: String = {
        #if os(Linux)
            let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
            let line = information.split(separator: "\n").first { $0.hasPrefix("model name") }
            let value = line?.split(separator: ":", maxSplits: 1).last?.trimmingCharacters(in: .whitespaces)
            return value ?? "unnamed processor"
        #elseif canImport(Darwin)
            var size = 0
            sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0)
            var characters = [UInt8](repeating: 0, count: size)
            sysctlbyname("machdep.cpu.brand_string", &characters, &size, nil, 0)
            return String(decoding: characters.prefix { $0 != 0 }, as: UTF8.self)
        #else
            return "unnamed processor"
        #endif
    }()

    static func error(_ reason: String) -> DeviceError { DeviceError(device: "cpu", reason: reason) }
}
