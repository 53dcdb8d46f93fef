import Synchronization

/// Whether worker processes are ended in the middle of what they do, since nobody waits for it any more.
public enum EngineStop {
    private static let flag = Atomic(false)

    public static var isRequested: Bool { flag.load(ordering: .relaxed) }

    /// From now on, what waits for a worker's answer ends it and throws `EngineDeath` of cause `stopped`.
    public static func request() { flag.store(true, ordering: .relaxed) }
}
