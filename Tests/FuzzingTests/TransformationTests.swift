import Architectures
import Devices
import Engines
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

@Suite("Transformations")
struct TransformationTests {
    @Test("change the tensors, and not what the model computes", arguments: Samples.architectures)
    func logitsStay(_ name: String) throws {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice()]))
        for (seed, subject) in try Samples.cases(of: name, 2) where subject.check != .rejects {
            let architecture = try ArchitectureCatalog.read(subject.metadata)
            let source = try subject.source()
            let script = subject.script.on(EngineSet.reference)
            let expected = try engine.load(source).run(script)
            for kind in try Transformation.kinds(for: architecture, optional: Set(subject.optionalTensors)) {
                let changed = try Transformation(kind: kind, seed: seed).applied(to: source)
                if kind != .fusion { #expect(changed.tensors == source.tensors, "\(kind), seed \(seed)") }
                let found = try engine.load(changed).run(script)
                for (a, b) in zip(found.results, expected.results) {
                    #expect(a.rows?.keys == b.rows?.keys)
                    let (a, b) = (a.rows?.elements ?? [], b.rows?.elements ?? [])
                    let length = distance(ArraySlice(b), ArraySlice(b.map { _ in 0 }))
                    #expect(
                        distance(ArraySlice(a), ArraySlice(b)) <= 1e-8 * length || !length.isFinite,
                        "\(kind), seed \(seed)")
                }
            }
        }
    }

    @Test("of each kind change a model that has what they permute or fuse")
    func tensorsChange() throws {
        var subject = Toy.subject(.metamorphic)
        subject.metadata = try Toy.simplest("qwen3moe")
        let source = try subject.source()
        let file = try source.bytesOfFile()
        for kind in Transformation.Kind.allCases {
            let changed = try Transformation(kind: kind, seed: 1).applied(to: source)
            #expect(try changed.bytesOfFile() != file, "\(kind)")
            #expect(changed.metadata == source.metadata)
        }
    }

    @Test("orders are never the one there was, where there is another")
    func orders() {
        for seed in 0..<50 as Range<UInt64> {
            var random = RandomStream(seed: seed)
            for count in 2...5 {
                let order = random.order(count)
                #expect(order.sorted() == Array(0..<count) && order != Array(0..<count))
            }
            #expect(random.order(1) == [0])
        }
    }
}

@Suite("Contradictions")
struct ContradictionTests {
    /// Every contradiction to some metadata that can be drawn.
    private func all(_ drawn: DrawnModel) throws -> [Contradiction] {
        var found: [Contradiction] = []
        while true {
            var choices = Choices(replaying: [UInt64(found.count)])
            let next = try Contradiction.draw(
                &choices, drawn.architecture, drawn.metadata, boundsSizes: true, like: nil)
            // A choice beyond the last is the last.
            if choices.made.first?.value != UInt64(found.count) { return found }
            found.append(next)
        }
    }

    @Test("are refused, each by the name of its key", arguments: Samples.architectures)
    func refusals(_ name: String) throws {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice()]))
        var choices = Choices(seed: 4)
        let drawn = try DrawnModel.draw(ArchitectureCatalog.named(name), &choices)
        let contradictions = try all(drawn)
        #expect(contradictions.count > 20 && Set(contradictions.map(\.kind)).count > 3)
        var subject = Toy.subject(.rejects)
        for contradiction in contradictions {
            subject.metadata = contradiction.applied(to: drawn.metadata)
            let refusal = #expect(throws: Refusal.self, "\(contradiction)") { try engine.load(subject.source()) }
            #expect(refusal?.reason.contains(contradiction.key) ?? true, "\(contradiction)")
        }
    }
}
