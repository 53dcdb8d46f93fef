import Dispatch
import Foundation

/// Work on several threads, whose results arrive one by one in the order of the work.
enum Parallel {
    /// - Parameters:
    ///   - isCancelled: asked before each item; once true, no more are begun.
    ///   - consume: called for each result in order, never two at a time. What it throws ends the work.
    static func inOrder<Item: Sendable, Result: Sendable>(
        _ items: [Item], jobs: Int, isCancelled: @Sendable () -> Bool, _ work: @Sendable (Item) -> Result,
        consume: (Result) throws -> Void
    ) throws {
        try withoutActuallyEscaping(consume) { consume in
            let state = State<Result>(consume)
            DispatchQueue.concurrentPerform(iterations: min(jobs, items.count)) { _ in
                while !isCancelled(), let index = state.next(below: items.count) {
                    state.finish(index, work(items[index]))
                }
            }
            if let error = state.error { throw error }
        }
    }

    private final class State<Result: Sendable>: @unchecked Sendable {
        private let lock = NSLock()
        private var begun = 0
        private var consumed = 0
        private var waiting: [Int: Result] = [:]
        private let consume: (Result) throws -> Void
        private(set) var error: (any Error)?

        init(_ consume: @escaping (Result) throws -> Void) { self.consume = consume }

        func next(below count: Int) -> Int? {
            lock.withLock {
                guard error == nil, begun < count else { return nil }
                defer { begun += 1 }
                return begun
            }
        }

        func finish(_ index: Int, _ result: Result) {
            lock.withLock {
                waiting[index] = result
                while error == nil, let next = waiting.removeValue(forKey: consumed) {
                    consumed += 1
                    do { try consume(next) } catch { self.error = error }
                }
            }
        }
    }
}
