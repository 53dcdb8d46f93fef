import Foundation

/// Work on several threads, whose results arrive one by one in the order of the work.
enum Parallel {
    /// - Parameters:
    ///   - context: makes what each thread works with; used on that thread only.
    ///   - work: does item `index`; nil: there are no more.
    ///   - consume: called for each result in order, never two at a time, on the thread of whatever result came last.
    ///     It returns what takes long and need not be in order: that is done on the same thread, while the others go
    ///     on. What it throws ends the work.
    ///   - finally: called once on each thread when there is no more work; what it calls its second argument with is
    ///     never done while `consume` is at work.
    static func inOrder<Context, Result: Sendable>(
        jobs: Int, context: @escaping @Sendable () throws -> Context,
        work: @escaping @Sendable (Int, Context) throws -> Result?,
        consume: @escaping @Sendable (Int, Result, Context) throws -> [FollowUp],
        finally: @escaping @Sendable (Context, (() throws -> Void) throws -> Void) throws -> Void = { _, _ in }
    ) throws {
        let state = State<Result>()
        let group = DispatchGroup()
        for _ in 0..<max(1, jobs) {
            group.enter()
            let thread = Thread {
                defer { group.leave() }
                do {
                    let context = try context()
                    while let index = state.next() {
                        guard let result = try work(index, context) else {
                            state.end()
                            break
                        }
                        for followUp in try state.finish(index, result, { try consume($0, $1, context) }) {
                            try state.exclusively(followUp())
                        }
                    }
                    if state.error == nil { try finally(context) { try state.exclusively($0) } }
                } catch {
                    state.fail(error)
                }
            }
            // Graphs are built by recursion of no great depth, but a debug build's frames are large.
            thread.stackSize = 8 << 20
            thread.start()
        }
        group.wait()
        if let error = state.error { throw error }
    }

    /// Long work, and what is done with its outcome: never while `consume` or another such end is at work.
    typealias FollowUp = () throws -> () throws -> Void

    private final class State<Result: Sendable>: @unchecked Sendable {
        private let lock = NSLock()
        private var begun = 0
        private var consumed = 0
        private var isEnded = false
        private var waiting: [Int: Result] = [:]
        private(set) var error: (any Error)?

        func next() -> Int? {
            lock.withLock {
                guard !isEnded else { return nil }
                defer { begun += 1 }
                return begun
            }
        }

        func end() { lock.withLock { isEnded = true } }

        func fail(_ error: any Error) {
            lock.withLock {
                isEnded = true
                self.error = self.error ?? error
            }
        }

        func exclusively(_ body: () throws -> Void) throws { try lock.withLock(body) }

        func finish(
            _ index: Int, _ result: Result, _ consume: (Int, Result) throws -> [FollowUp]
        ) throws -> [FollowUp] {
            try lock.withLock {
                waiting[index] = result
                var followUps: [FollowUp] = []
                while error == nil, let next = waiting.removeValue(forKey: consumed) {
                    consumed += 1
                    followUps += try consume(consumed - 1, next)
                }
                return followUps
            }
        }
    }
}
