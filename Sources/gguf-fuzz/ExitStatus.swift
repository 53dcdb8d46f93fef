import ArgumentParser
import CSystem
import Engines
import Foundation

/// How the program ends.
enum ExitStatus {
    /// A device disagrees, a file differs: what was asked about does not hold.
    static let propertyFailed = ExitCode(1)
    static let badInput = ExitCode(2)

    /// Ends the program as an error says: help goes to standard output, anything else is one line on
    /// standard error.
    static func exit(for error: any Error) -> Never {
        switch GGUFFuzz.exitCode(for: error) {
        case .success:
            print(GGUFFuzz.fullMessage(for: error))
            end(.success, because: nil)
        case .validationFailure:
            end(badInput, because: GGUFFuzz.message(for: error) + " (see gguf-fuzz --help)")
        case let code where error is ExitCode:
            end(code, because: nil)
        case _ where error is EngineDeath:
            end(propertyFailed, because: "the engine \(error)")
        default:
            end(badInput, because: "\(error)")
        }
    }

    /// Ends the program where nothing went wrong.
    static func exit() -> Never { end(.success, because: nil) }

    /// What was printed and could not be written is bad output, whatever else happened.
    private static func end(_ code: ExitCode, because reason: String?) -> Never {
        let failure = csystem_flush_output()
        if let reason {
            Terminal.error("gguf-fuzz: \(Terminal.printable(CommandError.line(reason)))")
        }
        if failure != 0 {
            Terminal.error("gguf-fuzz: standard output: cannot be written: \(String(cString: strerror(failure)))")
        }
        Foundation.exit(failure == 0 ? code.rawValue : badInput.rawValue)
    }
}

/// An error of the command line's own, or of a layer below with the file that it is about.
struct CommandError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }

    /// An error's text on one line.
    static func line(_ reason: String) -> String { reason.split(whereSeparator: \.isNewline).joined(separator: " ") }

    /// The same, naming the file.
    static func line(_ file: String, _ error: any Error) -> String {
        let reason = line("\(error)")
        return reason.hasPrefix(file) ? reason : "\(file): \(reason)"
    }

    /// Runs `body`; what it throws then names the file.
    static func naming<Result>(_ file: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let death as EngineDeath {
            throw death
        } catch {
            let description = "\(error)"
            throw description.hasPrefix(file) ? error : CommandError("\(file): \(description)")
        }
    }
}
