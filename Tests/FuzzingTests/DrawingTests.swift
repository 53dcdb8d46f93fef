import Architectures
import Devices
import Engines
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

@Suite("Drawn cases")
struct DrawingTests {
    @Test("are legal: the reference runs them without an error", arguments: Samples.architectures)
    func legality(_ name: String) throws {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice()]))
        for (seed, subject) in try Samples.cases(of: name, 4) where subject.check != .rejects {
            let transcript = try engine.load(subject.source()).run(subject.script.on(EngineSet.reference))
            #expect(transcript.failure == nil, "seed \(seed): \(subject.summary)")
            #expect(transcript.results.count == subject.script.steps.count)
        }
    }

    @Test("are found again by the choices that a case itself gives", arguments: Samples.architectures)
    func recovering(_ name: String) throws {
        let drawing = try Samples.drawing(name)
        for (seed, subject) in try Samples.cases(of: name, 10) where subject.check != .rejects {
            var recovered = Choices(replaying: [])
            let again = try drawing.draw(&recovered, like: subject)
            #expect(again == subject, "seed \(seed)")
            // The choices alone draw it too.
            #expect(CaseSpace(drawing: drawing).replay(recovered.recording) == subject, "seed \(seed), replayed")
        }
    }

    @Test("have every check, step, transformation, contradiction and cache sooner or later")
    func reachability() throws {
        let plan = FuzzPlan(seed: 3, devices: ["cpu"], placeable: ["reference", "cpu"])
        var seen: Set<String> = []
        // What is no whole block of a type does not count as one.
        for index in 0..<2700 as Range<UInt64> { seen.formUnion(try plan.draw(index).case.features) }
        let rejecting = FuzzPlan(seed: 4, checks: [.rejects], devices: ["cpu"], placeable: ["cpu"])
        for index in 0..<400 as Range<UInt64> { seen.formUnion(try rejecting.draw(index).case.features) }
        let steps = ["encode", "process", "remove", "keep", "copy", "shift", "divide", "save", "restore", "clear"]
        let wanted =
            Check.usual.filter { $0 != .settings }.map { "check \($0.rawValue)" } + steps.map { "step \($0)" }
            + Transformation.Kind.allCases.map { "transformation \($0.rawValue)" }
            + Contradiction.Kind.allCases.map { "contradiction \($0.rawValue)" }
            + StateType.allCases.filter(\.isNative).map { "cache \($0.rawValue)" }
            + WeightRecipe.drawnTypes.map { "type \($0.name)" }
            + Adversity.allCases.map { "weights \($0.rawValue)" } + [
                "several sequences", "micro-batches", "more than 32 tokens",
            ]
        #expect(Set(wanted).subtracting(seen).isEmpty)
    }

    @Test("read outputs in every way of an engine that has several, and are found again")
    func outputAccess() throws {
        func accesses(_ traits: EngineTraits, _ architecture: String) throws -> Set<Script.OutputAccess?> {
            let drawing = CaseDrawing(
                try ArchitectureCatalog.named(architecture), devices: ["cpu"], placeable: ["cpu"], checks: [.agrees],
                traits: traits)
            return Set(
                try (0..<60 as Range<UInt64>).map { seed in
                    var choices = Choices(seed: seed, stream: 7)
                    let subject = try drawing.draw(&choices)
                    var recovered = Choices(replaying: [])
                    #expect(try drawing.draw(&recovered, like: subject) == subject)
                    return subject.script.options.outputAccess
                })
        }
        let choosing = EngineTraits(settings: [.outputAccess])
        #expect(try accesses(choosing, "gpt2") == [nil, .fromEnd, .array])
        #expect(try accesses(EngineTraits(), "gpt2") == [nil])
    }

    @Test("of one plan and index are the same, whatever was drawn before")
    func determinism() throws {
        let plan = FuzzPlan(seed: 9, devices: ["cpu"], placeable: ["reference", "cpu"])
        let cases = try (0..<40).map { try plan.draw($0).case }
        for index in (0..<40).reversed() { #expect(try plan.draw(UInt64(index)).case == cases[index]) }
        #expect(Set(cases).count == 40)
        let other = FuzzPlan(seed: 10, devices: ["cpu"], placeable: ["reference", "cpu"])
        #expect(try other.draw(0).case != cases[0])
    }

    @Test("take turns among architectures, and have the checks that are asked for")
    func plans() throws {
        let plan = FuzzPlan(
            seed: 1, architectures: [Llama.self, GPT2.self], checks: [.state], devices: ["cpu"], placeable: ["cpu"])
        for index in 0..<10 as Range<UInt64> {
            let subject = try plan.draw(index).case
            #expect(subject.architecture == (index % 2 == 0 ? "llama" : "gpt2") && subject.check == .state)
        }
        // A model that keeps nothing between batches cannot be asked about its state.
        let bert = FuzzPlan(seed: 1, architectures: [BERT.self], checks: [.state], devices: ["cpu"], placeable: ["cpu"])
        #expect(try bert.draw(0).case.check == .agrees)
    }

    /// HRM-Text's layers are runs of two stacks, so that one run less is no model.
    static let removable = Samples.architectures.filter { $0 != "hrm_text" }

    @Test("have one layer less of everything that is said layer by layer", arguments: removable)
    func removingLayers(_ name: String) throws {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice()]))
        var removals = 0
        for (seed, subject) in try Samples.cases(of: name, 20)
        where subject.check != .rejects && subject.layers > 1 && removals < 2 {
            for layer in 0..<subject.layers {
                // Some layers are the last of a kind that there must be one of.
                guard let smaller = try? subject.removing(layer: layer), (try? smaller.source()) != nil else {
                    continue
                }
                removals += 1
                #expect(smaller.layers == subject.layers - 1)
                let transcript = try engine.load(smaller.source()).run(smaller.script.on(EngineSet.reference))
                #expect(transcript.failure == nil, "seed \(seed) without layer \(layer)")
            }
        }
        // Some models are of one layer.
        let cases = try Samples.cases(of: name, 20).map(\.case).filter { $0.check != .rejects }
        #expect(removals > 0 || cases.allSatisfy { $0.layers == 1 })
    }

    @Test("without a layer keep the other layers' kinds and tensors")
    func removedLayer() throws {
        var subject = Toy.subject(.agrees)
        subject.metadata = try Toy.simplest("lfm2")
        subject.metadata["lfm2.block_count"] = 3
        subject.metadata["lfm2.attention.head_count"] = 4
        subject.metadata["lfm2.attention.key_length"] = 8
        subject.metadata["lfm2.attention.value_length"] = 8
        subject.metadata["lfm2.attention.head_count_kv"] = .array(.uint32([0, 4, 0]))
        subject.optionalTensors = ["blk.0.a.weight", "blk.2.a.weight", "output.weight"]
        subject.script.placement = Placement("cpu", layers: [.init(first: 2, last: 2, device: "vulkan0")])
        let smaller = try subject.removing(layer: 0)
        #expect(smaller.metadata["lfm2.attention.head_count_kv"] == .array(.uint32([4, 0])))
        #expect(smaller.optionalTensors == ["blk.1.a.weight", "output.weight"])
        #expect(smaller.script.placement.layers == [.init(first: 1, last: 1, device: "vulkan0")])
    }
}
