import Engines

extension Trial {
    /// A damaged file is refused, or is the undamaged model to whoever takes it. The engine lives in any case.
    mutating func expectRefusalOrSameModel(by engine: any Engine) throws {
        let damaged = try subject.damagedFile(loaded.source())
        let file = try TemporaryFile(bytes: damaged.bytes)
        let found = try withExtendedLifetime(file) {
            try [{ try engine.load(file: file.path) }, { try engine.load(fileInMemory: file.path) }].compactMap {
                try transcript(damaged.meaning, $0)
            }
        }
        guard damaged.meaning != .anything, !found.isEmpty else { return }
        let words = (subject.damages ?? []).map(\.words).joined(separator: ", ")
        if damaged.meaning == .nothing, refusesOnlyInvalid {
            throw Wrong(stage: "load", kind: "accepted", seen: "\(words): is accepted")
        }
        let first = try playFirst(on: load { [loaded] in try loaded.model(of: engine) })
        for transcript in found {
            do {
                try compare(transcript, with: first)
            } catch let wrong as Wrong where damaged.meaning == .nothing {
                throw Wrong(
                    stage: "load", kind: "accepted", seen: "\(words): is accepted as another model: \(wrong.seen)")
            }
        }
    }

    /// What the script gives with a damaged file; nil where that is refused, when it is taken or later.
    private mutating func transcript(
        _ meaning: Damage.Meaning, _ take: () throws -> any EngineModel
    ) throws -> Transcript? {
        do {
            stage = "load"
            let model = try survive(take)
            if meaning == .same || meaning == .sameOrNothing { return try play(script, on: model) }
            stage = "session"
            let transcript = try survive(steps: script.steps) { try model.run(script) }
            note(transcript.fallbacks)
            return transcript.failure == nil ? transcript : nil
        } catch let refusal as Refusal {
            guard meaning == .same, refusesOnlyInvalid else { return nil }
            throw Wrong(stage: "load", kind: "refused", seen: refusal.reason)
        } catch is Unsupported {
            return nil
        }
    }
}
