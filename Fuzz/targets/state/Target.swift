import Architectures
import Devices
import FuzzTarget
import PropertyTesting

@testable import Inference

/// Saved states: what is restored goes on, and is saved as it was; what is refused changes nothing.
@main
struct Target: FuzzTarget {
    /// Of models with caches, with recurrent state, with both, and with an encoder.
    private let sessions: [Session]

    init() throws { sessions = try ["llama", "mamba", "jamba", "t5"].map(Self.session) }

    private static func session(_ architecture: String) throws -> Session {
        var choices = Choices(seed: 1)
        let drawn = try DrawnModel.draw(ArchitectureCatalog.named(architecture), &choices)
        let source = try MemorySource(
            drawn.metadata, optional: .only(drawn.optionalTensors), recipe: WeightRecipe(seed: 1))
        let session = try Session(
            Model(source), placement: Placement("reference"), devices: DeviceSet([ReferenceDevice()]),
            options: SessionOptions(context: 8, sequences: 2, microBatch: 8))
        if session.model.architecture.traits.hasEncoder { try session.encode(Batch([1, 2])) }
        try session.process(Batch([1, 2, 3]))
        return session
    }

    func read(_ input: [UInt8]) throws {
        var fields = Fields(input)
        let session = fields.element(of: sessions), isWhole = fields.flag(), goesOn = fields.flag()
        let bytes = fields.remainder(), before = try session.saveState()
        do {
            if isWhole { try session.restoreState(bytes) } else { try session.restoreState(bytes, of: 0) }
        } catch {
            let after = try session.saveState()
            expect(after == before, "a state that was refused has changed something")
            throw error
        }
        let restored = try isWhole ? session.saveState() : session.saveState(of: 0)
        let saved = try StateArchive(restored).encoded()
        expect(saved == restored, "a state that is not what was saved")
        if goesOn { try session.process(Batch([1], from: 3)) }
    }

    var seeds: [[UInt8]] {
        get throws {
            try sessions.indices.flatMap { index in
                try [true, false].map { isWhole in
                    var writer = FieldWriter()
                    writer.append(byte: UInt8(index))
                    writer.append(byte: isWhole ? 1 : 0)
                    writer.append(byte: 1)
                    writer.append(
                        remainder: try isWhole ? sessions[index].saveState() : sessions[index].saveState(of: 0))
                    return writer.input
                }
            }
        }
    }
}
