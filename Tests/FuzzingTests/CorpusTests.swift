import Engines
import Foundation
import GGUF
import Inference
import Testing

@testable import Fuzzing

@Suite("Corpus")
struct CorpusTests {
    private func entry(_ subject: Case, fault: String? = nil, kind: String = "mismatch") -> CorpusEntry {
        CorpusEntry(
            case: subject,
            signature: Signature(
                check: subject.check, device: subject.devices[0], architecture: subject.architecture, stage: "process",
                kind: kind),
            seen: "row 1: \"far\" off", found: .init(seed: .max, index: 3, version: "1", fault: fault, evaluations: 7))
    }

    private func read(_ text: String) throws -> CorpusEntry {
        try withTemporaryFolder { folder in
            let path = folder + "/x.json"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            return try CorpusEntry(path: path)
        }
    }

    @Test("files read are what was written", arguments: Samples.architectures)
    func roundTrip(_ name: String) throws {
        for (seed, subject) in try Samples.cases(of: name, 2) {
            let entry = entry(subject)
            let text = try entry.text()
            let again = try read(text)
            #expect(again == entry, "seed \(seed)")
            #expect(try again.text() == text)
            #expect(text.hasSuffix("}\n"))
        }
    }

    @Test("files keep numbers that JSON lacks or writes alike")
    func unusualNumbers() throws {
        var subject = Toy.subject(.agrees)
        let values: [MetadataValue] = [
            .float32(.nan), .float32(-.infinity), .float32(-0.0), .float64(-0.0), .float64(.infinity), .float64(1e300),
            .float64(.leastNonzeroMagnitude),
            .float32(.leastNonzeroMagnitude), .float32(16_777_216), .float64(1e15), .float64(0.1), .float32(0.1),
            .uint64(.max),
            .int64(.min), .int8(-1), .bool(true), .uint8(1), .string("\"\\\u{0}\u{1F600}/\n"),
            .array(.float32([1, -0.0, .nan])),
            .array(.array([.uint8([1]), .array([]), .string(["a", ""])])), .array(.bool([])),
        ]
        for (index, value) in values.enumerated() { subject.metadata["x.\(index)"] = value }
        let again = try read(entry(subject).text())
        for (key, value) in subject.metadata { #expect(again.case.metadata[key] == value, "\(value)") }
        #expect(again.found.seed == .max)
    }

    @Test("files that are none are refused on one line that names the place")
    func malformed() throws {
        let text = try entry(Toy.subject(.agrees)).text()
        let edits: [(String, String, String)] = [
            (#""check": "agrees""#, #""check": "agree""#, "case.check: \"agree\" is none; there are agrees, chunking,"),
            (#""devices": ["cpu"]"#, #""devices": []"#, "case.devices"),
            (#""devices": ["cpu"]"#, #""devices": [7]"#, "case.devices[0]: is no text"),
            (#""devices": ["cpu"]"#, #""devices": {}"#, "case.devices: is no list"),
            (#""seed": 1"#, #""seed": -1"#, "case.recipe.seed: the number is too large for its place, negative, or not"),
            (#""index": 3"#, #""index": 3.5"#, "found.index: the number is too large for its place, negative, or not"),
            (#""uint32", "value": 64"#, #""uint32", "value": 1e99"#, "case.metadata[2].value: is no uint32"),
            (#""uint32", "value": 64"#, #""uint31", "value": 64"#, "case.metadata[2].type"),
            (#""key": "llama.context_length""#, #""key": "llama.vocab_size""#, "case.metadata"),
            (#""positions": [0, 1, 2]"#, #""positions": [0, 1]"#, "case.script.steps[0].process"),
            (#""process""#, #""progress""#, "case.script.steps[0]"),
            (#""optionalTensors": [],"#, "", "optionalTensors is missing"),
            (#""cacheType": "f32""#, #""cacheType": "f8""#, "case.script.options.cacheType"), ("{", "", "no JSON"),
            (#""found""#, #""lost""#, "found is missing"),
            (#""found""#, #""lost": 1, "found""#, "lost: is no key that means anything"),
            (#""index": 3"#, #""index": 3, "sed": 1"#, "found.sed: is no key that means anything; close to it: seed"),
            (#""rules": []"#, #""rules": [{"patern": "a"}]"#, "case.recipe.rules[0].patern: is no key"),
            (
                #""optionalTensors""#, #""optionalTensor": [], "optionalTensors""#,
                "case.optionalTensor: is no key that means anything; close to it: optionalTensors"
            ),
        ]
        for (old, new, place) in edits {
            let edited = text.replacingOccurrences(of: old, with: new, range: text.range(of: old))
            #expect(edited != text, "\(old)")
            let error = #expect(throws: CorpusError.self) { try read(edited) }
            let line = error?.description ?? ""
            #expect(line.contains(place) && !line.contains("\n") && line.contains("x.json: "), "\(new): \(line)")
        }
        for text in ["", "null", "[]", "{", "\u{FEFF}", String(repeating: "[", count: 100_000)] {
            #expect(throws: CorpusError.self) { try read(text) }
        }
        #expect(throws: CorpusError.self) { try CorpusEntry(path: "/nowhere/at/all.json") }
    }

    @Test("cases that break the rules have a flaw that names the place")
    func flaws() {
        func flaw(_ edit: (inout Case) -> Void) -> String? {
            var subject = Toy.subject(.agrees)
            edit(&subject)
            return entry(subject).flaw()
        }
        #expect(flaw { _ in } == nil)
        let edits: [(String, (inout Case) -> Void)] = [
            ("case.metadata: llama.attention.head_count: is 0; allowed:", { $0.metadata["llama.attention.head_count"] = 0 }),
            ("case.metadata: general.architecture: \"lama\"", { $0.metadata["general.architecture"] = "lama" }),
            (
                "case.metadata: llama.attention.head_cout: is no key of llama; close to it: llama.attention.head_count",
                { $0.metadata["llama.attention.head_cout"] = 4 }
            ),
            ("case.metadata: bert.block_count: is no key of llama", { $0.metadata["bert.block_count"] = 1 }),
            (
                "case.metadata: asks for ",
                {
                    $0.metadata["llama.embedding_length"] = 1_048_576
                    $0.metadata["llama.attention.head_count"] = 1024
                    $0.metadata["llama.feed_forward_length"] = 1_048_576
                    $0.metadata["llama.block_count"] = 512
                }
            ),
            (
                "case.optionalTensors: blk.0.attn_q.bia: is no optional tensor of such a model; close to it: "
                    + "blk.0.attn_q.bias", { $0.optionalTensors = ["blk.0.attn_q.bia"] }
            ),
            ("case.recipe.rules: pattern \"((\"", { $0.recipe.rules = [.init(pattern: "((")] }),
            (
                "case.script.placement.tensors: pattern \"[\"",
                { $0.script.placement.tensors = [.init(pattern: "[", device: "cpu")] }
            ),
            ("case.script.steps: there are none", { $0.script.steps = [] }),
            ("case.script.steps[0].process: token 1000 of a vocabulary of", { $0.script.steps = [.process(Batch([1000]))] }),
            (
                "case.script.steps[0].process: 100 tokens in 64 free cells of 64",
                { $0.script.steps = [.process(Batch(Array(repeating: 1, count: 100)))] }
            ),
            (
                "case.script.options: asks for 4097 MiB of caches and outputs, of which no more than 1024 MiB is tried",
                { $0.script.options.context = 1 << 24 }
            ),
            ("case.transformation: is missing", { $0.check = .metamorphic }),
            ("case.contradiction: is missing", { $0.check = .rejects }),
        ]
        for (beginning, edit) in edits {
            let flaw = flaw(edit)
            #expect(flaw?.hasPrefix(beginning) == true, "\(beginning): \(flaw ?? "none")")
        }
        // A refusal of this program's own, that a run recorded, is replayed as it is.
        var empty = Toy.subject(.agrees)
        empty.script.steps = []
        #expect(entry(empty, kind: "error: N steps").flaw() == nil)
    }

    @Test("cases that are drawn have no flaw", arguments: Samples.architectures)
    func flawless(_ name: String) throws {
        for (seed, subject) in try Samples.cases(of: name, 4) {
            #expect(subject.flaw(largest: Case.largest()) == nil, "seed \(seed)")
        }
    }

    @Test("a folder without corpus files can be asked for, or be an error")
    func emptyFolder() throws {
        try withTemporaryFolder { folder in
            let files = try Corpus.files([folder])
            #expect(files.isEmpty)
            #expect(throws: CorpusError(path: folder, reason: "has no corpus files")) {
                try Corpus.files([folder], refusingNone: true)
            }
        }
    }

    @Test("keeps one file for what happened alike: the simpler of two")
    func keeping() throws {
        try withTemporaryFolder { folder in
            let corpus = Corpus(folder: folder + "/made/when/needed")
            let (long, short) = (
                Toy.subject(.agrees, [.process(Batch([1, 2, 3]))]), Toy.subject(.agrees, [.process(Batch([1]))])
            )
            let path = try corpus.keep(entry(long))
            #expect(path.hasSuffix("/agrees-cpu-llama-process-mismatch.json"))
            #expect(try corpus.keep(entry(short)) == path)
            #expect(try CorpusEntry(path: path).case == short)
            #expect(try corpus.keep(entry(long)) == path)
            #expect(try CorpusEntry(path: path).case == short)

            // A fault's file is another, and so is another signature's; what is no corpus file is replaced.
            #expect(try corpus.keep(entry(long, fault: "window-off-by-one")) != path)
            #expect(try corpus.keep(entry(long, kind: "not finite")) != path)
            try Data("{".utf8).write(to: URL(fileURLWithPath: path))
            try corpus.keep(entry(long))
            #expect(try CorpusEntry(path: path).case == long)
            #expect(try Corpus.files([folder]).count == 3)
        }
        #expect(throws: CorpusError.self) { try Corpus(folder: "/dev/null/no").keep(entry(Toy.subject(.agrees))) }
    }

    @Test("names files by what failed, whatever that holds")
    func names() {
        let corpus = Corpus(folder: "/c")
        func name(_ kind: String, _ cause: Cause? = nil, frames: [String] = []) -> String {
            var entry = entry(Toy.subject(.state), kind: kind)
            entry.signature = Signature(
                check: .state, device: "llama:CPU", architecture: "x/../y", stage: "load", kind: kind, frames: frames)
            entry.cause = cause
            return corpus.path(of: entry)
        }
        #expect(name("SIGABRT: a.c:: assert(n < m)") == "/c/state-llama-CPU-x-..-y-load-SIGABRT-a.c-assert-n-m.json")
        let long = String(repeating: "assertion ", count: 30)
        #expect(name(long).count < 140 && name(long) != name(long + "x"))

        // Once the cause is known, it is the name.
        let cause = Cause(
            needs: ["type Q4_K", "key embedding_length"], tensors: ["blk.ffn_down.weight"], ops: ["swiglu"])
        #expect(name("mismatch", cause) == "/c/wrong-numbers-with-type-Q4_K-embedding_length-on-llama-CPU.json")
        #expect(
            name("SIGSEGV", cause, frames: ["ggml_view_1d", "llm_graph_context::build_attn"])
                == "/c/SIGSEGV-in-llm_graph_context-build_attn-on-llama-CPU.json")
    }

    @Test("orders cases by layers, then tokens, then steps, then metadata")
    func simplicity() {
        var (a, b) = (entry(Toy.subject(.agrees)), entry(Toy.subject(.agrees)))
        #expect(!a.isSimpler(than: b) && !b.isSimpler(than: a))
        b.case.metadata["x"] = 1
        #expect(a.isSimpler(than: b))
        a.case.script.steps.append(.clear)
        #expect(b.isSimpler(than: a))
        b.case.script.steps = [.process(Batch([1, 2, 3, 4]))]
        #expect(a.isSimpler(than: b))
        a.case.metadata["llama.block_count"] = 2
        #expect(b.isSimpler(than: a))
    }
}
