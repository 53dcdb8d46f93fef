import Devices
import Foundation
import Testing

@testable import Engines

@Suite("Frames")
struct FrameTests {
    /// What a reader makes of these bytes, after which the other side closes.
    private func read(_ bytes: [UInt8], longest: Int = Frame.longestPayload) throws -> Frame {
        let pipe = Pipe()
        let writer = pipe.fileHandleForWriting
        Thread.detachNewThread {
            // The reader may lose interest.
            signal(SIGPIPE, SIG_IGN)
            try? writer.write(contentsOf: Data(bytes))
            try? writer.close()
        }
        let stream = FileDescriptorStream(pipe.fileHandleForReading.fileDescriptor)
        stream.longestPayload = longest
        return try withExtendedLifetime(pipe) { try stream.read() }
    }

    private func bytes(_ frame: Frame) -> [UInt8] { frame.prefix + frame.header + frame.payload }

    /// Kind, lengths, and whatever follows.
    private func bytes(_ kind: UInt8, _ header: UInt32, _ payload: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
        [kind] + (0..<4).map { UInt8(truncatingIfNeeded: header >> (8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: payload >> (8 * $0)) } + rest
    }

    @Test("read are what was written", arguments: [0, 1, 13, 1 << 20, 1 << 20 + 1])
    func roundTrip(_ count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let frame = try read(bytes(Frame(.note, StepNote(step: 42), payload: payload)))
        #expect(frame.kind == .note && frame.payload == payload)
        #expect(try frame.decoded(StepNote.self).step == 42)
    }

    @Test("cut short anywhere are the end")
    func truncated() throws {
        let whole = bytes(try Frame(.answer, StepNote(step: 1), payload: [1, 2, 3]))
        for count in 0..<whole.count {
            #expect(throws: FileDescriptorStream.Ended.self) { try read(Array(whole.prefix(count))) }
        }
    }

    @Test("of another kind, or longer than any, are an error at once")
    func malformed() {
        for bytes in [
            bytes(0x00, 2, 0), bytes(0x48, 0, 0), bytes(0x41, .max, 0), bytes(0x41, 2, .max), bytes(0x41, 2, 1 << 63),
            bytes(0x41, UInt32(Frame.longestHeader) + 1, 0), Array("Hello, this is no frame".utf8),
        ] {
            #expect(throws: ProtocolError.self) { try read(bytes) }
        }
        #expect(throws: ProtocolError.self) { try read(bytes(0x41, 0, 101), longest: 100) }
    }

    @Test("that promise much and hold little cost little")
    func emptyPromises() {
        let before = ResidentMemory.of(getpid()) ?? 0
        #expect(throws: FileDescriptorStream.Ended.self) { try read(bytes(0x41, 2, 1 << 34, Array("{}".utf8))) }
        #expect(throws: FileDescriptorStream.Ended.self) { try read(bytes(0x41, 1 << 26, 0, [0x7B])) }
        #expect((ResidentMemory.of(getpid()) ?? 0) - before < 1 << 28)
    }

    @Test("whose header is no JSON, or no such message, are an error")
    func headers() throws {
        for text in ["", "{", "null", "[]", #"{"step": "one"}"#, #"{"step": 1e99}"#, "{\"step\": \u{0}}"] {
            let frame = Frame(kind: .note, header: Data(text.utf8), payload: [])
            #expect(throws: ProtocolError.self) { try frame.decoded(StepNote.self) }
        }
        let bytes = Frame(kind: .note, header: Data([0xFF, 0xFE, 0x80]), payload: [])
        #expect(throws: ProtocolError.self) { try bytes.decoded(StepNote.self) }
        let deep = Frame(kind: .note, header: Data(repeating: UInt8(ascii: "["), count: 1 << 20), payload: [])
        #expect(throws: ProtocolError.self) { try deep.decoded(StepNote.self) }
    }

    @Test("that never come are given up, and so are those that never end")
    func deadlines() throws {
        let pipe = Pipe()
        let (reading, writing) = (
            pipe.fileHandleForReading.fileDescriptor, pipe.fileHandleForWriting.fileDescriptor
        )
        #expect(fcntl(reading, F_SETFL, fcntl(reading, F_GETFL) | O_NONBLOCK) == 0)
        let stream = FileDescriptorStream(reading)
        stream.deadline = .now + .milliseconds(50)
        #expect(throws: FileDescriptorStream.TimedOut.self) { try stream.read() }

        // However fast it comes.
        stream.deadline = .now
        let note = bytes(try Frame(.note, StepNote(step: 1)))
        #expect(write(writing, note, note.count) == note.count)
        #expect(throws: FileDescriptorStream.TimedOut.self) { try stream.read() }
        withExtendedLifetime(pipe) {}
    }
}

@Suite("Answers")
struct AnswerTests {
    @Test("hold a transcript, bit by bit")
    func transcripts() throws {
        let transcript = Transcript(
            results: [
                StepResult(
                    logits: Rows(keys: [0, 3], width: 2, elements: [1, -.zero, .infinity, .leastNonzeroMagnitude])),
                StepResult(isDone: false), StepResult(),
                StepResult(
                    logits: Rows(keys: [1], width: 1, elements: [0.1]),
                    embeddings: Rows(keys: [5], width: 1, elements: [2])),
            ], failure: .init(step: 4, reason: "no"), fallbacks: ["a", "b"], margins: [0.25, .infinity])
        let (answer, payload) = Answer.of(transcript)
        let found = try JSONDecoder().decode(Answer.self, from: JSONEncoder().encode(answer)).transcript(payload)
        #expect(found == transcript)
        #expect(found.results[0].logits?.elements.map(\.sign) == transcript.results[0].logits?.elements.map(\.sign))

        let nan = Transcript(results: [StepResult(logits: Rows(keys: [0], width: 1, elements: [.nan]))])
        let (header, bytes) = Answer.of(nan)
        let rows = try #require(try header.transcript(bytes).results[0].logits)
        #expect(rows.isIdentical(to: Rows(keys: [0], width: 1, elements: [-.nan])) && rows.elements[0].isNaN)
        #expect(try Answer.of(Transcript()).0.transcript([]) == Transcript())
    }

    @Test(
        "whose payload is not what they say are an error",
        arguments: [
            (#"{}"#, 0), (#"{"results": []}"#, 1), (#"{"results": [], "margins": 1}"#, 0),
            (#"{"results": [], "margins": -1}"#, 0),
            (#"{"results": [], "margins": 9223372036854775807}"#, 8),
            (#"{"results": [{"logits": {"keys": [0], "width": 0}}]}"#, 0),
            (#"{"results": [{"logits": {"keys": [0], "width": -1}}]}"#, 0),
            (#"{"results": [{"logits": {"keys": [0, 1], "width": 9223372036854775807}}]}"#, 16),
            (#"{"results": [{"logits": {"keys": [0], "width": 2305843009213693952}}]}"#, 16),
            (#"{"results": [{"logits": {"keys": [0], "width": 2}}]}"#, 8),
            (#"{"results": [{"logits": {"keys": [0], "width": 2}}]}"#, 24),
        ])
    func malformed(_ header: String, _ payload: Int) throws {
        let answer = try decoded(Answer.self, header)
        #expect(throws: ProtocolError.self) { try answer.transcript(Array(repeating: 0, count: payload)) }
    }
}
