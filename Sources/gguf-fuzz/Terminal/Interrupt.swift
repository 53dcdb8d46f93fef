import Dispatch
import Foundation

/// An interrupt from the keyboard or a request to end: the first asks long work to stop and print what there is; the
/// second ends the program.
enum Interrupt {
    private final class Flag: @unchecked Sendable {
        private let lock = NSLock()
        private var signal: Int32?
        private var isPatient = false
        /// - Returns: whether there has been one before.
        func set(_ signal: Int32) -> Bool {
            lock.withLock {
                defer { self.signal = self.signal ?? signal }
                return self.signal != nil
            }
        }
        var value: Int32? { lock.withLock { signal } }
        var patience: Bool {
            get { lock.withLock { isPatient } }
            set { lock.withLock { isPatient = newValue } }
        }
    }

    private static let flag = Flag()
    private static let watching: Void = {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: DispatchQueue(label: "interrupt"))
            source.setEventHandler {
                if flag.set(number), !flag.patience { exit(128 + number) }
                _ = source  // Lives as long as the program.
            }
            source.resume()
        }
    }()

    /// From now on, interrupts are noted instead of ending the program.
    /// - Parameter isPatient: the second one too, since what is being put in order must not be left half-way.
    static func watch(isPatient: Bool = false) {
        flag.patience = isPatient
        watching
    }
    static var isRequested: Bool { flag.value != nil }
    /// How a program ends that was interrupted, as shells say it: 130 or 143; nil where it was not.
    static var status: Int32? { flag.value.map { 128 + $0 } }
}
