import Architectures
import Engines
import Testing

@testable import Fuzzing

@Suite("Steering")
struct SteeringTests {
    private static let architectures: [any Architecture.Type] = [Llama.self, Gemma2.self, Mamba2.self]

    private static func plan(isSteered: Bool) -> FuzzPlan {
        var plan = FuzzPlan(
            seed: 4, architectures: architectures, devices: ["cpu"], placeable: [EngineSet.reference, "cpu"])
        plan.isSteered = isSteered
        return plan
    }

    @Test("draws the same case of a number, whatever was drawn before")
    func determinism() throws {
        let (one, other) = (Self.plan(isSteered: true), Self.plan(isSteered: true))
        let forwards = try (0..<12 as Range<UInt64>).map { try one.draw($0).case }
        let backwards = try (0..<12 as Range<UInt64>).reversed().map { try other.draw($0).case }
        #expect(forwards == backwards.reversed())
    }

    @Test("draws by choices that draw the case again, of the same architectures, and others than without")
    func choices() throws {
        let (steered, plain) = (Self.plan(isSteered: true), Self.plan(isSteered: false))
        var differences = 0
        for index in 0..<12 as Range<UInt64> {
            let (subject, recording) = try steered.draw(index)
            #expect(CaseSpace(drawing: steered.drawing(of: index)).replay(recording) == subject)
            let other = try plain.draw(index).case
            #expect(subject.architecture == other.architecture)
            if subject != other { differences += 1 }
        }
        #expect(differences > 3)
    }

    @Test("sees more pairs of features in as many cases, and as many sooner")
    func gain() throws {
        let gain = try SteeringGain(Self.plan(isSteered: false), cases: 90)
        #expect(gain.steered > gain.plain)
        #expect(try #require(gain.sooner) < 90)
    }
}
