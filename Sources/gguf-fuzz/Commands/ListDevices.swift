import ArgumentParser
import Inference

struct ListDevices: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the devices that were found, and why others were not.")

    func run() {
        let found = DeviceSet.all()
        var table = TextTable(["device", "computes in", "what it is"])
        for device in found.devices {
            let precision = device.precision
            let format = precision.storage == precision.accumulation
                ? precision.storage.rawValue
                : "\(precision.storage.rawValue), sums in \(precision.accumulation.rawValue)"
            table.append(device.name, format, device.summary)
        }
        table.print()
        for absence in found.absences { print("not found: \(absence)") }
    }
}
