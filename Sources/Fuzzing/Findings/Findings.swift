import Foundation

/// The findings of a run, shared by its threads: what failures they explain, and which are one.
final class Findings: @unchecked Sendable {
    // All that changes is changed under the lock.
    private let lock = NSLock()
    private var findings: [UInt64: Finding] = [:]
    private var nextNumber: UInt64 = 0
    /// Findings that became part of others.
    private var joined: [UInt64: UInt64] = [:]
    /// Findings that a thread is at work on.
    private var taken: Set<UInt64> = []
    /// How often a finding was shown to explain failures of an architecture.
    private var proofs: [Proof: Int] = [:]
    /// Whether the simplest case of an architecture shows a cause that needs nothing, and whether that was asked of one
    /// that is widespread.
    private var simplest: [Proof: (shows: Bool, isWidespread: Bool)] = [:]
    /// Cases that were judged to cut others down.
    private var spent = 0

    /// That a finding explains failures of an architecture.
    struct Proof: Hashable {
        var finding: UInt64
        var architecture: String
    }

    /// Failures of an architecture that are shown to be a finding's before what they have in common is enough.
    private static let enoughProofs = 2
    /// Of the ways in which architectures show a cause, so many are tried.
    private static let mostCauses = 4
    /// And then one in so many is, so that something else is not taken for it for ever.
    private static let proofEvery: UInt64 = 8

    init() {}

    /// Those of a run that goes on.
    init(_ past: PastRun, _ corpus: Corpus?) {
        for (number, finding) in past.findings {
            var finding = finding
            finding.path = finding.entry.flatMap { corpus?.path(of: $0) }
            finding.ownsFile = finding.entry.map { past.files.contains(Corpus.name(of: $0)) } ?? false
            finding.occurrences = past.sightings[number].map(Finding.Occurrences.init) ?? .init()
            findings[number] = finding
        }
        (nextNumber, joined, spent, proofs) = (past.nextNumber, past.joined, past.spent, past.explanations)
    }

    /// In the order of the cases that showed them.
    var all: [Finding] { lock.withLock { findings.values.sorted { $0.index < $1.index } } }

    /// Counts a failure of which it is known from what happened and where that it is a finding's.
    /// - Returns: the number of that.
    func countSame(as signature: Signature) -> UInt64? {
        lock.withLock {
            guard let number = findings.first(where: { $0.value.isSame(as: signature) })?.key else { return nil }
            findings[number]?.occurrences.add(signature)
            return number
        }
    }

    /// Whether it is known from what happened and where that a failure is a finding's.
    func has(_ signature: Signature) -> Bool {
        lock.withLock { findings.contains { $0.value.isSame(as: signature) } }
    }

    func count(_ signature: Signature, for number: UInt64) {
        lock.withLock {
            var number = number
            while let other = joined[number] { number = other }
            findings[number]?.occurrences.add(signature)
        }
    }

    /// What a run's log has of a finding as it is now; nil: there is none of this number.
    func state(of number: UInt64) -> FindingState? {
        lock.withLock { findings[number].map { FindingState(number: number, $0, spent: spent) } }
    }

    subscript(number: UInt64) -> Finding? { lock.withLock { findings[number] } }

    /// A failure that is none of the findings'.
    /// - Parameter note: told of it before any other thread knows of it.
    func add(_ finding: Finding, note: (FindingState) -> Void) -> UInt64 {
        lock.withLock {
            defer { nextNumber += 1 }
            note(FindingState(number: nextNumber, finding, spent: spent))
            findings[nextNumber] = finding
            return nextNumber
        }
    }

    // MARK: Explaining

