/// What happened, and where.
public struct Signature: Hashable, Sendable {
    public var check: Check
    public var device: String
    public var architecture: String
    /// What the engine was doing: `load`, `save`, `session`, or the name of a step.
    public var stage: String
    /// What was wrong: `mismatch`, `not finite`, `SIGSEGV`, an assertion …
    public var kind: String
    /// Of a death: the functions of its stack, innermost first; empty where they are not known.
    public var frames: [String]

    public init(
        check: Check, device: String, architecture: String, stage: String, kind: String, frames: [String] = []
    ) {
        self.check = check
        self.device = device
        self.architecture = architecture
        self.stage = stage
        self.kind = kind
        self.frames = frames
    }

    public var description: String {
        "\(check.rawValue): \(architecture) on \(device): \(kind) in \(place ?? stage)"
    }

    /// Whether a case that is cut down still fails in this way.
    public func isStill(_ other: Signature) -> Bool {
        kind == other.kind && device == other.device && (kind.isOfItsOwn || stage == other.stage)
            && (kind.isOfItsOwn || place == other.place)
    }

    /// The function that is to blame: the innermost that is no helper, which only says what its caller did.
    var place: String? { frames.first { !$0.isHelper } ?? frames.first }

    /// What the device belongs to: `llama:CUDA` of `llama:CUDA1`.
    var backend: String { String(device.reversed().drop(while: \.isNumber).reversed()) }
}

extension Signature: CustomStringConvertible {}

extension Signature: Codable {
    private enum CodingKeys: String, CodingKey {
        case check, device, architecture, stage, kind, frames
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            check: try values.decode(Check.self, forKey: .check),
            device: try values.decode(String.self, forKey: .device),
            architecture: try values.decode(String.self, forKey: .architecture),
            stage: try values.decode(String.self, forKey: .stage),
            kind: try values.decode(String.self, forKey: .kind),
            frames: try values.decodeIfPresent([String].self, forKey: .frames) ?? [])
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(check, forKey: .check)
        try values.encode(device, forKey: .device)
        try values.encode(architecture, forKey: .architecture)
        try values.encode(stage, forKey: .stage)
        try values.encode(kind, forKey: .kind)
        if !frames.isEmpty { try values.encode(frames, forKey: .frames) }
    }
}

extension String {
    /// Whether a kind of failure has a message of its own, which says where it comes from; a signal says as little as
    /// numbers that differ.
    fileprivate var isOfItsOwn: Bool { Happening(kind: self) == .message }

    /// Whether a function only states what its caller asked for: it makes the nodes of ggml's graphs, or is of the C++
    /// library.
    fileprivate var isHelper: Bool {
        if hasPrefix("lib")
            && contains(".so") || hasPrefix("std::") || hasPrefix("__") || hasPrefix("operator ") { return true }
        guard hasPrefix("ggml_"), !hasPrefix("ggml_backend_buffer") else { return hasPrefix("ggml_") }
        let parts = [
            "compute", "vec", "backend", "gemm", "gemv", "cuda", "vk", "quantize", "cpu", "opt", "gallocr",
        ]
        return !parts.contains { hasPrefix("ggml_\($0)") }
    }
}

/// Kinds of failures, by what they say of their cause.
enum Happening: String, Hashable, Sendable, Codable {
    /// Outputs differ: what is wrong can be anything between the weights and them.
    case numbers = "wrong numbers"
    /// Memory is not what it should be.
    case crash
    /// A message or a property of its own.
    case message

    init(kind: String) {
        switch kind {
        case "mismatch", "not finite", "other bits": self = .numbers
        case "SIGSEGV", "SIGBUS", "SIGILL", "SIGTRAP", "SIGABRT": self = .crash
        default:
            let heap = [
                "corrupted ", "free(): ", "double free ", "malloc(): ", "malloc_", "munmap_chunk(): ", "realloc(): ",
            ]
            self = kind.hasPrefix("SIGABRT: ") && heap.contains { kind.contains($0) } ? .crash : .message
        }
    }
}
