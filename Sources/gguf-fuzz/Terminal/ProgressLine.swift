import Dispatch
import Foundation

/// How far long work has come: on a terminal lines that are redrawn, elsewhere the first of them now and then.
final class ProgressLine: @unchecked Sendable {
    private let lock = NSLock()
    private let timer: any DispatchSourceTimer
    private let lines: @Sendable () -> [[Terminal.Span]]

    /// - Parameter lines: asked for whenever they are drawn; at least one.
    init(_ lines: @escaping @Sendable () -> [[Terminal.Span]]) {
        self.lines = lines
        // Ten times a second is as often as an eye can follow.
        timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "progress"))
        let interval = DispatchTimeInterval.milliseconds(Terminal.isInteractive ? 100 : 10_000)
        timer.schedule(deadline: .now() + interval, repeating: interval)
        timer.setEventHandler { [weak self] in self?.draw() }
        timer.resume()
    }

    deinit { timer.cancel() }

    /// Nothing is drawn from now on.
    func end() {
        lock.withLock { timer.cancel() }
        Terminal.progress("")
    }

    private func draw() {
        lock.withLock {
            guard !timer.isCancelled else { return }
            if Terminal.isInteractive {
                Terminal.progress(lines())
            } else {
                Terminal.error((lines().first ?? []).map(\.text).joined())
            }
        }
    }

    /// Shows what `body` says that it is doing, and since when, while it runs.
    static func during<Result>(
        _ text: String, _ body: (_ update: @escaping (String) -> Void) throws -> Result
    ) rethrows -> Result {
        let current = SharedText(text)
        let start = ContinuousClock.now
        let line = ProgressLine { [["\(current.value), \(Format.duration(ContinuousClock.now - start))"]] }
        defer { line.end() }
        return try body { current.value = $0 }
    }

    /// Written by the thread that works, read by the one that draws.
    private final class SharedText: @unchecked Sendable {
        private let lock = NSLock()
        private var text: String

        init(_ text: String) { self.text = text }

        var value: String {
            get { lock.withLock { text } }
            set { lock.withLock { text = newValue } }
        }
    }
}
