import Foundation

/// The search for the first bad commit between a good one and a bad one.
struct Bisection {
    let checkout: Checkout
    let test: RevisionTest
    private var verdicts: [String: RevisionTest.Verdict] = [:]

    enum Outcome {
        case found(String)
        /// The first bad commit is one of these, the others of which could not be tested.
        case undecided([String])
    }

    init(_ checkout: Checkout, _ test: RevisionTest) {
        self.checkout = checkout
        self.test = test
    }

    /// The number of commits that have been tested, the first two included.
    var count: Int { verdicts.count }

    /// Makes sure that the good commit is good and the bad one bad, and then halves what is between them.
    ///
    /// The checkout is somewhere else afterwards.
    /// - Throws: `CommandError` where it makes no sense; `RevisionTest.Interrupted`.
    mutating func run(good: String, bad: String) throws -> Outcome {
        guard good != bad, try checkout.isAncestor(good, of: bad) else {
            throw CommandError(
                "--good \(checkout.name(of: good)): is no ancestor of the bad \(checkout.name(of: bad))")
        }
        try verify(good, is: .good)
        try verify(bad, is: .bad)
        Terminal.line("\(Format.amount(try checkout.distance(from: good, to: bad), "commit")) to choose from")

        var state = try checkout.startBisect(bad: bad, good: good)
        while true {
            switch state {
            case .found(let commit): return .found(commit)
            case .undecided(let commits): return .undecided(commits)
            case .next(let commit): state = try checkout.mark(try test(commit).mark)
            }
        }
    }

    private mutating func verify(_ commit: String, is mark: Checkout.Mark) throws {
        try checkout.checkOut(commit)
        let verdict = try test(commit)
        guard verdict.mark == mark else {
            throw CommandError(
                "--\(mark.rawValue) \(checkout.name(of: commit)): is not \(mark.rawValue): \(verdict.words)")
        }
    }

    /// Tests what is checked out.
    private mutating func test(_ commit: String) throws -> RevisionTest.Verdict {
        let name = checkout.name(of: commit)
        let verdict = try ProgressLine.during(name) { update in
            try test.verdict(in: checkout) { update("\(name): \($0)") }
        }
        verdicts[commit] = verdict
        let mark = verdict.mark.rawValue.padded(to: 4)
        Terminal.line("\(mark) \(name) \(try checkout.subject(of: commit)): \(verdict.words)")
        if let changed = try checkout.putBack() {
            Terminal.note("note: \(changed): has been changed by the build, and is put back")
        }
        return verdict
    }

    /// The first bad commit, and what was seen there and before.
    func print(_ outcome: Outcome) throws {
        switch outcome {
        case .found(let commit):
            Terminal.line("\nfirst bad commit: \(commit)")
            Terminal.line("  \(try checkout.subject(of: commit))\n  \(try checkout.authorAndDate(of: commit))")
            if let good = try checkout.parents(of: commit).first(where: { verdicts[$0]?.mark == .good }) {
                Terminal.line("last good \(checkout.name(of: good)): \(verdicts[good]?.words ?? "")")
            }
            Terminal.line("first bad \(checkout.name(of: commit)): \(verdicts[commit]?.words ?? "")")
        case .undecided(let commits):
            Terminal.line("\nthe first bad commit is one of \(commits.count), which the skipped ones hide:")
            for commit in commits {
                Terminal.line("  \(checkout.name(of: commit)) \(try checkout.subject(of: commit))")
            }
        }
    }
}

extension RevisionTest.Verdict {
    var mark: Checkout.Mark {
        switch self {
        case .good: .good
        case .bad: .bad
        case .skipped: .skip
        }
    }
    var words: String {
        switch self {
        case .good(let words), .bad(let words), .skipped(let words): words
        }
    }
}
