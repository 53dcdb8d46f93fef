import Architectures
import Devices
import Engines
import Faults
import Foundation
import Fuzzing
import Inference
import Testing

@Suite("Fuzz suite")
struct FuzzTests {
    @Test("a corpus file does not fail", arguments: try corpusFiles())
    func corpusReplays(_ file: String) throws {
        try FuzzSuite { BuiltinEngine(Settings.devices) }.replay(Settings.corpus.folder + "/" + file)
    }

    /// Relative to the corpus, for their names as test cases. Those of another engine are that one's business.
    private static func corpusFiles() throws -> [String] {
        let folder = Settings.corpus.folder
        return try Corpus.files([folder]).map { String($0.dropFirst(folder.count + 1)) }.filter {
            !$0.hasPrefix("llama.cpp/")
        }
    }

    @Test("random cases hold every property", arguments: ArchitectureCatalog.all.map { $0.name })
    func randomCases(_ architecture: String) throws {
        let settings = try Settings.current.get()
        for device in Settings.devices.devices.map(\.name) where device != EngineSet.reference {
            let cases = device == "cpu" ? settings.cases : max(1, settings.cases / Settings.vulkanShare)
            try FuzzSuite(
                architectures: [architecture], devices: [device], cases: cases, seed: settings.seed,
                corpus: Settings.corpus
            ) { BuiltinEngine(Settings.devices) }.verify()
        }
    }

    @Test("a fault is reported, cut down and kept")
    func faultIsFound() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)")
            .path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let fault = try FaultCatalogue.named("key-heads-interleaved")
        let suite = FuzzSuite(
            architectures: ["llama"], checks: [.agrees], cases: 60, seed: 1, corpus: Corpus(folder: folder)
        ) {
            BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault)
        }
        let failure = try #require(throws: PropertyFailure.self) { try suite.verify() }

        let finding = try #require(failure.findings.first)
        let file = try #require(finding.path)
        let entry = try CorpusEntry(path: file)
        #expect(entry.case.layers == 1 && entry.case.tokens == fault.fewestTokens)
        let message = failure.description
        for part in [
            finding.title, "llama, agrees: \(entry.case.summary)", entry.seen, "of seed 1",
            "gguf-fuzz replay \(file)",
        ] {
            #expect(message.contains(part), "\(part) is missing in: \(message)")
        }
        // It fails again while the fault is there, and passes without.
        #expect(throws: ReplayFailure.self) { try suite.replay(file) }
        try FuzzSuite { BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()])) }.replay(file)
    }
}
