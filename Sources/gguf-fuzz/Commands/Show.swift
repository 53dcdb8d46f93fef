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

            Tensors that differ only in their block are one line. Any GGUF file can be shown, whether or not \
            its architecture can be run.

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
        let file = try GGUFFile(path: file)
        if json { return try printJSON(FileDescription(file)) }

        let order = file.byteOrder == .little ? "little-endian" : "big-endian"
        print("\(file.path): GGUF version \(file.version), \(order), tensor data aligned to \(file.alignment)")
        print("\n\(file.metadata.count) metadata keys")
        file.metadata.table(full: full).print()

        print("\n\(file.tensors.count) tensors")
        var tensors = TextTable(rightAligned: [2, 3, 4], indentation: 2)
        if full {
            for tensor in file.tensors {
                tensors.append(
                    tensor.name, tensor.type.name, tensor.extents, Format.count(tensor.elementCount),
                    "at \(file.dataOffset + tensor.offset)")
            }
        } else {
            for group in TensorGroup.groups(of: file.tensors) {
                tensors.append(
                    group.name, group.type.name, group.extents, Format.count(group.elementCount),
                    group.layers.count > 1 ? "× \(group.layers.count)" : "")
            }
        }
        tensors.print()

        print("")
        ParameterCounts(file).table.print()
        do {
            _ = try Model(FileSource(file))
        } catch {
            print("\ncannot be run: \(error)")
        }
    }
}

extension Metadata {
    /// A line for each key.
    /// - Parameter full: strings and arrays whole.
    func table(full: Bool) -> TextTable {
        var table = TextTable(indentation: 2)
        for (key, value) in self { table.append(key, value.typeName, full ? value.whole : value.summary) }
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

/// A file as JSON.
private struct FileDescription: Encodable {
    struct Tensor: Encodable {
        var name: String
        var type: String
        var dimensions: [Int]
        var offset: Int
        var bytes: Int
    }
    var file: String
    var version: UInt32
    var byteOrder: String
    var alignment: Int
    var metadata: [String: JSONValue]
    var tensors: [Tensor]
    var parameters: Int

    init(_ file: GGUFFile) {
        self.file = file.path
        version = file.version
        byteOrder = file.byteOrder.rawValue
        alignment = file.alignment
        metadata = Dictionary(file.metadata.map { ($0.key, JSONValue($0.value)) }) { first, _ in first }
        tensors = file.tensors.map {
            Tensor(
                name: $0.name, type: $0.type.name, dimensions: $0.dimensions, offset: file.dataOffset + $0.offset,
                bytes: $0.byteCount)
        }
        parameters = ParameterCounts(file).total
    }
}
