import Foundation

/// A file of JSON records, one a line, for each case and device.
final class CaseLog {
    private struct Record: Encodable {
        var architecture: String
        var `case`: UInt64
        var device: String
        var milliseconds: Double
        /// Absent where it is not finite.
        var nmse: Double?
        var failure: String?
        var fallbacks: [String]
    }

    private let path: String
    private let file: FileHandle
    private let encoder = JSONEncoder()

    init(path: String) throws {
        self.path = path
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path) else {
            throw CommandError("\(path): cannot be written")
        }
        self.file = file
    }

    func append(_ result: CaseResult) throws {
        for measurement in result.measurements {
            let record = Record(
                architecture: result.architecture, case: result.index, device: measurement.device,
                milliseconds: measurement.duration.seconds * 1000, nmse: measurement.error.isFinite ? measurement.error : nil,
                failure: measurement.failure, fallbacks: measurement.fallbacks)
            do {
                try file.write(contentsOf: encoder.encode(record) + Data("\n".utf8))
            } catch {
                throw CommandError("\(path): cannot be written")
            }
        }
    }
}
