import Architectures
import GGUF
import ModelGraph
import PropertyTesting
import Testing

@Suite("Drawing models")
struct DrawingTests {
    static let names = ArchitectureCatalog.all.map { $0.name }

    @Test("every drawn model is valid, reads back alike, and builds for any batch", arguments: names)
    func drawnModelsAreValid(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        for seed in 0..<80 as Range<UInt64> {
            var choices = Choices(seed: seed)
            let model = try DrawnModel.draw(type, &choices)
            let read = try ArchitectureCatalog.read(model.metadata)
            let batch = model.architecture.traits.isBidirectional ? 5 : 3
            for stage in read.traits.stages {
                let g = GraphBuilder(
                    batch: BatchShape(stage: stage, tokens: batch, outputs: 2, cells: 32, encoderTokens: 4, context: 64)
                ) { model.optionalTensors.contains($0) }
                read.build(g)
                let graph = try g.finish()
                #expect(!graph.outputs.isEmpty, "seed \(seed)")
            }
        }
    }

    @Test("a domain without a value is an error that names the key", arguments: [
        Declaration.Domain.integer(valid: 1...9, fuzz: []), .real(valid: 0...1, fuzz: []), .boolean([]), .option([]),
        .text([]), .labels(counts: [], areNames: true), .pattern(valid: 0...9, fuzz: [], count: 2),
        .pattern(valid: 0...9, fuzz: [1], count: 0), .layouts([], of: .boolean([true]), count: 2),
        .perLayer(.integer(valid: 1...9, fuzz: []), count: 2),
    ])
    func emptyDomains(_ domain: Declaration.Domain) {
        for seed in 0..<8 as Range<UInt64> {
            var drawer = MetadataDrawer(architecture: "llama", choices: Choices(seed: seed))
            let error = #expect(throws: MetadataError.self) {
                try drawer.value(of: Declaration(key: "rope.freq_base", about: "", domain: domain, absence: nil))
            }
            #expect(error?.description == "llama.rope.freq_base: has a domain without a value that could be drawn")
        }
    }

    @Test("the same seed draws the same model", arguments: names)
    func drawingIsDeterministic(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        var (one, two) = (Choices(seed: 7, stream: 3), Choices(seed: 7, stream: 3))
        let (a, b) = (try DrawnModel.draw(type, &one), try DrawnModel.draw(type, &two))
        #expect(a.metadata == b.metadata)
        #expect(a.optionalTensors == b.optionalTensors)
    }

    @Test("replaying the recorded choices draws the same model", arguments: names)
    func replayDrawsTheSame(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        var recorded = Choices(seed: 11)
        let model = try DrawnModel.draw(type, &recorded)
        var replayed = Choices(replaying: recorded.made.map(\.value))
        let again = try DrawnModel.draw(type, &replayed)
        #expect(again.metadata == model.metadata)
        #expect(again.optionalTensors == model.optionalTensors)
    }
}
