import Foundation

/// Finds how many jobs get most done side by side.
///
/// On a processor, that is one for each core. Jobs that share a GPU stand in each other's way: their contexts, what
/// they compile, the queue. So twice as many are tried as long as that gains something, and then numbers between.
///
/// How long cases take differs by orders of magnitude, and what jobs take from each other multiplies each: what is
/// compared is the geometric mean.
struct JobSearch {
    /// How many there may be.
    let most: Int
    /// How many shall work now.
    private(set) var count = 1
    /// Whether that stays so.
    private(set) var isSettled: Bool
    /// What as many jobs get done, by what one gets done.
    private var rates: [Int: Double] = [:]
    private var skipped = 0
    private var logarithms: [Double] = []

    /// Cases by which a number of jobs is judged.
    static let window = 64
    /// By how much more jobs must get more done.
    private static let gain = 1.1

    init(most: Int) {
        self.most = max(1, most)
        isSettled = most <= 1
    }

    /// Takes note of a case.
    /// - Parameters:
    ///   - jobs: `count` when it began.
    ///   - duration: how long it took.
    /// - Returns: whether `count` or `isSettled` has changed.
    mutating func finish(_ duration: Duration, jobs: Int) -> Bool {
        guard !isSettled, jobs == count else { return false }
        // What has just been started compiles its kernels, and other jobs end what they began before.
        guard skipped >= 2 * count else {
            skipped += 1
            return false
        }
        logarithms.append(log(max(duration / .seconds(1), 1e-6)))
        guard logarithms.count >= Self.window else { return false }
        rates[count] = Double(count) / exp(logarithms.reduce(0, +) / Double(logarithms.count))
        (skipped, logarithms) = (0, [])
        if let next { count = next } else { (count, isSettled) = (best, true) }
        return true
    }

    /// The least number that no greater one gets notably more done than.
    private var best: Int {
        let tried = rates.sorted { $0.key < $1.key }
        return tried.dropFirst().reduce(tried.first ?? (1, 0)) { $1.value > Self.gain * $0.value ? $1 : $0 }.key
    }

    /// What is to be tried next: twice as many, or a number half-way to one that was tried, unless that is near; nil:
    /// nothing.
    private var next: Int? {
        let best = best, near = max(1, best / 4)
        let above = rates.keys.filter { $0 > best }.min()
        if above == nil, best < most { return min(2 * best, most) }
        if let above, above - best > near { return (best + above) / 2 }
        if let below = rates.keys.filter({ $0 < best }).max(), best - below > near { return (below + best) / 2 }
        return nil
    }
}
