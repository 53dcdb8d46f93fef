import Architectures
import ArgumentParser
import Foundation
import Fuzzing
import GGUF
import Inference

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a GGUF file or a corpus file holds.",
        discussion: """
            Of a GGUF file: metadata, tensors and parameter counts. Of a corpus file (.json): the case in words, and \
            its script step by step.

            Of a model that was split into parts, all of them. Tensors that differ only in their block are one line. \
            Any GGUF file can be shown, whether or not its architecture can be run.

            Examples:
              gguf-fuzz show toy.gguf
              gguf-fuzz show --json toy.gguf | jq .tensors
              gguf-fuzz show Corpus/agrees-cpu-llama-process-mismatch.json
            """)

    @Argument(help: "The GGUF file or corpus file.")
    var file: String
    @Flag(help: "Every tensor on a line of its own, strings and arrays whole.")
    var full = false
    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        if file.hasSuffix(".json") {
            let entry = try CorpusEntry(path: file)
            return json ? print(try entry.text(), terminator: "") : CaseText.print(entry, file, full: full)
        }
        let model = try GGUFParts(path: file)
        if json { return try printJSON(FileDescription(model)) }

        for file in model.files {
            let order = file.byteOrder == .little ? "little-endian" : "big-endian"
            print("\(file.path): GGUF version \(file.version), \(order), tensor data aligned to \(file.alignment)")
        }
        let understanding = Understanding(of: FileSource(model))
        print("\n\(model.metadata.count) metadata keys")
        model.metadata.table(full: full, unread: understanding.unreadKeys).print()

        print("\n\(model.tensors.count) tensors")
        var tensors = TextTable(rightAligned: [2, 3, 4], indentation: 2)
        if full {
            for file in model.files {
                for tensor in file.tensors {
                    tensors.append(
                        tensor.name, tensor.type.name, tensor.extents, Format.count(tensor.elementCount),
                        "at \(file.dataOffset + tensor.offset)" + (model.files.count > 1 ? " of \(file.path)" : ""),
                        understanding.unusedTensors.contains(tensor.name) ? "not used" : "")
                }
            }
        } else {
            for group in TensorGroup.groups(of: model.tensors, unused: understanding.unusedTensors) {
                tensors.append(
                    group.name, group.type.name, group.extents, Format.count(group.elementCount),
                    group.layers.count > 1 ? "× \(group.layers.count)" : "", group.isUnused ? "not used" : "")
            }
        }
        tensors.print()

        print("")
        ParameterCounts(model).table.print()
        if let refusal = understanding.refusal { print("\ncannot be run: \(Terminal.printable(refusal))") }
    }
}

/// What this program makes of a file.
struct Understanding {
    /// Why the model cannot be run; nil where it can.
    private(set) var refusal: String?
    /// Hyperparameters that the architecture does not ask for.
    private(set) var unreadKeys: Set<String> = []
    /// Tensors of which no graph of the model makes use.
    private(set) var unusedTensors: Set<String> = []

    init(of source: FileSource) {
        do {
            let names = Set(source.tensors.map(\.name))
            unreadKeys = Set(try DeclarationRecorder.unread(source.metadata))
            unusedTensors = names.subtracting(
                try Inventory(source.metadata, optional: .of(source.tensors)).tensors.map(\.name))
            _ = try Model(source)
        } catch {
            refusal = "\(error)"
        }
    }

    /// Says on standard error which hyperparameters nobody reads: what they mean is lost.
    static func noteUnreadKeys(of metadata: Metadata, in path: String) {
        guard let keys = try? DeclarationRecorder.unread(metadata), !keys.isEmpty else { return }
        Terminal.note("note: \(path): not read: \(keys.map(Terminal.printable).joined(separator: ", "))")
    }
}

extension Metadata {
    /// A line for each key.
    /// - Parameters:
    ///   - full: strings and arrays whole.
    ///   - unread: keys that are marked so.
    func table(full: Bool, unread: Set<String> = []) -> TextTable {
        var table = TextTable(indentation: 2)
        for (key, value) in self {
            table.append(
                key, value.typeName, full ? value.whole : value.summary, unread.contains(key) ? "not read" : "")
        }
        return table
    }
}

extension MetadataValue {
    /// The value in full.
    fileprivate var whole: String {
        switch self {
        case .string(let text): "\"\(text)\""
        case .array(let array): "[\(array.elements.map(\.whole).joined(separator: ", "))]"
        default: summary
        }
    }
}

/// A model's file, or its parts, as JSON.
private struct FileDescription: Encodable {
    struct File: Encodable {
        var path: String
        var version: UInt32
        var byteOrder: String
        var alignment: Int
    }
    struct Tensor: Encodable {
        var name: String
        var type: String
        var dimensions: [Int]
        /// The index of its file.
        var file: Int
        var offset: Int
        var bytes: Int
    }
    /// One, or the parts in their order.
    var files: [File]
    var metadata: [String: JSONValue]
    var tensors: [Tensor]
    var parameters: Int

    init(_ model: GGUFParts) {
        files = model.files.map {
            File(path: $0.path, version: $0.version, byteOrder: $0.byteOrder.rawValue, alignment: $0.alignment)
        }
        metadata = Dictionary(model.metadata.map { ($0.key, JSONValue($0.value)) }) { first, _ in first }
        tensors = model.files.enumerated().flatMap { index, file in
            file.tensors.map {
                Tensor(
                    name: $0.name, type: $0.type.name, dimensions: $0.dimensions, file: index,
                    offset: file.dataOffset + $0.offset, bytes: $0.byteCount)
            }
        }
        parameters = ParameterCounts(model).total
    }
}
