import Architectures
import Devices
import Engines
import Foundation
import GGUF
import Inference
import PropertyTesting
import Testing

@testable import Fuzzing

@Suite("Damaged files")
struct DamageTests {
    private func subject(_ name: String, _ type: TensorType = .f32) throws -> Case {
        var subject = Toy.subject(.malformed)
        subject.metadata = try Toy.simplest(name)
        subject.metadata["general.name"] = "toy"
        subject.metadata["extra.flag"] = false
        subject.metadata["extra.texts"] = .array(.string(["one", "", "three"]))
        subject.recipe.type = type
        return subject
    }

    /// Everything of a kind that can be done to a model's file, in few of the places where it can be.
    private func damages(_ kind: Damage.Kind, _ layout: DraftLayout) -> [Damage] {
        let declaration = kind.declaration
        let places: [Damage.Place] = switch declaration.possiblePlaces(layout) {
        case .listed(let places): (places.prefix(12) + places.suffix(2)).uniqued
        case .bytes(let range): range.filter { $0 % 97 == 0 || $0 == range.upperBound - 1 }.map { .init(nil, $0) }
        }
        return places.flatMap { place in declaration.values(layout, place).map { Damage(kind, place, $0) } }
    }

    @Test("are to this program's own reader what their kind says", arguments: Damage.Kind.allCases)
    func meaning(_ kind: Damage.Kind) throws {
        var count = 0
        for (name, type) in [("llama", TensorType.f32), ("qwen3moe", .q8_0)] {
            let subject = try subject(name, type)
            let source = try subject.source()
            let tensors = try source.tensors.map { try source.data(of: $0).bytes.withBytes { Array($0) } }
            for damage in damages(kind, DraftLayout(FileDraft(source, optionalTensors: []))) {
                count += 1
                let damaged = try DamagedFile(source, optionalTensors: subject.optionalTensors, [damage])
                do {
                    let model = try Model(FileSource(GGUFFile(bytes: damaged.bytes)))
                    #expect(damaged.meaning != .nothing, "\(damage.words)")
                    guard damaged.meaning != .anything else { continue }
                    let read = try source.tensors.map { tensor in
                        let info = try #require(model.source.tensors.first { $0.name == tensor.name })
                        return try model.source.data(of: info).littleEndian().withBytes { Array($0) }
                    }
                    #expect(read == tensors, "\(damage.words)")
                } catch {
                    #expect(damaged.meaning != .same, "\(damage.words): \(error)")
                }
            }
        }
        #expect(count > 0)
    }

    @Test("without damage are what is saved")
    func undamaged() throws {
        for name in ["llama", "qwen3moe", "t5", "bert"] {
            let subject = try subject(name)
            #expect(try subject.file() == subject.source().bytesOfFile())
        }
    }

