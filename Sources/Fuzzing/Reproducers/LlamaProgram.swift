import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference

/// A C++ program that shows a corpus file's failure by llama.cpp's public API, with the model beside it.
///
/// It is written as one would write it by hand: the parameters that are not llama.cpp's own choice, and a few lines for
/// each step of the script. Its exit status is 0 where all is as it should be, 1 where it is not, and 2 where nothing
/// can be said; a crash is the failure itself, and the last line on standard error says of what.
public struct LlamaProgram {
    public let text: String
    /// What of the failure it does not show.
    public private(set) var limits: [String] = []
    /// The model that the first is compared with, where there is one: it belongs to `Files.transformed`.
    public private(set) var transformed: (any TensorSource)?
    /// What the model is adapted by, of the check `malformed` damaged: they belong to `Files.adapter`.
    public private(set) var adapters: [[UInt8]] = []

    /// The files that belong together, by their paths.
    public struct Files: Hashable, Sendable {
        /// The corpus file.
        public var origin: String
        public var model: String
        public var program: String

        /// - Parameters:
        ///   - origin: the corpus file.
        ///   - model: the GGUF file.
        ///   - program: the C++ file; nil: beside the model and named for it.
        public init(origin: String, model: String, program: String? = nil) {
            self.origin = origin
            self.model = model
            self.program = program ?? Self.stem(of: model) + ".cpp"
        }

        /// Of the check `metamorphic`.
        public var transformed: String { Self.stem(of: model) + "-transformed.gguf" }
        /// Of what the model is adapted by, numbered from 0.
        public func adapter(_ number: Int) -> String { Self.stem(of: model) + "-adapter-\(number).gguf" }
        /// Of the check `roundtrip`: what the program saves.
        var saved: String { Self.stem(of: model) + "-saved.gguf" }
        var executable: String { Self.stem(of: program) }

        /// The command that compiles it. PREFIX is where llama.cpp is installed.
        public var compilation: String {
            "c++ -std=c++17 \(program.shellArgument) -o \(executable.shellArgument) -I PREFIX/include -L PREFIX/lib "
                + "-Wl,-rpath,PREFIX/lib -lllama -lggml -lggml-base"
        }

        /// As they are called in the program's own folder.
        var besideProgram: Files {
            func folder(_ path: String) -> URL { URL(fileURLWithPath: path).deletingLastPathComponent() }
            func name(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }
            let isBeside = folder(model) == folder(program)
            return Files(origin: name(origin), model: isBeside ? name(model) : model, program: name(program))
        }

        private static func stem(of path: String) -> String { (path as NSString).deletingPathExtension }
    }

