// What payloads say that are neither a script nor a transcript.

import Inference

/// What the worker serves: the answer to `describe`, as JSON.
struct EngineDescription: Codable {
    var engine: String
    var version: String?
    var devices: [EngineDevice]
    var absences: [String]?
    var refusesOnlyInvalid: Bool?
    var traits: EngineTraits?

    /// What makes it the description of no engine; nil where it is one.
    fileprivate var fault: String? {
        let names = devices.map(\.name)
        guard !names.isEmpty else { return "describes no engine with devices" }
        guard ([engine] + names).allSatisfy({ !$0.isEmpty && $0 == $0.onOneLine }) else {
            return "names its engine or a device by what is no name"
        }
        guard Set(names).count == names.count else { return "names a device twice" }
        guard let traits else { return nil }
        // What sessions may be is drawn within it.
        guard traits.cacheTypes.contains(where: { $0.blockSize == 1 }) else { return "traits.cacheTypes: has no float" }
        let units = 1...(1 << 20)
        return units.contains(traits.contextUnit) ? nil : "traits.contextUnit: must be 1 to \(units.upperBound)"
    }
}

extension Frame {
    /// What the answer to `describe` says.
    /// - Throws: `ProtocolError` where that is no engine.
    func description() throws -> EngineDescription {
        let description = try json(EngineDescription.self)
        if let fault = description.fault { throw ProtocolError(fault) }
        return description
    }
}

extension String {
    /// For people: on one line, without what a terminal obeys, and cut where it is longer than anybody reads.
    var onOneLine: String {
        let scalars = unicodeScalars.prefix(2000).map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: " "
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }
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

/// What a copy of the model is trained on and how, and where it goes then.
struct TrainingRequest {
    var script: Script
    var training: Training
    var path: String
}

extension TrainingRequest: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(script: try payload.read(), training: try payload.read(), path: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(script, training, path) }
}

extension Trained: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(losses: try payload.numbers(payload.count()), untrained: try payload.read())
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(losses.count)
        payload.append(numbers: losses)
        payload.write(untrained)
    }
}

extension Optimiser: PayloadValue {}

extension Training: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(try payload.read(), steps: try payload.integer(in: 1...Self.mostSteps), rate: 0)
        let rates = try payload.numbers(5).map { Float($0) }
        (rate, firstDecay, secondDecay, epsilon, weightDecay) = (rates[0], rates[1], rates[2], rates[3], rates[4])
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(optimiser, steps)
        payload.append(numbers: [rate, firstDecay, secondDecay, epsilon, weightDecay].map(Double.init))
    }

    private static let mostSteps = 1 << 20
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
