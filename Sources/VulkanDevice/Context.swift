import CVulkan
import Devices
import Foundation

/// An opened Vulkan device and what outlives cases on it: memory, pipelines, command buffers and the
/// staging buffer. Sessions on several threads share it.
final class Context: @unchecked Sendable {
    let name: String
    let limits: Limits
    let handle: OpaquePointer

    private let lock = NSLock()
    // Under `lock`:
    private var pipelines: [PipelineKey: OpaquePointer] = [:]
    private var idleCommands: [OpaquePointer] = []

    private let transferLock = NSLock()
    // Under `transferLock`, and kept for ever:
    private var staging: Staging?

    private(set) lazy var deviceMemory = MemoryPool(context: self, kind: VulkanMemoryDevice)
    private(set) lazy var hostMemory = MemoryPool(context: self, kind: VulkanMemoryHost)

    struct Limits {
        var bindingBytes: Int
        var groupsX: Int
        var groupsY: Int
    }

    private struct PipelineKey: Hashable {
        var shader: Shader
        var bindings: Int
        var constants: [UInt32]
    }

    init(name: String, limits: Limits, handle: OpaquePointer) {
        self.name = name
        self.limits = limits
        self.handle = handle
        _ = (deviceMemory, hostMemory)
    }

    func error(_ reason: String) -> DeviceError { DeviceError(device: name, reason: reason) }

    func check(_ status: VulkanStatus) throws {
        if let failure = status.failure { throw error(failure) }
    }

    // MARK: Pipelines

    func pipeline(_ shader: Shader, bindings: Int, constants: [UInt32]) throws -> OpaquePointer {
        try lock.withLock {
            let key = PipelineKey(shader: shader, bindings: bindings, constants: constants)
            if let pipeline = pipelines[key] { return pipeline }
            var count = 0
            guard let words = vulkan_shader(shader.rawValue, &count) else {
                throw error("shader \(shader.rawValue) is not compiled in (run CI/shaders compile)")
            }
            var made: OpaquePointer?
            try check(
                vulkan_pipeline_create(
                    handle, words, count, UInt32(bindings), constants, UInt32(constants.count), &made))
            guard let made else { throw error("vkCreateComputePipelines: no pipeline") }
            pipelines[key] = made
            return made
        }
    }

    // MARK: Commands

    func takeCommands() throws -> OpaquePointer {
        if let idle = lock.withLock({ idleCommands.popLast() }) { return idle }
        var made: OpaquePointer?
        try check(vulkan_commands_create(handle, &made))
        guard let made else { throw error("vkCreateCommandPool: no commands") }
        return made
    }

    func giveBack(_ commands: OpaquePointer) { lock.withLock { idleCommands.append(commands) } }

    /// Records commands, runs them and waits.
    private func perform(_ record: (OpaquePointer) -> Void) throws {
        let commands = try takeCommands()
        defer { giveBack(commands) }
        try check(vulkan_commands_begin(commands))
        record(commands)
        try check(vulkan_commands_end(commands))
        try check(vulkan_commands_run(commands))
    }

    // MARK: Transfers

    /// Copies on their way to memory that the host does not see; one submission serves many.
    private struct Staging {
        static let bytes = 4 << 20
        var region: Region
        var used = 0
        var pending: [(from: VulkanRange, to: VulkanRange)] = []
    }

    /// Makes what was written reach the device: before anything there reads it.
    func finishWrites() throws {
        try transferLock.withLock { try submitStaged() }
    }

    private func submitStaged() throws {
        guard let pending = staging?.pending, !pending.isEmpty else { return }
        staging?.pending = []
        staging?.used = 0
        try perform { commands in
            for copy in pending { vulkan_commands_copy(commands, copy.from, copy.to) }
        }
    }

    /// Copies bytes to a region; the host may reuse the source at once. Visible on the device after
    /// `finishWrites`.
    func write(_ bytes: UnsafeRawBufferPointer, to region: Region, at offset: Int = 0) throws {
        guard bytes.count > 0 else { return }
        if let address = region.address {
            UnsafeMutableRawBufferPointer(start: address + offset, count: bytes.count).copyMemory(from: bytes)
            return
        }
        try transferLock.withLock {
            var done = 0
            while done < bytes.count {
                if staging?.used == Staging.bytes { try submitStaged() }
                var staged = try staging ?? Staging(region: hostMemory.allocate(bytes: Staging.bytes))
                let part = min(bytes.count - done, Staging.bytes - staged.used)
                let source = UnsafeRawBufferPointer(rebasing: bytes[done..<done + part])
                try hostBytes(staged.region, at: staged.used, count: part).copyMemory(from: source)
                staged.pending.append((staged.region.range(staged.used, part), region.range(offset + done, part)))
                staged.used += part
                staging = staged
                done += part
            }
        }
    }

    /// The bytes of a region that the host sees.
    func hostBytes(_ region: Region, at offset: Int, count: Int) throws -> UnsafeMutableRawBufferPointer {
        guard let address = region.address else { throw error("vkMapMemory: host memory is not mapped") }
        return UnsafeMutableRawBufferPointer(start: address + offset, count: count)
    }

    /// Copies bytes from a region.
    func read(_ region: Region, into bytes: UnsafeMutableRawBufferPointer) throws {
        guard bytes.count > 0 else { return }
        if let address = region.address {
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: bytes.count))
            return
        }
        try finishWrites()
        let copy = try hostMemory.allocate(bytes: bytes.count)
        try perform { vulkan_commands_copy($0, region.range(0, bytes.count), copy.range(0, bytes.count)) }
        bytes.copyMemory(from: UnsafeRawBufferPointer(try hostBytes(copy, at: 0, count: bytes.count)))
    }

    /// Zeroes bytes of a region; offset and count are multiples of 4.
    func clear(_ region: Region, at offset: Int, bytes: Int) throws {
        guard bytes > 0 else { return }
        if let address = region.address {
            memset(address + offset, 0, bytes)
            return
        }
        try finishWrites()
        try perform { vulkan_commands_clear($0, region.range(offset, bytes)) }
    }

    /// Copies bytes within a region; the two ranges do not overlap.
    func copy(in region: Region, from: Int, to: Int, bytes: Int) throws {
        guard bytes > 0 else { return }
        if let address = region.address {
            memcpy(address + to, address + from, bytes)
            return
        }
        try finishWrites()
        try perform { vulkan_commands_copy($0, region.range(from, bytes), region.range(to, bytes)) }
    }
}

extension VulkanStatus {
    /// What failed and how, or nil.
    var failure: String? {
        guard let call else { return nil }
        return "\(String(cString: call)): \(result.map { String(cString: $0) } ?? "failed")"
    }
}
