import CVulkan
import Devices
import Foundation

/// Memory of one kind, handed out in regions and taken back, so that a case costs no allocation from
/// the driver (which may allow as few as 4096 in all).
///
/// Regions are powers of two cut from blocks; a region that is given back serves the next of its size.
/// Large ones have an allocation of their own, which goes back to the driver.
final class MemoryPool {
    private static let blockBytes = 16 << 20
    private static let largestShared = blockBytes / 4
    /// No device asks for a coarser alignment of storage buffers.
    private static let smallest = 256

    private unowned let context: Context
    private let kind: VulkanMemoryKind
    private let lock = NSLock()
    private var free: [Int: [Slot]] = [:]
    private var block: Slot?
    private var blockUsed = 0

    fileprivate struct Slot {
        var memory: OpaquePointer
        var offset: Int
        var address: UnsafeMutableRawPointer?
    }

    init(context: Context, kind: VulkanMemoryKind) {
        self.context = context
        self.kind = kind
    }

    /// A region of at least this many bytes, of any content.
    func allocate(bytes: Int) throws -> Region {
        guard bytes > Self.largestShared else {
            let size = 1 << (Int.bitWidth - max(bytes - 1, Self.smallest - 1).leadingZeroBitCount)
            return Region(pool: self, slot: try lock.withLock { try slot(size) }, bytes: size, isShared: true)
        }
        let size = (bytes + 3) / 4 * 4
        return Region(pool: self, slot: try create(size), bytes: size, isShared: false)
    }

    private func slot(_ size: Int) throws -> Slot {
        if let reused = free[size]?.popLast() { return reused }
        // Rounded up to the size itself: every region is aligned to it, and so to 256.
        var start = (blockUsed + size - 1) / size * size
        if block == nil || start + size > Self.blockBytes {
            block = try create(Self.blockBytes)
            start = 0
        }
        guard let block else { throw context.error("vkAllocateMemory: no memory") }
        blockUsed = start + size
        return Slot(memory: block.memory, offset: start, address: block.address.map { $0 + start })
    }

    private func create(_ bytes: Int) throws -> Slot {
        var memory: OpaquePointer?
        var address: UnsafeMutableRawPointer?
        try context.check(vulkan_memory_create(context.handle, kind, UInt64(bytes), &memory, &address))
        guard let memory else { throw context.error("vkAllocateMemory: no memory") }
        return Slot(memory: memory, offset: 0, address: address)
    }

    fileprivate func release(_ slot: Slot, bytes: Int, isShared: Bool) {
        if isShared {
            lock.withLock { free[bytes, default: []].append(slot) }
        } else {
            vulkan_memory_destroy(context.handle, slot.memory)
        }
    }
}

/// A part of the device's or the host's memory; it goes back to its pool with the last reference.
final class Region {
    private let pool: MemoryPool
    private let slot: MemoryPool.Slot
    private let isShared: Bool
    /// At least what was asked for.
    let bytes: Int

    fileprivate init(pool: MemoryPool, slot: MemoryPool.Slot, bytes: Int, isShared: Bool) {
        self.pool = pool
        self.slot = slot
        self.bytes = bytes
        self.isShared = isShared
    }

    deinit { pool.release(slot, bytes: bytes, isShared: isShared) }

    /// Where the host sees it, nil where it does not.
    var address: UnsafeMutableRawPointer? { slot.address }

    func range(_ offset: Int, _ bytes: Int) -> VulkanRange {
        VulkanRange(memory: slot.memory, offset: UInt64(slot.offset + offset), bytes: UInt64(bytes))
    }
}
