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

    // What is drawn of an architecture to list its features takes the time of a hundred cases.
    @Test(
        "has what drawn cases have",
        arguments: Samples.architectures.enumerated().filter { $0.offset % 3 == 0 }.map(\.element))
    func holdsDrawnCases(_ name: String) throws {
        let type = try ArchitectureCatalog.named(name)
        let all = try FeatureCatalog.features(of: [type], checks: Check.allCases)
        for (seed, subject) in try Samples.cases(of: name, 10) where subject.check != .rejects {
            // Of a tensor that comes in several sizes, the feature names the size.
            let own = subject.features.filter { feature in
                Self.kinds.contains(String(feature.prefix { $0 != " " })) && !feature.hasSuffix(" rows")
            }
            #expect(!own.isEmpty && own.allSatisfy(all.contains), "seed \(seed): \(own.filter { !all.contains($0) })")
        }
    }

    @Test("is of the checks and architectures that are asked about")
    func isOfThePlan() throws {
        func features(_ name: String, _ checks: Check...) throws -> Set<String> {
            try FeatureCatalog.features(of: [ArchitectureCatalog.named(name)], checks: checks)
        }
        func has(_ kind: String, _ features: Set<String>) -> Bool { features.contains { $0.hasPrefix(kind + " ") } }
        let decoder = try features("gpt2", .agrees)
        #expect(!decoder.contains("step encode") && !decoder.contains("check state"))
        #expect(!has("transformation", decoder) && !has("contradiction", decoder))
        let encoder = try features("t5", .metamorphic, .rejects)
        #expect(encoder.contains("step encode") && !encoder.contains("check agrees"))
        #expect(has("transformation", encoder) && has("contradiction", encoder))
    }
}
