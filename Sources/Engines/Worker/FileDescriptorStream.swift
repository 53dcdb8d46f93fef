import Foundation

/// Frames on a file descriptor, with a limit on the time that one may take.
final class FileDescriptorStream {
    /// The other side has closed.
    struct Ended: Error {}
    struct TimedOut: Error {}

    private let descriptor: Int32
    /// Asked now and then, whether anything comes or not; what it throws ends the waiting.
    var whileWaiting: () throws -> Void = {}
    private var lastAsked = ContinuousClock.now
    /// Until when a read or a write must be done. A descriptor that blocks does not notice.
    var deadline: ContinuousClock.Instant?
    /// The longest payload that is read: what claims to be longer is not the protocol.
    var longestPayload = Frame.longestPayload
    /// One call of the system serves the short frames that come one after the other.
    private var buffer: [UInt8]
    /// What of the buffer has been received, and not been taken.
    private var received = 0..<0

    /// - Parameter readsAhead: whether what follows a frame may be taken from the system with it.
    init(_ descriptor: Int32, readsAhead: Bool = true) {
        self.descriptor = descriptor
        buffer = [UInt8](repeating: 0, count: readsAhead ? 1 << 16 : 1)
    }

    /// - Throws: `Ended`, `TimedOut`, `ProtocolError`, or what `whileWaiting` throws.
    func read() throws -> Frame {
        let (kind, length) = try Frame.parse(prefix: take(Frame.prefixLength))
        guard length <= longestPayload else { throw ProtocolError("a payload of \(length) bytes") }
        return Frame(kind, payload: try take(length))
    }

    /// - Throws: `Ended` or `TimedOut`.
    func write(_ frame: Frame) throws {
        // In one piece, since each would wake the reader; only what is long is not copied for that.
        let beginning = frame.payload.prefix(1 << 20)
        try write(frame.prefix + beginning)
        try write(frame.payload[beginning.endIndex...])
    }

    private func take(_ count: Int) throws -> [UInt8] {
        // Grown as bytes arrive: a length that is a lie costs nothing.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(count, 1 << 20))
        while bytes.count < count {
            if received.isEmpty {
                received = 0..<(try transfer(POLLIN) { [descriptor] in
                    buffer.withUnsafeMutableBytes { Foundation.read(descriptor, $0.baseAddress, $0.count) }
                })
                if received.isEmpty { throw Ended() }
            }
            let part = received.prefix(count - bytes.count)
            bytes += buffer[part]
            received = part.upperBound..<received.upperBound
        }
        return bytes
    }

    private func write(_ bytes: some ContiguousBytes & Collection<UInt8>) throws {
        var sent = 0
        while sent < bytes.count {
            sent += try transfer(POLLOUT) {
                bytes.withUnsafeBytes {
                    Foundation.write(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent)
                }
            }
        }
    }

    /// Calls the system, and waits where it says that it is too early.
    private func transfer(_ event: some BinaryInteger, _ call: () -> Int) throws -> Int {
        while true {
            // Even while bytes keep coming: what never stops is no answer either.
            try checkWaiting()
            let count = call()
            if count >= 0 { return count }
            guard errno == EINTR || errno == EAGAIN else { throw Ended() }
            try wait(for: Int16(event))
        }
    }

    private func wait(for events: Int16) throws {
        while true {
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let isReady = poll(&entry, 1, deadline == nil ? -1 : Int32(Self.patience))
            if isReady > 0 { return }
            try checkWaiting()
        }
    }

    private func checkWaiting() throws {
        let now = ContinuousClock.now
        if now - lastAsked >= .milliseconds(Self.patience) {
            lastAsked = now
            try whileWaiting()
        }
        if let deadline, now > deadline { throw TimedOut() }
    }

    /// Milliseconds between two questions.
    private static let patience = 50
}
