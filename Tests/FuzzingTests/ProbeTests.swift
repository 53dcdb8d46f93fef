import Devices
import Engines
import Foundation
import GGUF
import Inference
import Testing

@testable import Fuzzing

@Suite("Probes")
struct ProbeTests {
    private static let float32 = Precision(storage: .float32, accumulation: .float32)

    /// What a device that computes so is found to do.
    private func answers(
        _ precision: Precision, _ questions: [ProbeQuestion]
    ) throws -> (Precision, [String: Probe.Answer]) {
        let engine = BuiltinEngine(DeviceSet([ReferenceDevice(), CPUDevice(threads: 1)]), imitating: precision)
        let device = try #require(engine.devices.last)
        var probe = Probe(engine, device, oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])))
        for question in questions { try probe.ask(question) }
        return (probe.precision, Dictionary(probe.answers.map { ($0.subject, $0) }) { first, _ in first })
    }

    @Test(
        "tell how products are computed, for one row, few and many",
        arguments: [
            (TensorType.f32, Precision.Arithmetic(.asStored)), (.f32, .init(.tensorFloat32)),
            (.f32, .init(.cutTensorFloat32)), (.f16, .init(.float16)), (.f16, .init(.flushedFloat16)),
            (.bf16, .init(.bfloat16)), (.q8_0, .init(.blocksOf32)), (.q4_K, .init(.blocksOf256)),
            (.q4_K, .init(.blocksOf32)), (.q8_0, .init(.asStored, sums: .chunkedFloat16)),
        ])
    func products(type: TensorType, arithmetic: Precision.Arithmetic) throws {
        for rows in Precision.RowCount.allCases {
            var imitated = Self.float32
            imitated.products[.init(type, rows)] = arithmetic
            let (found, answers) = try answers(imitated, [.products(type)])
            for other in Precision.RowCount.allCases {
                #expect(
                    found.products[.init(type, other)] == (other == rows ? arithmetic : .init(.asStored)),
                    "\(other.rawValue): \(String(describing: answers["products, \(type.name), \(other.rawValue)"]))")
            }
        }
    }

    /// Whether sums or operands are narrow is not always told apart: what is found has errors at least as large.
    @Test("find for narrow sums what errs as they do", arguments: [TensorType.f16, .q4_K, .f32])
    func narrowSums(type: TensorType) throws {
        var imitated = Self.float32
        imitated.products[.init(type, .many)] = .init(.asStored, sums: .float16)
        let (found, answers) = try answers(imitated, [.products(type)])
        let arithmetic = try #require(found.products[.init(type, .many)])
        #expect(arithmetic.sums == .float16 || arithmetic.operands >= .bfloat16)
        #expect(answers["products, \(type.name), more rows"]?.outcome != .unknown)
        #expect(found.products[.init(type, .one)] == .init(.asStored))
    }

    @Test("tell how products with experts are computed from those without")
    func experts() throws {
        var imitated = Self.float32
        imitated.products[.init(.q8_0, .few, isOfExperts: true)] = .init(.blocksOf32)
        imitated.products[.init(.q8_0, .few)] = .init(.blocksOf32)
        imitated.products[.init(.q8_0, .many)] = .init(.bfloat16)
        let (found, _) = try answers(
            imitated, [.products(.f32), .products(.q8_0), .expertProducts(.f32), .expertProducts(.q8_0)])
        #expect(found.products[.init(.q8_0, .few, isOfExperts: true)] == .init(.blocksOf32))
        #expect(found.products[.init(.q8_0, .many, isOfExperts: true)] == .init(.asStored))
        #expect(found.products[.init(.f32, .many, isOfExperts: true)] == .init(.asStored))
    }

    @Test("tell narrow attention", arguments: [Precision.Operands.float16, .bfloat16, .blocksOf32])
    func attention(operands: Precision.Operands) throws {
        var imitated = Self.float32
        for rows in Precision.RowCount.allCases {
            imitated.attention[.init(.full, isFlash: false, rows)] = .init(operands)
        }
        let (found, answers) = try answers(imitated, [.attention(.full, isFlash: false, isChosen: false)])
        #expect(found.attention.values.allSatisfy { $0 != .init(.asStored) } && found.attention.count == 3)
        #expect(answers.values.allSatisfy { $0.outcome != .unknown })
        let (exact, _) = try self.answers(Self.float32, [.attention(.full, isFlash: false, isChosen: false)])
        #expect(Set(exact.attention.values) == [.init(.asStored)])
    }

    @Test("tell what results are stored in, whether subnormal numbers are flushed, and which functions are coarse")
    func others() throws {
        var imitated = Self.float32
        imitated.flushesSubnormals = true
        imitated.functions = [.gelu: .float16]
        let (found, _) = try answers(imitated, [.results(), .subnormals(), .function(.norm), .function(.gelu)])
        #expect(found.flushesSubnormals && found.storage == .float32)
        #expect(found.functions == [.gelu: .float16])
        imitated.functions = [.norm: .bfloat16]
        let (coarse, _) = try answers(imitated, [.results(), .function(.norm)])
        #expect(coarse.storage == .float32 && coarse.functions == [.norm: .bfloat16])
        for format in [Precision.Format.float16, .bfloat16] {
            imitated = Precision(storage: format, accumulation: .float32)
            #expect(try answers(imitated, [.results()]).0.storage == format)
        }
    }

    @Test("what no hypothesis explains is unknown, and is excused by none")
    func unknown() throws {
        let engine = LyingEngine()
        var probe = Probe(engine, engine.devices[0], oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])))
        try probe.ask(.products(.q8_0))
        #expect(probe.answers.allSatisfy { $0.outcome == .unknown && $0.error ?? 0 > 0.05 })
        #expect(probe.answers.count == 3)
    }

    @Test("what an engine refuses, lacks or does not survive is not asked, and what is known stays")
    func notAsked() throws {
        for error in [Refusal("no"), Unsupported("no"), EngineDeath(.exit(1))] as [any Error] {
            let engine = LyingEngine()
            engine.error = error
            var probe = Probe(engine, engine.devices[0], oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])))
            try probe.run()
            #expect(probe.precision == engine.devices[0].precision && !probe.answers.isEmpty)
            #expect(probe.answers.allSatisfy { if case .notAsked = $0.outcome { true } else { false } })
        }
    }

    @Test("a device that gives no answer is asked nothing else")
    func hang() throws {
        let engine = LyingEngine()
        engine.error = EngineDeath(.hang(.seconds(1)))
        var probe = Probe(engine, engine.devices[0], oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])))
        try probe.run()
        #expect(engine.loads == 1 && !probe.answers.isEmpty)
    }

    @Test("precisions are the same as JSON")
    func json() throws {
        var precision = Precision.ggmlCPU
        precision.states = .float16
        precision.flushesSubnormals = true
        let data = try JSONEncoder().encode(precision)
        #expect(try JSONDecoder().decode(Precision.self, from: data) == precision)
        #expect(String(decoding: data, as: UTF8.self).contains(#""Q4_K of experts, 1 row":{"#))
        let least = try JSONDecoder().decode(
            Precision.self, from: Data(#"{"storage":"float32","accumulation":"float64"}"#.utf8))
        #expect(least == Precision(storage: .float32, accumulation: .float64))
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(
                Precision.self,
                from: Data(#"{"storage":"float32","accumulation":"float32","products":{"Q9, 1 row":{}}}"#.utf8))
        }
    }
}

/// The builtin `cpu`, a tenth of whose every result is something else; or which throws.
private final class LyingEngine: Engine {
    let name = "lying"
    let devices = [
        EngineDevice(name: "lying:cpu", summary: "", precision: Precision(storage: .float32, accumulation: .float32))
    ]
    var error: (any Error)?
    private let builtin = BuiltinEngine(DeviceSet([CPUDevice(threads: 1)]))

    private(set) var loads = 0

    func load(_ source: any TensorSource) throws -> any EngineModel {
        loads += 1
        if let error { throw error }
        return LyingModel(try builtin.load(source))
    }
    func load(file path: String) throws -> any EngineModel { LyingModel(try builtin.load(file: path)) }
}

private final class LyingModel: EngineModel {
    private let model: any EngineModel
    init(_ model: any EngineModel) { self.model = model }

    func run(_ script: Script, willBegin: (Int) -> Void) throws -> Transcript {
        var transcript = try model.run(script.on("cpu"))
        for index in transcript.results.indices {
            guard var rows = transcript.results[index].logits else { continue }
            for i in rows.elements.indices { rows.elements[i] *= i % 2 == 0 ? 1.1 : 0.9 }
            transcript.results[index].logits = rows
        }
        return transcript
    }
    func save(to path: String) throws { try model.save(to: path) }
}
