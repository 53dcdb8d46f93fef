import CLibFuzzer
import Foundation

/// A reader of ours, and what libFuzzer gives it.
///
/// Whatever the input, the reader reads it or throws an error of one line. A trap, a leak, a hang and memory beyond
/// what the input warrants are findings; so is an error that is no such line.
public protocol FuzzTarget {
    init() throws
    /// Inputs that the first mutations are made of.
    var seeds: [[UInt8]] { get throws }
    func read(_ input: [UInt8]) throws
}

extension FuzzTarget {
    /// `--seeds FOLDER` writes the seeds to a folder; other arguments are libFuzzer's.
    public static func main() throws {
        let target = try Self()
        if CommandLine.argc == 3, CommandLine.arguments[1] == "--seeds" {
            let folder = URL(fileURLWithPath: CommandLine.arguments[2])
            for (index, seed) in try target.seeds.enumerated() {
                try Data(seed).write(to: folder.appendingPathComponent("seed-\(index)"))
            }
            return
        }
        current = target
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
            current?.tryToRead(Array(UnsafeBufferPointer(start: bytes, count: count)))
            return 0
        })
    }

    fileprivate func tryToRead(_ input: [UInt8]) {
        do {
            try read(input)
        } catch {
            let line = "\(error)"
            let isLine = !line.isEmpty && line.utf8.count < 4096 && !line.contains(where: \.isNewline)
            expect(isLine, "an error that is not one line: \(line)")
        }
    }
}

/// The path of a file that holds an input, until the next one does.
public func file(_ input: [UInt8]) throws -> String {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("input")
    try Data(input).write(to: file)
    return file.path
}

/// What holds of whatever has been read; where it does not, libFuzzer keeps the input.
public func expect(_ holds: Bool, _ otherwise: @autoclosure () -> String) {
    if !holds { fatalError(otherwise()) }
}

/// libFuzzer's function for inputs carries nothing along.
nonisolated(unsafe) private var current: (any FuzzTarget)?
