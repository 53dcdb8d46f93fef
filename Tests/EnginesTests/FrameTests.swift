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

    private func bytes(_ frame: Frame) -> [UInt8] { frame.prefix + frame.payload }

    /// Kind, length, and whatever follows.
    private func bytes(_ kind: Unicode.Scalar, _ length: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
        [UInt8(ascii: kind)] + (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + rest
    }

    @Test("read are what was written", arguments: [0, 1, 13, 1 << 20, 1 << 20 + 1])
    func roundTrip(_ count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let frame = try read(bytes(Frame(.answer, payload: payload)))
        #expect(frame.kind == .answer && frame.payload == payload)
    }

    @Test("have the layout that is documented")
    func layout() {
        #expect(bytes(Frame(.begin, 258)) == bytes("B", 8, [2, 1, 0, 0, 0, 0, 0, 0]))
        #expect(bytes(Frame(.describe)) == bytes("d", 0))
    }

    @Test("cut short anywhere are the end")
    func truncated() throws {
        let whole = bytes(Frame(.answer, payload: [1, 2, 3]))
        for count in 0..<whole.count {
            #expect(throws: FileDescriptorStream.Ended.self) { try read(Array(whole.prefix(count))) }
        }
    }

    @Test("of another kind, or longer than any, are an error at once")
    func malformed() {
        for bytes in [
            bytes("\0", 0), bytes("H", 0), bytes("z", 0), bytes("A", .max), bytes("A", 1 << 63),
            bytes("A", UInt64(Frame.longestPayload) + 1), Array("Hello, this is no frame".utf8),
        ] {
            #expect(throws: ProtocolError.self) { try read(bytes) }
        }
        #expect(throws: ProtocolError.self) { try read(bytes("A", 101), longest: 100) }
        // What is not an answer is short.
        for kind in ["R", "U", "E", "B", "S", "P", "D"] as [Unicode.Scalar] {
            #expect(throws: ProtocolError.self) { try read(bytes(kind, 1 << 20 + 1)) }
        }
    }

    @Test("that promise much and hold little cost little")
    func emptyPromises() {
        let before = ResidentMemory.of(getpid()) ?? 0
        #expect(throws: FileDescriptorStream.Ended.self) { try read(bytes("A", 1 << 34, Array("{}".utf8))) }
        #expect((ResidentMemory.of(getpid()) ?? 0) - before < 1 << 28)
    }

    @Test("whose payload is no JSON, or no such message, are an error")
    func json() throws {
        let messages = [
            "", "{", "null", "[]", #"{"engine": 1}"#, #"{"traits": {"contextUnit": 1e99}}"#, "{\"engine\": \u{0}}",
        ]
        for payload in messages.map({ Array($0.utf8) }) + [[0xFF, 0xFE, 0x80], Array(repeating: 0x5B, count: 1 << 20)] {
            #expect(throws: ProtocolError.self) { try Frame(.answer, payload: payload).json(EngineDescription.self) }
        }
        // Of spaces, which are JSON.
        let long = Frame(.answer, payload: Array("{}".utf8) + Array(repeating: 0x20, count: 1 << 26))
        #expect(throws: ProtocolError.self) { try long.json([String: Int].self) }
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
        let note = bytes(Frame(.begin, 1))
        #expect(write(writing, note, note.count) == note.count)
        #expect(throws: FileDescriptorStream.TimedOut.self) { try stream.read() }
        withExtendedLifetime(pipe) {}
    }

    @Test("that never end do not keep from looking after who sends them")
    func floods() throws {
        let pipe = Pipe()
        let writing = pipe.fileHandleForWriting
        let note = Data(bytes(Frame(.begin, 1)))
        Thread.detachNewThread {
            signal(SIGPIPE, SIG_IGN)
            while (try? writing.write(contentsOf: note)) != nil {}
        }
        struct Enough: Error {}
        let stream = FileDescriptorStream(pipe.fileHandleForReading.fileDescriptor)
        stream.whileWaiting = { throw Enough() }
        #expect(throws: Enough.self) { while try stream.read().kind == .begin {} }
        try pipe.fileHandleForReading.close()
    }

    @Test("describe an engine, or are an error")
    func descriptions() throws {
        let device = EngineDevice(
            name: "x:0", summary: "", precision: Precision(storage: .float32, accumulation: .float32))
        func described(_ change: (inout EngineDescription) -> Void) throws -> EngineDescription {
            var description = EngineDescription(engine: "x", devices: [device], traits: EngineTraits())
            change(&description)
            return try Frame(.answer, json: description).description()
        }
        #expect(try described { _ in }.engine == "x")
        let changes: [(inout EngineDescription) -> Void] = [
            { $0.devices = [] }, { $0.devices = [device, device] }, { $0.devices[0].name = "" }, { $0.engine = "" },
            { $0.engine = "a\nb" }, { $0.engine = String(repeating: "x", count: 10_000) },
            { $0.traits?.cacheTypes = [] }, { $0.traits?.contextUnit = 0 }, { $0.traits?.contextUnit = .max },
        ]
        for (index, change) in changes.enumerated() {
            #expect(throws: ProtocolError.self, "\(index)") { try described(change) }
        }
    }

    @Test("that give a reason give one line of it")
    func reasons() throws {
        let reason = "no\nmemory\u{1B}[31m\u{2028}" + String(repeating: "x", count: 10_000)
        let refusal = #expect(throws: Refusal.self) { try Frame(.refused, reason).expectAnswer() }
        #expect(refusal?.reason.hasPrefix("no memory [31m xxx") == true && refusal?.reason.count == 2000)
        #expect(throws: EngineError("without a reason")) { try Frame(.error, "").expectAnswer() }
        #expect(throws: Unsupported("a b")) { try Frame(.unsupported, "a\nb").expectAnswer() }
        #expect(throws: EngineError("a b")) { try Frame(.error, "a\nb").expectAnswer() }
    }
}
