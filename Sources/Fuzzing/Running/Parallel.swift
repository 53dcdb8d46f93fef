import Foundation

/// Work on several threads, whose results arrive one by one in the order of the work.
enum Parallel {
    /// - Parameters:
    ///   - jobs: how many threads there are.
    ///   - isMeasured: whether as many of them work as get most done (`JobSearch`). What is not needed makes no
    ///     context, or lets go of it.
    ///   - context: makes what each thread, by its number from 0, works with; used on that thread only.
    ///   - work: does item `index`; nil: there are no more.
    ///   - consume: called for each result in order, never two at a time, on the thread of whatever result came last.
    ///     It returns what takes long and need not be in order: that is done on the same thread, while the others go
    ///     on. What it throws ends the work.
    ///   - finally: called once on each thread when there is no more work; what it calls its second argument with is
    ///     never done while `consume` is at work.
    /// - Returns: how many threads worked side by side in the end.
    @discardableResult
    static func inOrder<Context, Result: Sendable>(
        jobs: Int, isMeasured: Bool = false, context: @escaping @Sendable (Int) throws -> Context,
        work: @escaping @Sendable (Int, Context) throws -> Result?,
        consume: @escaping @Sendable (Int, Result, Context) throws -> [FollowUp],
        finally: @escaping @Sendable (Context, (() throws -> Void) throws -> Void) throws -> Void = { _, _ in }
    ) throws -> Int {
        let jobs = max(1, jobs)
        let state = State<Result>(isMeasured ? JobSearch(most: jobs) : nil)
        let group = DispatchGroup()
        for number in 0..<jobs {
            group.enter()
            let thread = Thread {
                defer { group.leave() }
                do {
                    guard state.waitForTurn(of: number) else { return }
                    let context = try context(number)
                    while state.waitForTurn(of: number), let index = state.next() {
                        let (start, count) = (ContinuousClock.now, state.count)
                        guard let result = try work(index, context) else {
                            state.end()
                            break
                        }
                        state.note(.now - start, jobs: count)
                        for followUp in try state.finish(index, result, { try consume($0, $1, context) }) {
                            try state.exclusively(followUp())
                        }
                    }
                    if state.error == nil { try finally(context) { try state.exclusively($0) } }
                } catch {
                    state.fail(error)
                }
            }
            thread.stackSize = stackSize
            thread.start()
        }
        group.wait()
        if let error = state.error { throw error }
        return state.count ?? jobs
    }

    /// Of threads that run models. Graphs are built by recursion of no great depth, but a debug build's frames are
    /// large.
    static let stackSize = 8 << 20

    /// Long work, and what is done with its outcome: never while `consume` or another such end is at work.
    typealias FollowUp = () throws -> () throws -> Void

    private final class State<Result: Sendable>: @unchecked Sendable {
        private let lock = NSCondition()
        /// Nil: all threads work.
        private var search: JobSearch?
        private var begun = 0
        private var consumed = 0
        private var isEnded = false
        private var waiting: [Int: Result] = [:]
        private(set) var error: (any Error)?

        init(_ search: JobSearch?) { self.search = search }

        /// How many threads shall work; nil: all.
        var count: Int? { lock.withLock { search?.count } }

        /// - Returns: false where that will not come.
        func waitForTurn(of thread: Int) -> Bool {
            lock.withLock {
                while let search, thread >= search.count, !search.isSettled, !isEnded { lock.wait() }
                return !isEnded && thread < search?.count ?? .max
            }
        }

        /// - Parameter jobs: how many should work when it began.
        func note(_ duration: Duration, jobs: Int?) {
            guard let jobs else { return }
            lock.withLock { if search?.finish(duration, jobs: jobs) ?? false { lock.broadcast() } }
        }

        func next() -> Int? {
            lock.withLock {
                guard !isEnded else { return nil }
                defer { begun += 1 }
                return begun
            }
        }

        func end() {
            lock.withLock {
                isEnded = true
                lock.broadcast()
            }
        }

        func fail(_ error: any Error) {
            lock.withLock {
                isEnded = true
                self.error = self.error ?? error
                lock.broadcast()
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
