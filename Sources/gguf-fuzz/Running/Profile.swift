import ArgumentParser
import Foundation
import Yams

/// A file of options for `run`: YAML, whose keys are their names.
enum Profile {
    /// Those that the program has in itself, by name.
    private static let own = [
        "nightly": PackageResources.nightly_yaml,
        "one-architecture": PackageResources.one_architecture_yaml,
        "quick": PackageResources.quick_yaml,
    ]

    private static let mostRepeated = 64
    /// Characters of what is told of what is wrong: it may quote the whole file.
    private static let longestReason = 400

    /// - Parameter name: a file, the name of one in `Fuzz` without its ending, or of one that the program has in
    ///   itself.
    /// - Throws: `CommandError` that names the file, the line and the key.
    static func options(_ name: String) throws -> RunOptions {
        let (path, text) = try text(name)
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw CommandError("\(path): no YAML: \("\(error)".prefix(longestReason))")
        }
        guard let root else { return try RunOptions.parse([]) }
        guard let mapping = root.mapping else { throw CommandError("\(path): is no mapping of options to values") }

        var arguments: [String] = []
        for (key, value) in mapping {
            let name = String((key.string ?? "?").prefix(longestReason))
            let place = key.mark.map { "\(path): line \($0.line): \(name)" } ?? "\(path): \(name)"
            let own = try self.arguments(name, value, place)
            // Each by itself, so that what is wrong with it can be put down to its key.
            try parse(own, place)
            arguments += own
        }
        return try parse(arguments, path)
    }

    @discardableResult
    private static func parse(_ arguments: [String], _ place: String) throws -> RunOptions {
        do {
            return try RunOptions.parse(arguments)
        } catch {
            throw CommandError("\(place): \(RunOptions.message(for: error).prefix(longestReason))")
        }
    }

    /// What the command line repeats, where others take a list with commas.
    private static let repeated: Set = ["engine", "known"]

    /// An option as the command line has it.
    private static func arguments(_ name: String, _ value: Node, _ place: String) throws -> [String] {
        func text(_ node: Node) throws -> String {
            guard let scalar = node.scalar, !scalar.string.isEmpty else { throw CommandError("\(place): has no value") }
            return scalar.string
        }
        switch value {
        case .sequence(let values):
            let texts = try values.map(text)
            guard repeated.contains(name) else { return ["--\(name)", texts.joined(separator: ",")] }
            // A command line of thousands of options takes minutes to read.
            guard texts.count <= mostRepeated else {
                throw CommandError("\(place): lists \(texts.count); at most \(mostRepeated) are allowed")
            }
            return texts.flatMap { ["--\(name)", $0] }
        case .scalar where name == "in-process":
            guard let isSet = value.bool else { throw CommandError("\(place): is neither true nor false") }
            return isSet ? ["--\(name)"] : []
        default:
            return ["--\(name)", try text(value)]
        }
    }

    private static func text(_ name: String) throws -> (path: String, text: String) {
        let isFile = FileManager.default.fileExists(atPath: name) || name.contains("/") || name.hasSuffix(".yaml")
        let path = isFile ? name : "Fuzz/\(name).yaml"
        if !isFile, !FileManager.default.fileExists(atPath: path) {
            guard let bytes = own[name] else {
                let names = own.keys.sorted().joined(separator: ", ")
                throw CommandError("--profile \(name): no such file, nor \(path); the program's own are \(names)")
            }
            return (name, String(decoding: bytes, as: UTF8.self))
        }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandError("\(path): cannot be read")
        }
        return (path, text)
    }
}
