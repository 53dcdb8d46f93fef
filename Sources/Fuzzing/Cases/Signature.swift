/// What makes two failures the same one.
public struct Signature: Hashable, Sendable, Codable, CustomStringConvertible {
    public var check: Check
    public var device: String
    public var architecture: String
    /// What the engine was doing: `load`, `save`, `session`, or the name of a step.
    public var stage: String
    /// What was wrong: `mismatch`, `not finite`, `SIGSEGV`, an assertion …
    public var kind: String

    public init(check: Check, device: String, architecture: String, stage: String, kind: String) {
        self.check = check
        self.device = device
        self.architecture = architecture
        self.stage = stage
        self.kind = kind
    }

    public var description: String { "\(check.rawValue): \(architecture) on \(device): \(kind) in \(stage)" }
}
