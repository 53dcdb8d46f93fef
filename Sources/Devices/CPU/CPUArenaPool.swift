import Foundation

/// Memory for values, kept between runs of any executable: fresh pages cost more than a toy's run.
final class CPUArenaPool: @unchecked Sendable {
    private let lock = NSLock()
    private var idle: [UnsafeMutableRawBufferPointer] = []

    deinit { for memory in idle { memory.deallocate() } }

    /// Runs `body` with at least `count` elements of 4 bytes, whatever they hold.
    func withMemory<Result>(count: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Result) rethrows -> Result {
        let memory = take(bytes: max(64, 4 * count))
        defer { lock.withLock { idle.append(memory) } }
        return try body(memory.assumingMemoryBound(to: Float.self).baseAddress.unsafelyUnwrapped)
    }

    private func take(bytes: Int) -> UnsafeMutableRawBufferPointer {
        let kept = lock.withLock { idle.popLast() }
        if let kept, kept.count >= bytes { return kept }
        kept?.deallocate()
        // A quarter more, so that sizes that creep upwards do not allocate each time.
        return .allocate(byteCount: bytes + bytes / 4, alignment: 64)
    }
}
