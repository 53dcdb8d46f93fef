import Foundation

/// Frames on a file descriptor, with a limit on the time that one may take.
final class FileDescriptorStream {
    /// The other side has closed.
    struct Ended: Error {}
    struct TimedOut: Error {}

    private let descriptor: Int32
    /// Asked now and then while nothing comes; what it throws ends the waiting.
    var whileWaiting: () throws -> Void = {}
    /// Until when a read or a write must be done.
    var deadline: ContinuousClock.Instant?
    /// The longest payload that is read: what claims to be longer is not the protocol.
    var longestPayload = Frame.longestPayload

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// - Throws: `Ended`, `TimedOut`, `ProtocolError`, or what `whileWaiting` throws.
    func read() throws -> Frame {
        let prefix = try read(count: Frame.prefixLength)
        let (kind, header, payload) = try Frame.lengths(prefix)
        guard payload <= longestPayload else { throw ProtocolError("a payload of \(payload) bytes") }
        return Frame(kind: kind, header: Data(try read(count: header)), payload: try read(count: payload))
    }

    /// - Throws: `Ended` or `TimedOut`.
    func write(_ frame: Frame) throws {
        try write(frame.prefix + frame.header)
        try write(frame.payload)
    }

    private func read(count: Int) throws -> [UInt8] {
        // Grown as bytes arrive: a length that is a lie costs nothing.
        var bytes: [UInt8] = []
        while bytes.count < count {
            let wanted = min(count - bytes.count, 1 << 20)
            try wait(for: Int16(POLLIN))
            let start = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: wanted))
            let received = bytes.withUnsafeMutableBytes { buffer in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[start...])
                return Foundation.read(descriptor, rest.baseAddress, rest.count)
            }
            bytes.removeLast(wanted - max(0, received))
            if received == 0 { throw Ended() }
            if received < 0, errno != EINTR, errno != EAGAIN { throw Ended() }
        }
        return bytes
    }

    private func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            try wait(for: Int16(POLLOUT))
            let count = bytes.withUnsafeBytes { buffer in
                let rest = UnsafeRawBufferPointer(rebasing: buffer[sent...])
                return Foundation.write(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0, errno != EINTR, errno != EAGAIN { throw Ended() }
            sent += max(0, count)
        }
    }

    private func wait(for events: Int16) throws {
        while true {
            // Asked even while bytes keep coming: what never stops is no answer either.
            if let deadline, ContinuousClock.now > deadline { throw TimedOut() }
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let isReady = poll(&entry, 1, deadline == nil ? -1 : 50)
            if isReady > 0 { return }
            try whileWaiting()
        }
    }
}