    /// - Parameters:
    ///   - entry: the case, and what was seen of it.
    ///   - files: where it is from, and what the program is to call its model.
    ///   - precision: how a device computes, where it was asked. The others are taken for ggml's CPU backend.
    /// - Throws: `MetadataError`, `GraphError` or `ModelError` where the case has no valid model.
    public init(_ entry: CorpusEntry, _ files: Files, precision: (String) -> Precision? = { _ in nil }) throws {
        let files = files.besideProgram
        var subject = entry.case
        var device = entry.signature.device
        let fault = entry.found.fault.map { ", with the fault \($0)" } ?? ""
        if !device.hasPrefix(LlamaDevices.prefix) {
            limits.append("what is wrong on \(device)\(fault): it runs on llama.cpp's CPU")
            device = LlamaDevices.cpu
            subject.script = subject.script.on(device)
        }
        let placement = subject.check == .placement ? subject.script.placement : Placement(device)
        subject.script.placement = placement

        let functions: [String]
        var layers = 0
        if let tokenization = subject.tokenization {
            functions = Demonstration.tokens(of: tokenization, subject.metadata, files)
        } else if subject.check == .malformed, subject.adapters != nil {
            adapters = [try subject.damagedFile(subject.source()).bytes]
            functions = [Demonstration.refusalOfAdapter(files)]
        } else if subject.check.isOfRefusals {
            functions = [Demonstration.refusal(files, readsVocabulary: subject.check == .malformed)]
        } else {
            let unasked = placement.namedDevices.filter { $0 != LlamaDevices.cpu && precision($0) == nil }
            let precisions = placement.namedDevices.map { precision($0) ?? .ggmlCPU }
            let yardstick = Yardstick(
                subject, precisions.dropFirst().reduce(precisions[0]) { $0.coarsest(with: $1) },
                of: precision(placement.defaultDevice) == nil ? "ggml's CPU backend" : placement.defaultDevice)
            let demonstration = try Demonstration(subject, entry.signature.kind, yardstick, files)
            functions = demonstration.functions
            layers = try ArchitectureCatalog.read(subject.metadata).dimensions.layers
            transformed = demonstration.transformed
            adapters = try subject.adapterSources(for: subject.source()).map { try $0.source.bytesOfFile() }
            if yardstick.isUsed, let first = unasked.first {
                limits.append("errors that \(first) may make: how it computes was not asked, see --engine")
            }
            if yardstick.lacksFloors { limits.append("rows whose noise floor overflows") }
        }
        var parameters = [try ModelParameters("model_params", subject.script, layers: layers).text]
        if subject.check == .settings {
            let plain = subject.script.withPlainSettings(try subject.sessionTraits())
            parameters.append(try ModelParameters("plain_model_params", plain, layers: layers).text)
        }
        let code = (parameters + functions).joined(separator: "\n\n") + "\n"
        let helpers = ProgramHelper.needed(by: code)
        text = [
            Self.comment(entry, subject, files), "\n", ProgramHelper.includes(of: helpers + code), "\n", helpers, code,
        ].joined()
    }

    /// What stands above the program.
    private static func comment(_ entry: CorpusEntry, _ subject: Case, _ files: Files) -> String {
        let engine = entry.found.engine.map { " (\($0))" } ?? ""
        var lines = [
            "Written by gguf-fuzz export of \(files.origin): \(entry.signature)", "",
            "Expected: \(subject.check.about).",
            "Seen: \(entry.seen)\(engine).", "", "\(files.model): \(subject.summary)",
        ]
        lines += subject.peculiarityLines.map { "  \($0)" }
        let models = subject.check == .metamorphic ? "[\(files.model) [\(files.transformed)]]" : "[\(files.model)]"
        lines += [
            "", "Compile and run it, where PREFIX is an installed llama.cpp:", "", "  \(files.compilation)",
            "  \(files.executable.command) \(models)", "",
            "Exit status: 0 all is as it should be, 1 it is not, 2 llama.cpp cannot do this here. A crash is the "
                + "failure itself: what it says before is what it was doing.",
        ]
        return lines.map(\.comment).joined()
    }
}

extension String {
    /// As a shell starts it.
    fileprivate var command: String { (contains("/") ? self : "./" + self).shellArgument }

    /// As a comment of lines that are no longer than a page is wide.
    var comment: String {
        let indentation = prefix { $0 == " " }
        var lines: [String] = []
        for word in split(whereSeparator: { $0.isWhitespace || $0.isNewline }) {
            if let last = lines.last, last.count + 1 + word.count <= 116 - indentation.count {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        // A backslash at its end would make the next line one with it.
        return lines.isEmpty
            ? "//\n" : lines.map { "// \(indentation)\($0)\($0.hasSuffix("\\") ? "." : "")\n" }.joined()
    }

    /// As a literal of C++.
    var literal: String { Array(utf8).literal }
}

extension [UInt8] {
    /// As a literal of C++.
    var literal: String {
        let escaped = map { byte in
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): "\\" + String(UnicodeScalar(byte))
            case UInt8(ascii: "\n"): "\\n"
            case 0x20..<0x7F: String(UnicodeScalar(byte))
            default: "\\" + String(byte >> 6, radix: 8) + String(byte >> 3 & 7, radix: 8) + String(byte & 7, radix: 8)
            }
        }
        return "\"" + escaped.joined() + "\""
    }
}
