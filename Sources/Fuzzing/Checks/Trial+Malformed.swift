import Engines

extension Trial {
    /// A damaged file is refused, or is the undamaged model to whoever takes it. The engine lives in any case.
    mutating func expectRefusalOrSameModel(by engine: any Engine) throws {
        let damaged = try subject.damagedFile(loaded.source())
        let file = try TemporaryFile(bytes: damaged.bytes)
        let (inFile, inMemory) = try withExtendedLifetime(file) {
            try engine.limitingMemory(to: Self.warrantedMemory(damaged.bytes.count, engine)) {
                if let adapter = subject.adapters?.first {
                    let source = try loaded.source()
                    let adapted = try transcript(damaged.meaning) {
                        let model = try engine.load(source)
                        try model.adapt(by: [AdapterFile(path: file.path, scale: adapter.scale)])
                        return model
                    }
                    return (adapted, nil as Transcript?)
                }
                let inFile = try transcript(damaged.meaning) { try engine.load(file: file.path) }
                let inMemory = try transcript(damaged.meaning) { try engine.load(fileInMemory: file.path) }
                try readVocabulary(of: file, engine)
                return (inFile, inMemory)
            }
        }
        let found = [inFile, inMemory].compactMap { $0 }
        guard damaged.meaning != .anything, !found.isEmpty else { return }
        guard let defect = damaged.defect else {
            let first = try playUndamaged(on: engine)
            for transcript in found { try compare(transcript, with: first) }
            return
        }
        let accepted = "accepted: \(defect.kind.rawValue)"
        if refusesOnlyInvalid {
            throw Wrong(stage: "load", kind: accepted, seen: "\(defect.words): is accepted")
        }
        // Whoever has a model in memory may be asked for more than it has, and gives what changes nothing.
        guard let inFile else { return }
        let first = try playUndamaged(on: engine)
        do {
            try compare(inFile, with: first)
        } catch let wrong as Wrong {
            throw Wrong(
                stage: "load", kind: accepted, seen: "\(defect.words): is accepted as another model: \(wrong.seen)")
        }
    }

    /// What an engine may need for a file, in bytes: as much again for each byte of it as it needs for weights, and its
    /// libraries, which it may not have loaded yet. Those of accelerators have their own ideas of memory.
    private static func warrantedMemory(_ byteCount: Int, _ engine: any Engine) -> Int {
        let libraries = 512 << 20
        return engine.devices.contains { $0.isAccelerator == true } ? .max / 2 : libraries + byteCount * memoryPerWeight
    }

    private mutating func playUndamaged(on engine: any Engine) throws -> Transcript {
        try playFirst(on: load { [loaded] in try loaded.model(of: engine) })
    }

    /// What is read without the tensors takes other ways through a file, and uses what it finds.
    private mutating func readVocabulary(of file: TemporaryFile, _ engine: any Engine) throws {
        guard engine.traits.readsVocabularies == true else { return }
        stage = "vocabulary"
        do {
            try survive { try engine.readVocabulary(file: file.path) }
        } catch is Refusal {
        } catch is Unsupported {}
    }

    /// What the script gives with a damaged file; nil where that is refused, when it is taken or later.
    private mutating func transcript(
        _ meaning: Damage.Meaning, _ take: () throws -> any EngineModel
    ) throws -> Transcript? {
        do {
            stage = "load"
            let model = try survive(take)
            if meaning == .same { return try play(script, on: model) }
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
