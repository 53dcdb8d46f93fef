import Architectures
import Inference
import Testing

@testable import Fuzzing

@Suite("The catalog of features")
struct FeatureCatalogTests {
    /// Kinds that it lists as a whole.
    private static let kinds: Set = [
        "check", "key", "tensor", "type", "weights", "step", "transformation", "contradiction",
    ]

    @Test("has what drawn cases have", arguments: Samples.architectures)
    func holdsDrawnCases(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        let all = try FeatureCatalog.features(of: [type], checks: Check.allCases)
        for (seed, subject) in try Samples.cases(of: name) where subject.check != .rejects {
            let own = subject.features.filter { Self.kinds.contains(String($0.prefix { $0 != " " })) }
            #expect(!own.isEmpty && own.allSatisfy(all.contains), "seed \(seed): \(own.filter { !all.contains($0) })")
        }
    }

    @Test("is of the checks and architectures that are asked about")
    func isOfThePlan() throws {
        let decoder = try FeatureCatalog.features(of: [ArchitectureCatalog.named("gpt2")], checks: [.agrees])
        #expect(!decoder.contains("step encode") && !decoder.contains("check state"))
        #expect(!decoder.contains { $0.hasPrefix("transformation ") || $0.hasPrefix("contradiction ") })
        let encoder = try FeatureCatalog.features(of: [ArchitectureCatalog.named("t5")], checks: [.metamorphic, .rejects])
        #expect(encoder.contains("step encode") && !encoder.contains("check agrees"))
        #expect(encoder.contains { $0.hasPrefix("transformation ") } && encoder.contains { $0.hasPrefix("contradiction ") })
    }
}
