import Architectures
import Devices
import Engines
import Faults
import Foundation
import GGUF
import Inference
import Testing

@testable import Fuzzing

@Suite("Findings")
struct FindingsTests {
    /// A run of the builtin engine with a fault in it.
    private func findings(
        _ fault: String, _ architectures: [any Architecture.Type], checks: [Check] = [.agrees], cases: UInt64,
        seed: UInt64 = 2
    ) throws -> [Finding] {
        let fault = try FaultCatalogue.named(fault)
        let plan = FuzzPlan(
            seed: seed, architectures: architectures, checks: checks, devices: ["cpu"],
            placeable: ["reference", "cpu"])
        return try FuzzRun(plan, .cases(cases), jobs: 1) {
            EngineSet(BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice()]), fault: fault))
        }.run().findings
    }

    @Test("of one cause are one, whatever the architecture and the check that show it")
    func oneCause() throws {
        let findings = try findings(
            "window-ignored", [Gemma2.self, GPTOSS.self], checks: [.agrees, .chunking], cases: 40)
        #expect(findings.count == 1)
        let finding = try #require(findings.first)
        #expect(finding.occurrences.cases > 3 && finding.occurrences.architectures == ["gemma2", "gpt-oss"])
        #expect(finding.failure.signature.check == .agrees && !finding.isUnfinished)
        #expect(finding.cause?.ops.contains("attention") ?? false)
        #expect(finding.title.contains("attention"))
    }

    @Test("name the type of weights without which a case passes, and no size that it has by chance")
    func typeOfWeights() throws {
        let findings = try findings("q4-nibbles-swapped", [Llama.self, GPT2.self], cases: 160)
        #expect(findings.count == 1)
        #expect(findings.first?.cause?.needs.first == "type Q4_0")
    }

    @Test("name the step without which a case passes")
    func step() throws {
        let findings = try findings("state-copy-ignored", [Mamba.self, Mamba2.self], checks: [.state], cases: 120)
        #expect(findings.count == 1)
        #expect(findings.first?.cause?.needs.contains("step copy") ?? false)
    }

    @Test("name the step without which a case passes, also where later tokens follow from it")
    func shift() throws {
        let findings = try findings("shift-rotates-twice", [Llama.self], cases: 300)
        #expect(findings.count == 1)
        #expect(findings.first?.cause?.needs.contains("step shift") ?? false)
    }

    @Test("of which nothing but sizes is needed are one only where the same mechanisms of the model are meant")
    func mechanisms() {
        func cause(_ ops: String..., needs: [String] = ["key attention.head_count"]) -> Cause {
            Cause(needs: needs, tensors: ["blk.\(ops).weight", "b", "c"], ops: ops + ["matmul"])
        }
        // What four architectures of llama.cpp do wrong, each in its own way.
        let causes = [
            cause("attention", "rope"), cause("attention", "divide", "pool", "rope", needs: []),
            cause("attention", "rope", "topBlocks"),
            cause("affine", "attention", "convolution", "gatedDeltaRule", "silu"),
        ]
        for (index, one) in causes.enumerated() {
            for (other, another) in causes.enumerated() {
                #expect(one.includes(another) == (index == other), "\(one), \(another)")
            }
        }
        // Rotation and normalisation of what attention takes make no other cause of it, nor does an activation.
        #expect(cause("attention").includes(cause("attention", "rope", needs: [])))
        #expect(cause("swiglu").includes(cause("swiglu", "topExperts")))
        #expect(!cause("swiglu", "topExperts").includes(cause("swiglu")))
        // What many architectures have shown is in what they have in common.
        #expect(causes[0].includes(causes[2], isWidespread: true) && !causes[2].includes(causes[0], isWidespread: true))
        // A step or a type says more than ops.
        let one = cause("attention", needs: ["step shift"])
        let other = cause("attention", "topCells", needs: ["step shift"])
        #expect(one.includes(other) && other.includes(one))
    }

    @Test("that were apart before one was widespread are joined with it in the end")
    func widespread() {
        func finding(_ ops: [String], index: UInt64, architectures: [String]) -> Finding {
            var sighting = signature("mismatch", device: "cpu")
            var finding = Finding(
                Failure(signature: sighting, seen: ""), nil, index: index,
                found: .init(seed: 1, index: index, version: ""))
            finding.causes = [Cause(needs: [], tensors: ["blk.ffn_down_exps.weight", "a", "b"], ops: ops)]
            for architecture in architectures {
                sighting.architecture = architecture
                finding.occurrences.add(sighting)
            }
            return finding
        }
        let findings = Findings()
        _ = findings.add(finding(["attention", "topExperts"], index: 1, architectures: ["deepseek4"])) { _ in }
        let few = findings.add(finding(["topExperts"], index: 2, architectures: ["llama", "hy_v3"])) { _ in }
        _ = findings.add(finding(["attention", "rope"], index: 3, architectures: ["hunyuan_vl"])) { _ in }
        #expect(findings.joinWidespread().isEmpty && findings.all.count == 3)
        for architecture in ["qwen3moe", "deepseek2"] {
            var sighting = signature("mismatch", device: "cpu")
            sighting.architecture = architecture
            findings.count(sighting, for: few)
        }
        #expect(findings.joinWidespread().map { $0.dropped.map(\.finding.index) } == [[1]])
        #expect(findings.all.map(\.index) == [2, 3] && findings.all.first?.occurrences.cases == 5)
        #expect(findings.joinWidespread().isEmpty)
    }

    // MARK: Signatures

    private func signature(_ kind: String, _ frames: [String] = [], device: String = "llama:CUDA0") -> Signature {
        Signature(check: .agrees, device: device, architecture: "llama", stage: "process", kind: kind, frames: frames)
    }

    @Test("blame the innermost function that does more than what its caller asked for")
    func place() {
        #expect(signature("SIGSEGV", ["libggml-base.so", "ggml_view_3d", "build_attn", "main"]).place == "build_attn")
        #expect(
            signature("SIGSEGV", ["ggml_vec_dot_q4_K", "ggml_compute_forward_mul_mat"]).place == "ggml_vec_dot_q4_K")
        #expect(signature("SIGSEGV", ["std::vector::at", "Llama::load"]).place == "Llama::load")
        #expect(signature("SIGSEGV", ["ggml_add"]).place == "ggml_add")
        #expect(signature("SIGSEGV").place == nil && signature("SIGSEGV").backend == "llama:CUDA")
    }

    @Test("of deaths at one place are one, and of others are not")
    func deaths() {
        func finding(_ signature: Signature) -> Finding {
            Finding(
                Failure(signature: signature, seen: ""), nil, index: 0, found: .init(seed: 1, index: 0, version: ""))
        }
        let crash = finding(signature("SIGSEGV", ["kernel"]))
        var other = signature("SIGSEGV", ["kernel", "elsewhere"], device: "llama:CUDA1")
        other.check = .chunking
        other.architecture = "gemma"
        #expect(crash.isSame(as: other))
        #expect(
            !crash.isSame(as: signature("SIGSEGV", ["another"])) && !crash.isSame(as: signature("SIGFPE", ["kernel"])))
        #expect(!crash.isSame(as: signature("SIGSEGV", ["kernel"], device: "llama:CPU")))
        // A signal of which nothing is known says nothing.
        #expect(!finding(signature("SIGSEGV")).isSame(as: signature("SIGSEGV")))
        let types = finding(signature("SIGABRT: a.cpp: op: unsupported: f16", ["op"]))
        #expect(types.isSame(as: signature("SIGABRT: a.cpp: op: unsupported: bf16", ["op"])))
    }

    @Test("of contradicted metadata are one only where the same key is wrong")
    func contradictions() {
        func finding(_ key: String, _ architecture: String, in function: String) -> Finding {
            var subject = Toy.subject(.rejects)
            subject.metadata["general.architecture"] = .string(architecture)
            subject.contradiction = Contradiction(key: "\(architecture).\(key)", kind: .missing, value: nil)
            var signature = signature("SIGFPE", [function])
            signature.check = .rejects
            let failure = Failure(signature: signature, seen: "")
            var finding = Finding(failure, subject, index: 0, found: .init(seed: 1, index: 0, version: ""))
            finding.take(CauseSearch(judge: Judge(EngineSet(Toy.engine()))).answer(subject, failure))
            return finding
        }
        let heads = finding("attention.head_count", "llama", in: "load_llama")
        #expect(heads.includes(finding("attention.head_count", "gemma", in: "load_gemma")))
        #expect(heads.includes(finding("block_count", "llama", in: "load_llama")), "they are at one place")
        #expect(!heads.includes(finding("block_count", "gemma", in: "load_gemma")))
        #expect(heads.cause?.needs == ["contradiction of attention.head_count", "check rejects"])
    }

    @Test("of corpus files that need one thing are one, without running them")
    func triage() throws {
        var triage = Triage()
        func add(_ type: TensorType, sequences: Int = 1, seen: String = "error 1e6; 0.5 of the row's length") {
            var subject = Toy.subject(.agrees)
            subject.recipe.type = type
            subject.script.options.sequences = sequences
            triage.add(
                CorpusEntry(
                    case: subject, signature: signature("mismatch"), seen: seen,
                    found: .init(seed: 1, index: 1, version: "")), in: "\(type.name)-\(sequences).json")
        }
        add(.q8_0)
        add(.q8_0, sequences: 2)
        add(.q4_0)
        add(.f16, seen: "row 0 of step 0: error 3e+03 times its noise floor, limit 16; 4.3e-04 of the row's length")
        triage.add(signature("SIGSEGV", ["kernel"]), "ended by SIGSEGV", in: "log.jsonl:1")
        triage.add(signature("SIGSEGV", ["kernel"]), "ended by SIGSEGV", in: "log.jsonl:7")
        let groups = triage.groups
        #expect(groups.map(\.members.count) == [2, 2, 1, 1])
        #expect(groups.contains { $0.members == ["Q8_0-1.json", "Q8_0-2.json"] && $0.title.contains("type Q8_0") })
        #expect(groups.contains { $0.title.contains("coarser arithmetic") && $0.members == ["F16-1.json"] })
    }

    // MARK: What a case has

    @Test(
        "what is peculiar to a case is among its traits, and the simplest has nothing",
        arguments: ["llama", "gemma3", "mamba2", "t5", "deepseek2"])
    func peculiarities(_ name: String) throws {
        for (seed, subject) in try Samples.cases(of: name, 8) where subject.check != .rejects {
            let traits = Set(subject.traits)
            for peculiarity in subject.peculiarities {
                #expect(subject.trait(of: peculiarity).map(traits.contains) ?? true, "seed \(seed): \(peculiarity)")
            }
            let plain = subject.simplestOfArchitecture(tokens: 2)
            #expect(plain.peculiarities.isEmpty, "seed \(seed): \(plain.peculiarities)")
        }
    }

    @Test("a kept finding is a known finding by its cause")
    func known() throws {
        try withTemporaryFolder { folder in
            var subject = Toy.subject(.agrees)
            subject.recipe.type = .q8_0
            let failure = Failure(signature: signature("mismatch", device: "cpu"), seen: "")
            var entry = CorpusEntry(
                case: subject, signature: failure.signature, seen: "", found: .init(seed: 1, index: 1, version: ""))
            entry.cause = Cause(needs: ["type Q8_0"])
            entry.occurrences = Finding.Occurrences()
            entry.occurrences?.add(failure.signature)
            try Corpus(folder: folder).keep(entry)
            let known = try KnownFindings([folder])
            #expect(known.explaining(failure, of: subject) != nil)
            var other = subject
            other.recipe.type = .q4_0
            #expect(known.explaining(failure, of: other) == nil)
        }
    }
}
