import Architectures
import Foundation
import Testing

@Suite("The page of architectures")
struct ArchitecturesPageTests {
    private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized

    @Test("is what archs --markdown prints")
    func isCurrent() throws {
        try withTemporaryFolder { folder in
            let program = try Program("archs", "--markdown", in: folder)
            #expect(program.status == 0 && program.errors.isEmpty)
            let page = try String(
                contentsOf: Self.root.appendingPathComponent("Fuzz/architectures.md"), encoding: .utf8)
            #expect(program.output == page, "gguf-fuzz archs --markdown > Fuzz/architectures.md")
        }
    }

    @Test("names classes that there are strategies for, and each architecture once")
    func classesAreDrawn() throws {
        let folder = Self.root.appendingPathComponent("Fuzz/transformers/strategies")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        let strategies = try files.filter { $0.pathExtension == "py" }
            .map { try String(contentsOf: $0, encoding: .utf8) }.joined()
        let members = ArchitectureCatalog.families.flatMap(\.members)
        for member in members where !member.transformers.isEmpty {
            #expect(strategies.contains("@strategy(\"\(member.type.name)\""), "\(member.type.name)")
        }
        #expect(Set(members.map { $0.type.name }).count == members.count)
    }
}
