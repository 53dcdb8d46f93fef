import Foundation

/// A message of the worker protocol; see `Documentation/GGUFFuzz.docc/WorkerProtocol.md`.
struct Frame {
    enum Kind: Unicode.Scalar {
        // Of the supervisor.
        case describe = "d"
        case load = "l"
        case run = "r"
        case differentiate = "g"
        case adapt = "a"
        case train = "o"
        case save = "s"
        case readVocabulary = "v"
        case tokenize = "t"
        /// What has been sent up to here was for the process that died.
        case resume = "c"
        // Of the worker.
        case answer = "A"
        case refused = "R"
        case unsupported = "U"
        case error = "E"
        /// A step begins.
        case begin = "B"
        /// Where the process is that dies.
        case stack = "S"
        /// The process that computes, whose memory counts.
        case process = "P"
        /// How that one ended: another takes its place.
        case death = "D"

        /// Bytes of a payload: what claims to be longer is not the protocol. What a worker notes, or gives as a reason,
        /// is short.
        var longestPayload: Int {
            switch self {
            case .refused, .unsupported, .error, .begin, .stack, .process, .death: 1 << 20
            case .describe, .load, .run, .differentiate, .adapt, .train, .save, .readVocabulary, .tokenize, .resume,
                .answer:
                Frame.longestPayload
            }
        }
    }
    var kind: Kind
    var payload: [UInt8]

    static let prefixLength = 9
    /// Of any kind.
    static let longestPayload = 1 << 34
    /// JSON takes many times its length to read.
    private static let longestJSON = 1 << 26

    init(_ kind: Kind, payload: [UInt8] = []) {
        self.kind = kind
        self.payload = payload
    }

    /// - Parameter body: writes the payload.
    init(_ kind: Kind, writing body: (inout PayloadWriter) -> Void) {
        var payload = PayloadWriter()
        body(&payload)
        self.init(kind, payload: payload.bytes)
    }

    init(_ kind: Kind, _ value: some PayloadValue) { self.init(kind, writing: value.write) }

    init(_ kind: Kind, json message: some Encodable) throws {
        self.init(kind, payload: Array(try JSONEncoder().encode(message)))
    }

    /// Kind and length.
    var prefix: [UInt8] {
        var bytes = [UInt8(ascii: kind.rawValue)]
        withUnsafeBytes(of: UInt64(payload.count).littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// What the first bytes of a frame say.
    /// - Throws: `ProtocolError`.
    static func parse(prefix: [UInt8]) throws -> (kind: Kind, length: Int) {
        guard prefix.count == prefixLength, let kind = Kind(rawValue: Unicode.Scalar(prefix[0])) else {
            throw ProtocolError("a frame that begins with \(prefix.prefix(4).map { String($0, radix: 16) })")
        }
        let length = prefix.dropFirst().reversed().reduce(0) { $0 << 8 | UInt64($1) }
        guard length <= kind.longestPayload else { throw ProtocolError("a frame of \(length) bytes") }
        return (kind, Int(length))
    }

    /// What the payload says, and nothing else.
    /// - Parameter body: reads it.
    /// - Throws: `ProtocolError`.
    func read<Result>(_ body: (inout PayloadReader) throws -> Result) throws -> Result {
        var reader = PayloadReader(payload)
        let result = try body(&reader)
        try reader.end()
        return result
    }

    func read<Value: PayloadValue>(_: Value.Type = Value.self) throws -> Value { try read(Value.init(reading:)) }

    /// - Throws: `ProtocolError`.
    func json<Message: Decodable>(_: Message.Type) throws -> Message {
        guard payload.count <= Self.longestJSON else { throw ProtocolError("JSON of \(payload.count) bytes") }
        do {
            return try JSONDecoder().decode(Message.self, from: Data(payload))
        } catch {
            throw ProtocolError("\(String(decoding: payload.prefix(200), as: UTF8.self)): \(error)".onOneLine)
        }
    }
}

/// What is not the worker protocol.
struct ProtocolError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
