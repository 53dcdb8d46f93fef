import Devices
import Foundation
import Fuzzing
import Inference

/// What the fuzz suite is told by the environment, and where things are.
struct Settings {
    /// `GGUF_FUZZ_SEED`
    var seed: UInt64 = 1
    /// `GGUF_FUZZ_CASES`: of each architecture.
    var cases: UInt64 = 4

    /// Software drivers take about this many times longer than the CPU.
    static let vulkanShare: UInt64 = 8

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let corpus = Corpus(folder: root + "/Corpus")
    static let devices = DeviceSet.all()

    /// Read, and printed, once.
    static let current = Result {
        var settings = Settings()
        settings.seed = try number("GGUF_FUZZ_SEED") ?? settings.seed
        settings.cases = try number("GGUF_FUZZ_CASES") ?? settings.cases
        let variables = "GGUF_FUZZ_SEED=\(settings.seed) GGUF_FUZZ_CASES=\(settings.cases)"
        print("fuzz suite: the same again with \(variables) swift test --filter FuzzTests")
        for absence in devices.absences { print("fuzz suite: not found: \(absence)") }
        return settings
    }

    private static func number(_ name: String) throws -> UInt64? {
        guard let text = ProcessInfo.processInfo.environment[name] else { return nil }
        guard let number = UInt64(text) else { throw NoNumber(name: name, text: text) }
        return number
    }

    struct NoNumber: Error, CustomStringConvertible {
        var name: String
        var text: String
        var description: String { "\(name)=\(text) is no number" }
    }
}