    /// The finding whose needs explain a failure: it has them, and without the one that says most it passes.
    /// - Parameters:
    ///   - index: of the case.
    ///   - own: the finding that the failure is now, if it is one.
    func explaining(
        _ failure: Failure, of subject: Case, index: UInt64, except own: UInt64? = nil, _ judge: Judge
    ) -> UInt64? {
        let signature = failure.signature
        let candidates = lock.withLock {
            findings.filter { number, finding in
                number != own && !finding.causes.isEmpty && finding.failure.signature.backend == signature.backend
                    && finding.happensLike(signature)
            }
        }.sorted { $0.value.index < $1.value.index }
        guard !candidates.isEmpty else { return nil }
        let traits = Set(subject.traits)
        for (number, finding) in candidates {
            let proof = Proof(finding: number, architecture: subject.architecture)
            let causes = finding.causes.filter { Set($0.needs).isSubset(of: traits) }
            for cause in causes.prefix(Self.mostCauses) {
                if lock.withLock({ proofs[proof] ?? 0 }) >= Self.enoughProofs, index % Self.proofEvery != 0 {
                    return number
                }
                let tokens = finding.entry?.case.tokens ?? 0
                let isWidespread = finding.isWidespread
                let explains = cause.needs.isEmpty
                    ? simplestShows(cause, isWidespread, proof, subject, failure, tokens, judge)
                    : fails(subject, onlyWith: cause, judge)
                        && isPlaced(subject, failure, like: cause, isWidespread, proof, judge)
                guard explains else { continue }
                lock.withLock { proofs[proof, default: 0] += 1 }
                return number
            }
        }
        return nil
    }

    /// Whether a case passes without what of its cause says most.
    private func fails(_ subject: Case, onlyWith cause: Cause, _ judge: Judge) -> Bool {
        let needed = subject.peculiarities.sorted { $0.rank < $1.rank }.filter { peculiarity in
            subject.trait(of: peculiarity).map(cause.needs.contains) ?? false
        }
        for peculiarity in needed.prefix(3) {
            switch judge.judge(subject.removing(peculiarity)).first?.outcome {
            case .passed: return true
            case .failed(let failure) where Happening(kind: failure.signature.kind) != .message: return false
            // There is no such case.
            case .failed, .known, .discarded, nil: continue
            }
        }
        return false
    }

    /// Whether a failure is in the same part of the model, as far as that has not been seen of the architecture.
    private func isPlaced(
        _ subject: Case, _ failure: Failure, like cause: Cause, _ isWidespread: Bool, _ proof: Proof, _ judge: Judge
    ) -> Bool {
        if cause.namesType || Happening(kind: failure.signature.kind) != .numbers { return true }
        if lock.withLock({ proofs[proof] ?? 0 }) > 0 { return true }
        var evaluations = 0
        let tensors = CauseSearch(judge: judge).tensors(of: subject, &evaluations)
        return cause.meets(
            Cause(needs: cause.needs, tensors: tensors, ops: subject.ops(between: tensors)), isWidespread: isWidespread)
    }

    /// Whether the simplest case of the architecture fails by the same part of the model: then all of its cases do.
    private func simplestShows(
        _ cause: Cause, _ isWidespread: Bool, _ proof: Proof, _ subject: Case, _ failure: Failure, _ tokens: Int,
        _ judge: Judge
    ) -> Bool {
        if let known = lock.withLock({ simplest[proof] }), known.shows || known.isWidespread == isWidespread {
            return known.shows
        }
        let candidate = subject.simplestOfArchitecture(tokens: tokens)
        var result = false
        if case .failed(let other)? = judge.judge(candidate).first?.outcome,
            Happening(kind: other.signature.kind) == Happening(kind: failure.signature.kind)
        {
            var evaluations = 0
            let isOfNumbers = Happening(kind: other.signature.kind) == .numbers
            let tensors = isOfNumbers ? CauseSearch(judge: judge).tensors(of: candidate, &evaluations) : []
            result = cause.meets(
                Cause(needs: [], tensors: tensors, ops: candidate.ops(between: tensors)), isWidespread: isWidespread)
        }
        lock.withLock { simplest[proof] = (result, isWidespread) }
        return result
    }

    // MARK: Cutting down

