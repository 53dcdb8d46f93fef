import Engines
import Foundation
import Testing

@testable import Fuzzing

@Suite("Known findings")
struct KnownFindingsTests {
    /// A finding of `scope` in a folder of its own, and a failure like its own.
    private func findings(_ scope: KnownFindings.Scope, _ body: (KnownFindings, Case, Failure) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let subject = try #require(Samples.cases(of: "llama", 20).first { $0.case.check == .agrees }?.case)
        let failure = Failure(
            signature: Signature(
                check: .agrees, device: "cpu", architecture: "llama", stage: "process", kind: "SIGABRT: a.c: n < N"),
            seen: "seen")
        var entry = CorpusEntry(
            case: subject, signature: failure.signature, seen: "seen", found: .init(seed: 1, index: 2, version: "3"))
        entry.known = scope
        try entry.write(to: folder.appendingPathComponent("one.json").path)
        try body(KnownFindings([folder.path]), subject, failure)
    }

    private func explains(
        _ scope: KnownFindings.Scope, changing change: (inout Case, inout Failure) -> Void = { _, _ in }
    ) throws -> Bool {
        var result = false
        try findings(scope) { known, subject, failure in
            var (subject, failure) = (subject, failure)
            change(&subject, &failure)
            result = known.explaining(failure, of: subject) != nil
        }
        return result
    }

    @Test("explain a failure of their own signature, and no other")
    func ownSignature() throws {
        #expect(try explains(.init()))
        #expect(try !explains(.init()) { $1.signature.kind = "SIGSEGV" })
        #expect(try !explains(.init()) { $1.signature.stage = "load" })
        #expect(try !explains(.init()) { $1.signature.device = "vulkan0" })
        #expect(try !explains(.init()) { subject, _ in subject.check = .state })
        #expect(try !explains(.init()) { subject, _ in subject.metadata["general.architecture"] = "gemma" })
    }

    @Test("of llama.cpp explain their own failures, whatever their scopes say besides", arguments: try llamaFiles())
    func ownFailures(path: String) throws {
        let entry = try CorpusEntry(path: path)
        let failure = Failure(signature: entry.signature, seen: entry.seen)
        #expect(try KnownFindings([path]).explaining(failure, of: entry.case) != nil)
    }

    private static func llamaFiles() throws -> [String] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Corpus/llama.cpp").standardizedFileURL
        return try Corpus.files([folder.path])
    }

    @Test("of llama.cpp are of cases that break no rule", arguments: try llamaFiles())
    func legality(path: String) throws { #expect(try CorpusEntry(path: path).flaw() == nil) }

    @Test("explain what their scope says")
    func scope() throws {
        let everywhere = KnownFindings.Scope(
            architectures: ["all"], checks: ["state", "agrees"], devices: ["all"], kinds: ["SIG.*"])
        #expect(try explains(everywhere) { subject, failure in
            subject.check = .state
            failure.signature.device = "vulkan0"
            failure.signature.kind = "SIGSEGV"
            failure.signature.stage = "load"
        })
        #expect(try !explains(everywhere) { $1.signature.kind = "mismatch" })
        #expect(try !explains(everywhere) { subject, _ in subject.check = .chunking })
    }

    @Test("explain cases that have every trait that they name")
    func traits() throws {
        let size = #"embedding_length (?!1$).*"#
        #expect(try explains(.init(when: ["check agrees", size])))
        #expect(try !explains(.init(when: ["check agrees", "embedding_length 1"])))
        // As a whole.
        #expect(try !explains(.init(when: ["agrees"])))
        #expect(try explains(.init(unless: ["check state", "agrees"])))
        #expect(try !explains(.init(unless: ["check state", "check agrees"])))
    }

    @Test("keep cases that they avoid from being run")
    func avoiding() throws {
        try findings(.init(when: ["check agrees"], avoids: true)) { known, subject, _ in
            var other = subject
            other.check = .state
            #expect(known.avoiding(subject, on: "cpu")?.name == "one.json")
            #expect(known.avoiding(subject, on: "vulkan0") == nil && known.avoiding(other, on: "cpu") == nil)
        }
        try findings(.init()) { known, subject, _ in #expect(known.avoiding(subject, on: "cpu") == nil) }
    }

    @Test("are refused where they say nothing, or nothing that can be read")
    func refusals() throws {
        let none = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: none) }
        let subject = try #require(Samples.cases(of: "llama", 1).first?.case)
        try CorpusEntry(
            case: subject,
            signature: Signature(check: .agrees, device: "cpu", architecture: "llama", stage: "load", kind: "x"),
            seen: "", found: .init(seed: 1, index: 1, version: "")
        ).write(to: none.path)
        #expect(throws: CorpusError(path: none.path, reason: "known: is missing")) { try KnownFindings([none.path]) }
        #expect(throws: CorpusError.self) { try findings(.init(when: ["("])) { _, _, _ in } }
    }
}
