import Dispatch
import Foundation

/// An interrupt from the keyboard: the first asks long work to stop and print what there is; the second
/// ends the program.
enum Interrupt {
    private final class Flag: @unchecked Sendable {
        private let lock = NSLock()
        private var isSet = false
        /// - Returns: whether it was set before.
        func set() -> Bool { lock.withLock { defer { isSet = true }; return isSet } }
        var value: Bool { lock.withLock { isSet } }
    }

    private static let flag = Flag()
    private static let watching: Void = {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: DispatchQueue(label: "interrupt"))
        source.setEventHandler {
            if flag.set() { exit(130) }
            _ = source  // Lives as long as the program.
        }
        source.resume()
    }()

    /// From now on, interrupts are noted instead of ending the program.
    static func watch() { watching }
    static var isRequested: Bool { flag.value }
}
