import Foundation
import FuzzTarget
import GGUF

/// Models in several files: what each says of the others, whichever of them is opened.
@main
struct Target: FuzzTarget {
    private let numbers: [MetadataValue?] = [
        nil, 0, 1, 2, 3, .uint16(0), .uint16(1), .uint16(2), .uint16(3), .int32(-1), .int64(.max), .uint64(.max),
        .int32(.max), "1", .float32(1), .array(.int32([1])),
    ]

    private let folder = FileManager.default.temporaryDirectory.path

    func read(_ input: [UInt8]) throws {
        var fields = Fields(input)
        let count = 1 + Int(fields.byte() % 4), opened = Int(fields.byte() % 4)
        let paths = (0..<count).map { "\(folder)/m-0000\($0 + 1)-of-0000\(count).gguf" }
        defer { for path in paths { unlink(path) } }
        for path in paths {
            var metadata = Metadata()
            for key in ["split.no", "split.count", "split.tensors.count"] {
                metadata[key] = fields.element(of: numbers)
            }
            let architecture = fields.text(), names = fields.texts().filter { !$0.isEmpty }
            if !architecture.isEmpty { metadata["general.architecture"] = .string(architecture) }
            let tensors = names.map { GGUFWriter.Tensor(name: $0, dimensions: [1], type: .i8, bytes: [1]) }
            // Two tensors of one name are no file to begin with: there is none then.
            guard let bytes = try? GGUFWriter.bytes(metadata, tensors) else { continue }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        }
        let parts = try GGUFParts(path: paths[opened % count])
        expect(Set(parts.tensors.map(\.name)).count == parts.tensors.count, "a tensor twice")
    }

    var seeds: [[UInt8]] {
        (0..<3).map { opened in
            var writer = FieldWriter()
            writer.append(byte: 2)
            writer.append(byte: UInt8(opened))
            for part in 0..<3 {
                for number in [MetadataValue.uint16(UInt16(part)), .uint16(3), 2] {
                    writer.append(number, of: numbers)
                }
                writer.append(part == 0 ? "llama" : "")
                writer.append(part == 0 ? [] : ["t\(part)"])
            }
            return writer.input
        }
    }
}
