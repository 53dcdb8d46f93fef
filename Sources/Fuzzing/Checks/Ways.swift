import Engines

/// The ways in which a script may go where discontinuous decisions are narrow.
///
/// Where correct arithmetic may choose other experts than the reference does, a device's rows are right if they are
/// those of a reference that chooses as the device did. So the reference runs again with narrow decisions made
/// otherwise, one and then more of them, those first whose rows come closest, until each row is found to be right for
/// one of the ways or there is no other way.
struct Ways {
    /// A row whose error is beyond the limit for the way that the reference goes by itself.
    struct Row {
        var step: Int
        var key: Int
        var found: ArraySlice<Double>
    }

    enum Answer {
        /// Each row is right for one way.
        case right
        /// A row is wrong whichever way is gone.
        case wrong
        /// There are more ways than were tried.
        case undecided
    }

    /// Ways that are tried before it is left undecided.
    static let most = 64
    /// Samples that say how narrow the decisions of another way are.
    private static let samples = 4

    private struct Way {
        var floor: NoiseFloor
        /// The first decision that may still be made otherwise: each set of changes is met once, in ascending order.
        var next: Int
        /// The least error of a row that is not explained yet, as a multiple of its floor.
        var error: Double
    }

    private let run: (Script) throws -> Transcript
    private var script: Script

    /// - Parameter run: runs a script on the reference.
    init(_ script: Script, run: @escaping (Script) throws -> Transcript) {
        self.script = script
        self.run = run
    }

    /// - Parameter floor: of the way that the reference goes by itself, sampled.
    /// - Throws: what the reference throws.
    func explain(_ rows: [Row], _ floor: NoiseFloor) throws -> Answer {
        var rest = rows
        var open = [Way(floor: floor, next: 0, error: .infinity)]
        var tried = 0
        while let best = open.indices.min(by: { open[$0].error < open[$1].error }) {
            let way = open.remove(at: best)
            while way.floor.sampleCount < Self.samples { try way.floor.addSample(reference: run) }
            for decision in way.floor.narrowDecisions(from: way.next) {
                for alternative in decision.alternatives {
                    guard tried < Self.most else { return .undecided }
                    tried += 1
                    var other = script
                    let before = way.floor.exact.decisions.prefix(decision.index).map(\.taken)
                    other.options.decisions = before + [alternative]
                    let floor = NoiseFloor(script, exact: try run(other), precision: floor.precision)
                    // What reaches none of the rows leads to none of them.
                    let isReached = rest.contains { $0.expected(in: floor) != $0.expected(in: way.floor) }
                    guard isReached else { continue }
                    var errors = try errors(of: rest, floor, from: way.floor)
                    rest = zip(rest, errors).filter { $0.1 > NoiseFloor.limit }.map(\.0)
                    errors.removeAll { $0 <= NoiseFloor.limit }
                    if rest.isEmpty { return .right }
                    open.append(Way(floor: floor, next: decision.index + 1, error: errors.min() ?? .infinity))
                }
            }
        }
        return .wrong
    }

    /// As multiples of the floor, which is sampled where that may make the difference.
    /// - Parameter parent: the floor of the way that this one branches off, which is about as high.
    private func errors(of rows: [Row], _ floor: NoiseFloor, from parent: NoiseFloor) throws -> [Double] {
        func errors(_ sampled: NoiseFloor) -> [Double] {
            rows.map { row in
                guard let expected = row.expected(in: floor) else { return .infinity }
                let noise = sampled.floor(step: row.step, key: row.key)
                return distance(row.found, expected) / max(noise, .leastNormalMagnitude)
            }
        }
        var found = errors(parent)
        // What is far away is another row altogether.
        while found.contains(where: { $0 < 16 * NoiseFloor.limit }) {
            guard floor.sampleCount < NoiseFloor.samples else { break }
            try floor.addSample(reference: run)
            guard floor.sampleCount >= 2 else { continue }
            found = errors(floor)
            guard found.contains(where: { $0 > NoiseFloor.limit }) else { break }
        }
        return found
    }
}

extension Ways.Row {
    func expected(in floor: NoiseFloor) -> ArraySlice<Double>? { floor.exact.results[step].rows?.row(of: key) }
}
