import Foundation

/// A message of the worker protocol; see `Protocol.md` beside this file.
struct Frame {
    enum Kind: UInt8 {
        case request = 0x51
        case note = 0x4E
        case answer = 0x41
        /// The process that computes, whose memory counts.
        case process = 0x50
        /// How that one ended: another takes its place.
        case death = 0x44
        /// What has been sent up to here was for the one that ended.
        case resume = 0x52
    }
    var kind: Kind
    /// JSON.
    var header: Data
    var payload: [UInt8]

    static let prefixLength = 13
    /// No frame is longer: what claims to be is not the protocol.
    static let longestHeader = 1 << 26
    static let longestPayload = 1 << 34

    init(_ kind: Kind, _ header: some Encodable, payload: [UInt8] = []) throws {
        self.kind = kind
        self.header = try JSONEncoder().encode(header)
        self.payload = payload
    }

    init(kind: Kind, header: Data, payload: [UInt8]) {
        self.kind = kind
        self.header = header
        self.payload = payload
    }

    /// Kind and lengths.
    var prefix: [UInt8] {
        var bytes = [kind.rawValue]
        withUnsafeBytes(of: UInt32(header.count).littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt64(payload.count).littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// What the first bytes of a frame say.
    /// - Throws: `ProtocolError`.
    static func lengths(_ prefix: [UInt8]) throws -> (kind: Kind, header: Int, payload: Int) {
        func integer(_ range: Range<Int>) -> UInt64 {
            prefix[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard prefix.count == prefixLength, let kind = Kind(rawValue: prefix[0]) else {
            throw ProtocolError("a frame that begins with \(prefix.prefix(4).map { String($0, radix: 16) })")
        }
        let (header, payload) = (integer(1..<5), integer(5..<13))
        guard header <= longestHeader, payload <= longestPayload else {
            throw ProtocolError("a frame of \(header) and \(payload) bytes")
        }
        return (kind, Int(header), Int(payload))
    }

    func decoded<Message: Decodable>(_: Message.Type) throws -> Message {
        do {
            return try JSONDecoder().decode(Message.self, from: header)
        } catch {
            throw ProtocolError("\(String(decoding: header.prefix(200), as: UTF8.self)): \(error)")
        }
    }
}

/// What is not the worker protocol.
struct ProtocolError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

// MARK: Messages

struct Nothing: Codable {}

/// One of its members is there.
struct Request: Codable {
    struct Load: Codable {
        var path: String
        var inMemory: Bool?
    }
    struct Save: Codable {
        var path: String
    }
    var describe: Nothing?
    var load: Load?
    var run: Script?
    var save: Save?
}

struct StepNote: Codable {
    var step: Int
}

struct ProcessNote: Codable {
    var process: Int32
}

/// One of its members is there.
struct DeathNote: Codable {
    var signal: Int32?
    var exit: Int32?
}

/// What the answers to all requests may hold.
struct Answer: Codable {
    struct RowsHeader: Codable {
        var keys: [Int]
        var width: Int
    }
    struct ResultHeader: Codable {
        var isDone: Bool?
        var logits: RowsHeader?
        var embeddings: RowsHeader?
    }
    struct FailureHeader: Codable {
        var step: Int?
        var reason: String
    }
    // To `describe`.
    var engine: String?
    var version: String?
    var devices: [EngineDevice]?
    var absences: [String]?
    var refusesOnlyInvalid: Bool?
    var traits: EngineTraits?
    // To `run`.
    var results: [ResultHeader]?
    var failure: FailureHeader?
    var fallbacks: [String]?
    var margins: Int?
    // To any.
    var refused: String?
    var unsupported: String?
    var error: String?
}

extension Answer {
    /// A transcript as header and payload.
    static func of(_ transcript: Transcript) -> (Answer, payload: [UInt8]) {
        var payload: [UInt8] = []
        func put(_ numbers: [Double]) {
            for number in numbers {
                withUnsafeBytes(of: number.bitPattern.littleEndian) { payload.append(contentsOf: $0) }
            }
        }
        func header(_ rows: Rows?) -> RowsHeader? {
            guard let rows else { return nil }
            put(rows.elements)
            return RowsHeader(keys: rows.keys, width: rows.width)
        }
        var answer = Answer()
        answer.results = transcript.results.map { result in
            let logits = header(result.logits), embeddings = header(result.embeddings)
            return ResultHeader(isDone: result.isDone ? nil : false, logits: logits, embeddings: embeddings)
        }
        answer.failure = transcript.failure.map { FailureHeader(step: $0.step, reason: $0.reason) }
        answer.fallbacks = transcript.fallbacks.isEmpty ? nil : transcript.fallbacks
        answer.margins = transcript.margins.isEmpty ? nil : transcript.margins.count
        put(transcript.margins)
        return (answer, payload)
    }

    /// - Throws: `ProtocolError` where the payload is not what the header says.
    func transcript(_ payload: [UInt8]) throws -> Transcript {
        guard let results else { throw ProtocolError("an answer to run without results") }
        var offset = 0
        func take(_ count: Int) throws -> [Double] {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: 8)
            guard count >= 0, !overflow, bytes <= payload.count - offset else {
                throw ProtocolError("a payload of \(payload.count) bytes for more numbers than that")
            }
            defer { offset += bytes }
            return payload.withUnsafeBytes { buffer in
                (0..<count).map { index in
                    Double(bitPattern: UInt64(
                        littleEndian: buffer.loadUnaligned(fromByteOffset: offset + 8 * index, as: UInt64.self)))
                }
            }
        }
        func rows(_ header: RowsHeader?) throws -> Rows? {
            guard let header else { return nil }
            let (count, overflow) = header.keys.count.multipliedReportingOverflow(by: header.width)
            guard !overflow, header.width > 0 else { throw ProtocolError("rows of \(header.width) elements") }
            return Rows(keys: header.keys, width: header.width, elements: try take(count))
        }
        var transcript = Transcript(fallbacks: fallbacks ?? [])
        for result in results {
            transcript.results.append(
                StepResult(
                    isDone: result.isDone ?? true, logits: try rows(result.logits),
                    embeddings: try rows(result.embeddings)))
        }
        transcript.failure = failure.map { .init(step: $0.step, reason: $0.reason) }
        transcript.margins = try take(margins ?? 0)
        guard offset == payload.count else { throw ProtocolError("\(payload.count - offset) bytes too many") }
        return transcript
    }
}
