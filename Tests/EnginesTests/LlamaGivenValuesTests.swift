import GGUF
import Testing

@testable import Engines

@Suite("Values that llama.cpp is given beside a file")
struct LlamaGivenValuesTests {
    private let metadata: Metadata = [
        "general.architecture": "x", "x.block_count": 2, "x.rope.freq_base": 10_000, "x.rope.scaling.type": "linear",
        "x.rope.scaling.factor": 4, "x.pooling_type": 3, "x.flag": true, "x.lengths": .array(.uint32([1, 2])),
        "other.count": 3,
    ]

    private func given(
        _ setting: Setting, _ value: Setting.Value, _ change: (inout Metadata) -> Void = { _ in }
    ) -> LlamaGivenValues {
        var settings = Settings()
        settings[setting] = value
        var metadata = metadata
        metadata["x.rope.freq_base"] = .float32(10_000)
        metadata["x.rope.scaling.factor"] = .float32(4)
        change(&metadata)
        return LlamaGivenValues(settings, { metadata })
    }

    @Test("are none, and no metadata are asked for, where no setting says so")
    func none() {
        let given = LlamaGivenValues(Settings()) {
            Issue.record("metadata are asked for")
            return nil
        }
        #expect(given.stored.isEmpty && given == LlamaGivenValues())
    }

    @Test("of the rotation are the file's, which has others then")
    func rotation() {
        let both = given(.givenRotation, .flag(true))
        #expect(both.rotationBase == 10_000 && both.rotationScale == 0.25)
        #expect(both.stored == ["x.rope.freq_base": .float32(20_000), "x.rope.scaling.factor": .float32(8)])
        // What else a factor means, contexts are not told.
        let yarn = given(.givenRotation, .flag(true)) { $0["x.rope.scaling.type"] = "yarn" }
        #expect(yarn.rotationScale == nil && yarn.stored.count == 1)
        let plain = given(.givenRotation, .flag(true)) { metadata in
            for key in ["x.rope.freq_base", "x.rope.scaling.factor"] { metadata[key] = nil }
        }
        #expect(plain == LlamaGivenValues())
    }

    @Test("of the pooling are the file's, which has another one then")
    func pooling() {
        let last = given(.givenPooling, .flag(true))
        #expect(last.pooling == 3 && last.stored == ["x.pooling_type": .uint32(1)])
        #expect(given(.givenPooling, .flag(true)) { $0["x.pooling_type"] = nil } == LlamaGivenValues())
    }

    @Test("that override the file's are of its numbers and truths, one after the other and again from the first")
    func overrides() {
        let found = (1...5).map { given(.overriddenKey, .number($0)).stored }
        #expect(found == [
            ["x.block_count": .uint32(3)], ["x.rope.freq_base": .float32(20_000)],
            ["x.rope.scaling.factor": .float32(8)], ["x.flag": false], ["x.block_count": .uint32(3)],
        ])
        given(.overriddenKey, .number(2)).withOverrides { overrides in
            #expect(overrides.count == 1 && overrides[0].kind.rawValue == 1 && overrides[0].real == 10_000)
            #expect(String(cString: overrides[0].key) == "x.rope.freq_base")
        }
        given(.overriddenKey, .number(4)).withOverrides { overrides in
            #expect(overrides[0].kind.rawValue == 2 && overrides[0].integer == 1)
        }
        LlamaGivenValues().withOverrides { #expect($0.isEmpty) }
    }
}