    /// Whether there is time to cut a case down while others wait: at most one run for each two cases that were judged,
    /// beyond a few to begin with, so that a run in which much fails goes on.
    func mayShrink(after cases: UInt64) -> Bool { lock.withLock { spent < 200 + Int(clamping: cases) / 2 } }

    func spend(_ evaluations: Int) { lock.withLock { spent += evaluations } }

    /// A finding that can be cut down further, the first first, and each once; nil: there is none that no other thread
    /// is at work on.
    func takeUnfinished() -> (number: UInt64, finding: Finding)? {
        lock.withLock {
            let open = findings.filter {
                $0.value.isUnfinished && $0.value.stage != .ended && !taken.contains($0.key)
            }
            guard let next = open.min(by: { $0.value.index < $1.value.index }) else { return nil }
            taken.insert(next.key)
            return (next.key, next.value)
        }
    }

    /// Whether a finding is this thread's to work on: no other is at work on it, and it is still there.
    func take(_ number: UInt64) -> Bool {
        lock.withLock { findings[number] != nil && taken.insert(number).inserted }
    }

    /// There is no time to cut it down now.
    func settle(_ number: UInt64) { lock.withLock { findings[number]?.stage = .settled } }

    /// What becomes of findings when one was cut down.
    struct Replacement {
        /// The number of the finding that it is part of now.
        var number: UInt64
        var kept: Finding
        /// Those that are no more.
        var dropped: [(number: UInt64, finding: Finding)] = []
    }

    /// What cutting a finding down came to: it is joined with those of the same cause.
    func replace(_ number: UInt64, by finding: Finding) -> Replacement {
        lock.withLock {
            var finding = finding
            // What it was seen with may have gone to another one meanwhile.
            finding.occurrences = findings[number]?.occurrences ?? .init()
            findings[number] = finding
            joined[number] = nil
            taken.remove(number)
            let others = findings.filter { $0.key != number }.sorted { $0.value.index < $1.value.index }
            if let (other, found) = others.first(where: { $0.value.includes(finding) }) {
                return Replacement(
                    number: other, kept: join(other, found, with: number, finding), dropped: [(number, finding)])
            }
            var replacement = Replacement(number: number, kept: finding)
            for (other, found) in others where !found.causes.isEmpty && replacement.kept.includes(found) {
                replacement.kept = join(number, replacement.kept, with: other, found)
                replacement.dropped.append((other, found))
            }
            return replacement
        }
    }

    /// Joins findings that were cut down before another was widespread, of whose cause they are.
    /// - Returns: for each that others became part of, what became of them.
    func joinWidespread() -> [Replacement] {
        lock.withLock {
            let ordered = findings.keys.sorted { (findings[$0]?.index ?? 0, $0) < (findings[$1]?.index ?? 0, $1) }
            return ordered.compactMap { number in
                guard let finding = findings[number], finding.isWidespread else { return nil }
                var replacement = Replacement(number: number, kept: finding)
                for other in ordered where other != number {
                    guard let found = findings[other], !found.causes.isEmpty, replacement.kept.includes(found) else {
                        continue
                    }
                    replacement.kept = join(number, replacement.kept, with: other, found)
                    replacement.dropped.append((other, found))
                }
                return replacement.dropped.isEmpty ? nil : replacement
            }
        }
    }

    /// Makes a finding part of another, which explains it.
    func join(_ number: UInt64, with kept: UInt64) -> Finding? {
        lock.withLock {
            taken.remove(number)
            guard let dropped = findings[number], var finding = findings[kept] else { return nil }
            finding.occurrences.add(dropped.occurrences)
            findings[kept] = finding
            findings[number] = nil
            joined[number] = kept
            return dropped
        }
    }

    private func join(_ kept: UInt64, _ finding: Finding, with other: UInt64, _ dropped: Finding) -> Finding {
        var finding = finding
        finding.absorb(dropped)
        findings[kept] = finding
        findings[other] = nil
        joined[other] = kept
        for (proof, count) in proofs where proof.finding == other {
            proofs[Proof(finding: kept, architecture: proof.architecture), default: 0] += count
        }
        return finding
    }
}
