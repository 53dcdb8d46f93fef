import Dispatch
import Engines
import Foundation

/// An interrupt from the keyboard, a request to end, or the end of the terminal: the first asks long work to stop and
/// print what there is, and says so at once.
enum Interrupt {
    /// What becomes of work that has begun.
    enum Manner {
        /// It is finished. A second interrupt ends the program.
        case finishing
        /// Engines in worker processes have a second for it, and none after a second interrupt; a third ends the
        /// program.
        case endingEngines
        /// It is finished, whatever comes, since what is being put in order must not be left half-way.
        case patient
    }

    private final class State: @unchecked Sendable {
        private let lock = NSLock()
        private var count = 0
        private var first: Int32?
        private var current = Manner.finishing

        /// - Returns: how many there have been with this one, and what to do.
        func add(_ signal: Int32) -> (count: Int, manner: Manner) {
            lock.withLock {
                count += 1
                first = first ?? signal
                return (count, current)
            }
        }
        var signal: Int32? { lock.withLock { first } }
        var manner: Manner {
            get { lock.withLock { current } }
            set { lock.withLock { current = newValue } }
        }
    }

    private static let state = State()
    private static let queue = DispatchQueue(label: "interrupt")
    private static let watching: Void = {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let former = signal(number, SIG_IGN)
            // Whoever starts it by nohup wants it to stay.
            let wasIgnored = unsafeBitCast(former, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
            if number == SIGHUP, wasIgnored { continue }
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                take(number)
                _ = source  // Lives as long as the program.
            }
            source.resume()
        }
    }()

    private static func take(_ number: Int32) {
        switch state.add(number) {
        case (1, .patient): Terminal.note("finishing what has begun")
        case (1, let manner):
            Terminal.note("finishing; again to stop now")
            if manner == .endingEngines { queue.asyncAfter(deadline: .now() + 1) { EngineStop.request() } }
        case (2, .endingEngines):
            Terminal.note("stopping")
            EngineStop.request()
        case (_, .patient): break
        default: exit(128 + number)
        }
    }

    /// From now on, interrupts are noted instead of ending the program.
    static func watch(_ manner: Manner = .finishing) {
        state.manner = manner
        watching
    }
    static var isRequested: Bool { state.signal != nil }
    /// How a program ends that was interrupted, as shells say it: 130, 143 or 129; nil where it was not.
    static var status: Int32? { state.signal.map { 128 + $0 } }
}
