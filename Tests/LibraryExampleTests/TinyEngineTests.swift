import Engines
import Foundation
import Fuzzing
import Testing

/// How the tests of an engine of one's own use the library: one call.
@Suite("An engine of one's own")
struct TinyEngineTests {
    /// All but that of invalid metadata, which this engine does not look for.
    static let checks = Check.usual.filter { $0 != .rejects }

    @Test("holds every property")
    func engineIsRight() throws {
        try FuzzSuite(architectures: ["llama"], checks: Self.checks, cases: 80, seed: 1) { TinyEngine() }.verify()
    }

    @Test("with a defect, it is caught, by the smallest case that shows it", arguments: TinyEngine.Defect.allCases)
    func defectIsCaught(_ defect: TinyEngine.Defect) throws {
        var suite = FuzzSuite(architectures: ["llama"], checks: [.agrees, .state], cases: 120, seed: 2) {
            TinyEngine(defect)
        }
        suite.shrinkingBudget = 1000
        let failure = try #require(throws: PropertyFailure.self) { try suite.verify() }
        let smallest = try #require(failure.findings.compactMap(\.entry?.case).min { $0.tokens < $1.tokens })
        #expect(smallest.layers == 1 && smallest.tokens == (defect == .interleavedHeads ? 1 : 2), "\(failure)")
    }

    @Test("that takes nothing has not been checked")
    func nothingIsChecked() {
        #expect(throws: NothingChecked.self) {
            try FuzzSuite(architectures: ["gpt2"], cases: 5, seed: 1) { TinyEngine() }.verify()
        }
    }
}
