import ArgumentParser
import Devices
import Inference

/// Where a model runs.
struct EngineOptions: ParsableArguments {
    @Option(help: ArgumentHelp(
        "What holds layers and tensors that --device does not.",
        discussion: "Entries DEVICE, LAYERS=DEVICE (2, 0-3, 4-) or REGEX=DEVICE (whole tensor names), "
            + "separated by commas; the last that fits wins.",
        valueName: "placement"))
    var placement: String?

    @Flag(help: "Refuse to run an op on cpu because its device cannot run it.")
    var strict = false

    @Option(help: "Threads of the cpu device.")
    var threads = 1

    func validate() throws {
        guard (1...1024).contains(threads) else { throw ValidationError("--threads \(threads): must be 1 to 1024") }
    }

    func placement(on device: any Device) throws -> Placement {
        try placement.map { try Placement(parsing: $0, defaultDevice: device.name) } ?? Placement(device.name)
    }
}