    @Test("of big-endian numbers are those that the writer makes")
    func bigEndian() throws {
        var subject = try subject("llama", .q8_0)
        subject.damages = [Damage(.byteOrder)]
        let source = try subject.source()
        let tensors = source.tensors.map { tensor in
            GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.shape.gguf, type: tensor.type) {
                try source.data(of: tensor).bytes.withBytes($0)
            }
        }
        #expect(try subject.file() == GGUFWriter.bytes(source.metadata, tensors, byteOrder: .big))
    }

    @Test("are drawn again by the choices that a case gives, and with every kind sooner or later")
    func drawing() throws {
        let drawing = try Samples.drawing("llama", checks: [.malformed])
        let space = CaseSpace(drawing: drawing)
        var seen: Set<Damage.Kind> = []
        for seed in 0..<160 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let subject = try drawing.draw(&choices)
            seen.formUnion((subject.damages ?? []).map(\.kind))
            guard seed < 40 else { continue }
            #expect(try space.replay(space.recover(subject)) == subject, "seed \(seed)")
            #expect(try subject.objection() == nil)
        }
        #expect(seen.count > Damage.Kind.allCases.count * 3 / 4)
    }

    @Test("are damaged again and again, and are files all the same")
    func several() throws {
        let draft = try FileDraft(subject("llama").source(), optionalTensors: [])
        for seed in 0..<300 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let damages = try Damage.draw(&choices, draft, like: nil)
            var damaged = draft
            for damage in damages { _ = try damage.apply(to: &damaged) }
            #expect(try damaged.bytes().count == DraftLayout(damaged).editedByteCount, "\(damages.map(\.words))")
        }
    }

    @Test("can be damaged where they are damaged already", arguments: Damage.Kind.allCases)
    func again(_ kind: Damage.Kind) throws {
        let whole = try FileDraft(subject("llama").source(), optionalTensors: [])
        var emptied = whole
        for key in ["merges", "tokens", "scores", "token_type"] {
            _ = try Damage(.tokenizerLength, .init("tokenizer.ggml." + key), .uint64(0)).apply(to: &emptied)
        }
        for value in 0..<16 {
            var draft = value < 8 ? whole : emptied
            for _ in 0..<6 {
                let layout = DraftLayout(draft)
                let place: Damage.Place? = switch kind.declaration.possiblePlaces(layout) {
                case .listed(let places): places.first
                case .bytes(let range): range.first.map { .init(nil, $0) }
                }
                guard let place else { break }
                let values = kind.declaration.values(layout, place)
                _ = try Damage(kind, place, values[value % values.count]).apply(to: &draft)
                _ = try draft.bytes()
            }
        }
    }

    @Test("that a model's file cannot have are refused by name")
    func objections() throws {
        func objection(_ damages: Damage...) throws -> String? {
            var subject = try subject("llama")
            subject.damages = damages
            return try subject.objection()
        }
        #expect(try objection(Damage(.offset, .init("token_embd.weight"), .uint64(12345))) == nil)
        #expect(
            try objection(Damage(.offset, .init("nothing"), .uint64(0)))
                == "damages: offset: nothing: is no such place in this file")
        #expect(try objection(Damage(.headerCut, .init(nil, 1 << 40)))?.contains("no such place") ?? false)
        #expect(try objection(Damage(.tail, .file, .uint64(1 << 60)))?.contains("nothing that it can be") ?? false)
        #expect(
            try objection(Damage(.tail, .file, .uint64(1)), Damage(.keysReversed))
                == "damages: keysReversed: comes after what is done to the bytes")
    }

    @Test("are kept in a corpus file, and are none of other checks")
    func corpus() throws {
        var subject = try subject("llama")
        subject.damages = [
            Damage(.dimension, .init("token_embd.weight", 1), .uint64(.max)),
            Damage(.dataBit, .init(nil, 3000), .uint8(4)),
        ]
        let signature = Signature(
            check: .malformed, device: "cpu", architecture: "llama", stage: "load", kind: "accepted")
        let entry = CorpusEntry(
            case: subject, signature: signature, seen: "", found: .init(seed: 1, index: 2, version: ""))
        try withTemporaryFolder { folder in
            try entry.write(to: folder + "/x.json")
            #expect(try CorpusEntry(path: folder + "/x.json") == entry)
        }
        #expect(subject.features.contains("damage dimension") && subject.features.contains("damage dataBit"))
        #expect(try !CorpusEntry(case: Toy.subject(.agrees), signature: signature, seen: "", found: entry.found).text()
            .contains("damages"))
    }

    /// `cpu`, but for how it takes files.
    private final class FileEngine: Engine {
        let name = "file"
        var devices: [EngineDevice] { builtin.devices.filter { $0.name == "cpu" } }
        let refusesOnlyInvalid: Bool
        private let builtin = Toy.engine()
        private let take: (String, BuiltinEngine) throws -> any EngineModel

        init(
            refusesOnlyInvalid: Bool = true, _ take: @escaping (String, BuiltinEngine) throws -> any EngineModel
        ) {
            self.refusesOnlyInvalid = refusesOnlyInvalid
            self.take = take
        }

        func load(_ source: any TensorSource) throws -> any EngineModel { try builtin.load(source) }
        func load(file path: String) throws -> any EngineModel { try take(path, builtin) }
    }

    private func verdict(_ damage: Damage, _ engine: FileEngine) throws -> Verdict.Outcome {
        var subject = try subject("llama")
        subject.damages = [damage]
        return Judge(EngineSet(oracle: Toy.engine(), engines: [engine])).judge(subject)[0].outcome
    }

    private func kind(_ outcome: Verdict.Outcome) -> String? {
        if case .failed(let failure) = outcome { failure.signature.kind } else { nil }
    }

    private static let invalid = Damage(.offset, .init("token_embd.weight"), .uint64(1))
    private static let harmless = Damage(.keysReversed)
    private static let disputed = Damage(.alignment, .file, .uint32(24))
    private static let unknown = Damage(.dataBit, .init(nil, 3000), .uint8(1))
    private static let unused = Damage(.tensorAdded, .init("extra.weight"))

    @Test("pass whoever reads them as the format says", arguments: [invalid, harmless, disputed, unknown, unused])
    func passing(_ damage: Damage) throws {
        #expect(try verdict(damage, FileEngine { try $1.load(file: $0) }) == .passed)
    }

    @Test("are refused in memory when they are taken, and not when they are needed", arguments: [
        unused, Damage(.tensorShape, .init("blk.0.attn_q.weight"), .array(.uint64([32, 33]))),
    ])
    func inMemory(_ damage: Damage) throws {
        var subject = try subject("llama")
        subject.damages = [damage]
        let file = try TemporaryFile(bytes: subject.file())
        #expect(throws: Refusal.self) { try Toy.engine().load(fileInMemory: file.path) }
    }

    @Test("that are no model may be refused, or taken for the undamaged model by whoever does not check")
    func invalidFiles() throws {
        let same = try subject("llama").source()
        var other = try subject("llama")
        other.recipe.seed += 1
        let another = try other.source()
        #expect(try kind(verdict(Self.invalid, FileEngine { try $1.load(same) })) == "accepted: offset")
        let lax = { FileEngine(refusesOnlyInvalid: false, $0) }
        #expect(try verdict(Self.invalid, lax { try $1.load(same) }) == .passed)
        #expect(try kind(verdict(Self.invalid, lax { try $1.load(another) })) == "accepted: offset")
        #expect(try verdict(Self.unknown, lax { try $1.load(another) }) == .passed)
        #expect(try kind(verdict(Self.disputed, lax { try $1.load(another) })) == "mismatch")
    }

    @Test("that mean nothing are refused only by whoever may refuse what is valid")
    func validFiles() throws {
        func refusing(_ refusesOnlyInvalid: Bool) -> FileEngine {
            FileEngine(refusesOnlyInvalid: refusesOnlyInvalid) { _, _ in throw Refusal("no") }
        }
        #expect(try kind(verdict(Self.harmless, refusing(true))) == "refused")
        #expect(try verdict(Self.harmless, refusing(false)) == .passed)
        #expect(try verdict(Self.disputed, refusing(true)) == .passed)
    }

    @Test("must be survived, whatever they mean", arguments: [invalid, harmless, disputed, unknown])
    func deaths(_ damage: Damage) throws {
        let outcome = try verdict(damage, FileEngine { _, _ in throw EngineDeath(.signal(11, "SIGSEGV")) })
        #expect(kind(outcome) == "SIGSEGV")
    }

    @Test("are cut down to the one damage that matters, in the simplest model")
    func shrinking() throws {
        let drawing = CaseDrawing(
            try ArchitectureCatalog.named("llama"), devices: ["cpu"], placeable: ["cpu"], checks: [.malformed])
        let engine = FileEngine { path, builtin in
            let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
            if bytes.count > 4, bytes[4] != 3 { throw EngineDeath(.signal(11, "SIGSEGV")) }
            return try builtin.load(file: path)
        }
        let judge = Judge(EngineSet(oracle: Toy.engine(), engines: [engine]))
        let found = try #require(
            (0..<600 as Range<UInt64>).lazy.compactMap { seed -> (Choices.Recording, Failure)? in
                var choices = Choices(seed: seed)
                guard let subject = try? drawing.draw(&choices), let damages = subject.damages, damages.count > 1,
                    damages.contains(where: { $0.kind == .version }),
                    let failure = judge.judge(subject)[0].failure
                else { return nil }
                return (choices.recording, failure)
            }.first)
        let shrunk = try #require(CaseShrinker(drawing, judge, budget: 400).shrink(found.0, found.1))
        #expect(shrunk.case.damages?.map(\.kind) == [.version])
        #expect(shrunk.case.layers == 1 && shrunk.case.tokens == 1)
    }
}
