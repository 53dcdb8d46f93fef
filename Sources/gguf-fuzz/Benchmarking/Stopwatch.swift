/// Measures by repeating.
struct Stopwatch {
    var repeats: Int

    /// The median time of `body`, after one run that is not counted. An interrupt ends the repetitions.
    func median(_ body: () throws -> Void) rethrows -> Duration {
        try body()
        var times: [Duration] = []
        repeat {
            let start = ContinuousClock.now
            try body()
            times.append(.now - start)
        } while times.count < repeats && !Interrupt.isRequested
        return times.sorted()[times.count / 2]
    }
}
