// What payloads say that are neither a script nor a transcript.

/// What the worker serves: the answer to `describe`, as JSON.
struct EngineDescription: Codable {
    var engine: String?
    var version: String?
    var devices: [EngineDevice]?
    var absences: [String]?
    var refusesOnlyInvalid: Bool?
    var traits: EngineTraits?
}

/// A model to take from a file.
struct LoadRequest {
    var path: String
    /// In another way than files take, where there is one.
    var inMemory = false
}

extension LoadRequest: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(path: try payload.read(), inMemory: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(path, inMemory) }
}

/// How the process ended that computed.
enum DeathNote {
    case signal(Int32)
    case exit(Int32)
}

extension DeathNote: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        let isSignal = try payload.flag()
        let number = Int32(try payload.integer(in: 0...Int(Int32.max)))
        self = isSignal ? .signal(number) : .exit(number)
    }

    func write(to payload: inout PayloadWriter) {
        switch self {
        case .signal(let number): payload.write(true, Int(number))
        case .exit(let status): payload.write(false, Int(status))
        }
    }
}
