import Architectures
import Devices
import Engines
import Inference

/// The fuzz suite as part of a test: draws cases, checks them on an engine, shrinks what fails and throws it.
///
/// The engine may be anyone's that conforms to `Engine`; what it gives is compared with the float64 reference of the
/// builtin one.
///
/// ```swift
/// @Test func myEngineHoldsEveryProperty() throws {
///     try FuzzSuite(architectures: ["llama"], cases: 200, corpus: Corpus(folder: "Corpus")) { MyEngine() }.verify()
/// }
/// ```
///
/// `Tests/LibraryExampleTests` has a whole engine and its test. All runs in the process of the caller; an engine that
/// may crash or hang is a `WorkerEngine`.
public struct FuzzSuite: Sendable {
    /// As `general.architecture` names them; they take turns.
    public var architectures: [String]
    public var checks: [Check]
    /// Names of the engine's devices; nil: all of them.
    public var devices: [String]?
    /// Of all architectures together.
    public var cases: UInt64
    /// Case `i` of a seed is the same on every machine.
    public var seed: UInt64
    /// Where failures are kept; nil: nowhere.
    public var corpus: Corpus?
    /// Cases that run side by side, each thread with an engine of its own.
    public var jobs = 1
    /// The most cases that shrinking one failure may judge. It may take as long as that takes: what a test finds must
    /// not depend on how fast the machine is.
    public var shrinkingBudget = 1000
    private let engine: @Sendable () throws -> any Engine

    /// - Parameters:
    ///   - architectures: by name.
    ///   - checks: the properties that must hold.
    ///   - devices: of the engine, by name; nil: all that it has.
    ///   - cases: of all architectures together.
    ///   - seed: of the cases.
    ///   - corpus: where failures are kept; nil: nowhere.
    ///   - engine: makes the engine under test.
    public init(
        architectures: [String] = ArchitectureCatalog.all.map { $0.name }, checks: [Check] = Check.usual,
        devices: [String]? = nil, cases: UInt64 = 100, seed: UInt64 = 1, corpus: Corpus? = nil,
        engine: @escaping @Sendable () throws -> any Engine
    ) {
        self.architectures = architectures
        self.checks = checks
        self.devices = devices
        self.cases = cases
        self.seed = seed
        self.corpus = corpus
        self.engine = engine
    }

    /// Runs the cases.
    /// - Returns: what was checked.
    /// - Throws: `PropertyFailure`, whose description is for a person: what failed, the smallest case, what was seen,
    ///   and how to see it again. `NothingChecked` where no case said anything. `MetadataError` for an architecture
    ///   that is not known, `UnknownDevice`, and what making the engine throws.
    @discardableResult
    public func verify() throws -> FuzzReport {
        let set = try engineSet()
        let tested = try devices(of: set)
        let plan = FuzzPlan(
            seed: seed, architectures: try architectures.map(ArchitectureCatalog.named), checks: checks,
            devices: tested, placeable: set.placeable(with: tested), traits: set.traits)
        var run = FuzzRun(plan, .cases(cases), jobs: jobs, version: "library", engines: { try engineSet() })
        run.corpus = corpus
        (run.budget, run.patience) = (shrinkingBudget, nil)
        let report = try run.run()
        guard report.findings.isEmpty else {
            let replay = set.engines[0] is BuiltinEngine ? "gguf-fuzz replay" : "FuzzSuite.replay runs it again:"
            throw PropertyFailure(findings: report.findings, replay: replay)
        }
        guard report.verdicts > report.discarded else { throw NothingChecked(discards: report.discards) }
        return report
    }

    /// Runs a corpus file again, on every device of this suite whatever the file's own: what one device had wrong,
    /// another may.
    /// - Returns: a verdict for each device; those that say nothing are among them.
    /// - Throws: `CorpusError` for a file that is none or whose case breaks the rules, and as `verify`.
    @discardableResult
    public func replay(_ file: String) throws -> [Verdict] {
        let set = try engineSet()
        var entry = try CorpusEntry(path: file)
        if let flaw = entry.flaw() { throw CorpusError(path: file, reason: flaw) }
        entry.case.devices = try devices(of: set)
        let verdicts = Judge(set).judge(entry.case)
        let failures = verdicts.compactMap(\.failure)
        guard failures.isEmpty else { throw ReplayFailure(file: file, entry: entry, failures: failures) }
        return verdicts
    }

    private func engineSet() throws -> EngineSet {
        try EngineSet(oracle: BuiltinEngine(DeviceSet([ReferenceDevice()])), engines: [engine()])
    }

    private func devices(of set: EngineSet) throws -> [String] {
        let known = set.devices.map(\.name)
        guard let devices else { return known }
        if let unknown = devices.first(where: { !known.contains($0) }) {
            throw UnknownDevice(name: unknown, known: known)
        }
        return devices
    }
}

/// What a suite found.
public struct PropertyFailure: Error, Sendable, CustomStringConvertible {
    public var findings: [Finding]
    /// What runs a corpus file again.
    var replay: String

    public var description: String {
        let count = "\(findings.count) propert\(findings.count == 1 ? "y does" : "ies do") not hold"
        return ([count] + findings.map { finding in
            ([finding.title] + finding.lines(replay: replay).map { "  " + $0 }).joined(separator: "\n")
        }).joined(separator: "\n\n")
    }
}

/// A corpus file that fails.
public struct ReplayFailure: Error, Sendable, CustomStringConvertible {
    public var file: String
    public var entry: CorpusEntry
    public var failures: [Failure]

    public var description: String {
        let seen = failures.map { "\n  \($0.signature)\n    \($0.seen)" }.joined()
        return "\(file) fails\n  \(entry.case.summary)\(seen)"
    }
}

/// Every case of a suite was discarded: it would pass whatever the engine does.
public struct NothingChecked: Error, Hashable, Sendable, CustomStringConvertible {
    /// How often, by reason.
    public var discards: [String: Int]

    public var description: String {
        let reasons = discards.mostFirst.map { "\n  \($0.value): \($0.key)" }.joined()
        return "no case said anything of the engine" + (reasons.isEmpty ? "" : "; discarded were\(reasons)")
    }
}

/// A device that an engine does not have.
public struct UnknownDevice: Error, Hashable, Sendable, CustomStringConvertible {
    public var name: String
    public var known: [String]
    public var description: String { "there is no device \(name); there are \(known.joined(separator: ", "))" }
}
