import Foundation
import Testing

@testable import Fuzzing

@Suite("Searches for the number of jobs")
struct JobSearchTests {
    /// What a search settles on where `count` jobs get `rate(count)` cases done in a second, and which numbers it
    /// tried.
    private func settled(most: Int, rate: (Int) -> Double) -> (count: Int, tried: [Int], cases: Int) {
        var search = JobSearch(most: most)
        var tried = [search.count], cases = 0
        while !search.isSettled, cases < 100_000 {
            // Of a hundred cases, one takes a thousand times as long as another.
            let factor = pow(1000, Double(cases * 37 % 101) / 100 - 0.5)
            _ = search.finish(.seconds(factor * Double(search.count) / rate(search.count)), jobs: search.count)
            cases += 1
            if search.count != tried.last { tried.append(search.count) }
        }
        #expect(search.isSettled)
        return (search.count, tried, cases)
    }

    @Test("settle where most is done", arguments: [(3, 16), (1, 16), (6, 16), (16, 16), (2, 2), (12, 64)])
    func peaks(peak: Int, most: Int) {
        let (count, tried, cases) = settled(most: most) { count in
            count <= peak ? Double(count) : Double(peak) * pow(Double(peak) / Double(count), 2)
        }
        #expect(abs(count - peak) <= peak / 4)
        #expect(tried.allSatisfy { $0 <= min(most, 2 * peak) })
        #expect(cases < 1000)
    }

    @Test("take no more jobs where these gain next to nothing")
    func plateau() {
        #expect(settled(most: 16) { 1 + 0.01 * Double($0) }.count == 1)
        #expect(settled(most: 16) { Double(min($0, 4)) }.count == 4)
    }

    @Test("of what can only be one there is no search")
    func one() {
        let search = JobSearch(most: 1)
        #expect(search.isSettled && search.count == 1)
    }

    @Test("cases that began with another number of jobs, or are a job's first, do not count")
    func strangers() {
        var search = JobSearch(most: 2)
        func finish(_ count: Int, of seconds: Int, jobs: Int) {
            for _ in 0..<count { _ = search.finish(.seconds(seconds), jobs: jobs) }
        }
        finish(1000, of: 1000, jobs: 2)
        #expect(search.count == 1 && !search.isSettled)
        finish(2, of: 1000, jobs: 1)
        finish(JobSearch.window, of: 1, jobs: 1)
        #expect(search.count == 2 && !search.isSettled)
        finish(4, of: 1000, jobs: 2)
        finish(JobSearch.window, of: 1, jobs: 2)
        #expect(search.isSettled && search.count == 2)
    }

    @Test("results are in their order and all there, whatever number of threads works")
    func parallel() throws {
        let started = Counter(), seen = Counter()
        let working = try Parallel.inOrder(jobs: 8, isMeasured: true) { _ in
            started.add(1)
        } work: { index, _ -> Int? in
            index < 500 ? index : nil
        } consume: { index, result, _ in
            #expect(index == result && index == seen.value)
            seen.add(1)
            return []
        }
        #expect(seen.value == 500 && (1...8).contains(working) && (1...8).contains(started.value))
        // Too few for another number to be tried.
        let few = Counter()
        #expect(try Parallel.inOrder(jobs: 8, isMeasured: true) { _ in few.add(1) } work: { index, _ -> Int? in
            index < 60 ? index : nil
        } consume: { _, _, _ in [] } == 1)
        #expect(few.value == 1)
    }

    private final class Counter: @unchecked Sendable {
        private let lock = NSLock()
        private var count = 0
        var value: Int { lock.withLock { count } }
        func add(_ number: Int) { lock.withLock { count += number } }
    }
}
