import Engines

/// Findings that are waited for: failures of an engine that its own makers will mend, each a corpus file that says what
/// else it explains.
public struct KnownFindings: Sendable {
    /// What of a run a known finding explains: every property that is given must fit.
    public struct Scope: Hashable, Sendable, Codable {
        /// Architectures, or `all`; absent: that of the file's own signature.
        public var architectures: [String]?
        /// Checks, or `all`; absent: that of the signature.
        public var checks: [String]?
        /// Devices, or `all`; absent: that of the signature.
        public var devices: [String]?
        /// Regular expressions of kinds of failures; absent: the signature's own kind and stage.
        public var kinds: [String]?
        /// Regular expressions, one of which a function of the stack fits; absent: any stack does.
        public var frames: [String]?
        /// What a case has that it explains: regular expressions, each of which one of the case's `traits` fits as a
        /// whole.
        public var when: [String]?
        /// What a case has that it does not explain: regular expressions, none of which any of the case's `traits`
        /// fits.
        public var unless: [String]?
        /// Cases in its scope are not run: it damages the worker's memory, and cases after it.
        public var avoids: Bool?

        public init(
            architectures: [String]? = nil, checks: [String]? = nil, devices: [String]? = nil,
            kinds: [String]? = nil, frames: [String]? = nil, when: [String]? = nil, unless: [String]? = nil,
            avoids: Bool? = nil
        ) {
            self.architectures = architectures
            self.checks = checks
            self.devices = devices
            self.kinds = kinds
            self.frames = frames
            self.when = when
            self.unless = unless
            self.avoids = avoids
        }
    }

    /// A file, and its patterns compiled.
    public struct Finding: Sendable {
        public let path: String
        public let entry: CorpusEntry
        fileprivate let scope: Scope
        fileprivate let kinds: [Pattern]?
        fileprivate let frames: [Pattern]?
        fileprivate let conditions: [Pattern]
        fileprivate let exceptions: [Pattern]

        /// As reports name it: the file's name.
        public var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    }

    public private(set) var findings: [Finding] = []

    public init() {}

    /// - Parameter paths: corpus files, and folders of them; each has a `known`, or the cause that a run has found.
    /// - Throws: `CorpusError`.
    public init(_ paths: [String]) throws {
        findings = try Corpus.files(paths).map { path in
            let entry = try CorpusEntry(path: path)
            guard let scope = entry.known
                ?? Scope(causeOf: entry) else { throw CorpusError(path: path, reason: "known: is missing") }
            func patterns(_ texts: [String], _ key: String) throws -> [Pattern] {
                try texts.map { text in
                    do {
                        return try Pattern(text)
                    } catch {
                        throw CorpusError(path: path, reason: "known.\(key): \(text) is no regular expression")
                    }
                }
            }
            return Finding(
                path: path, entry: entry, scope: scope, kinds: try scope.kinds.map { try patterns($0, "kinds") },
                frames: try scope.frames.map { try patterns($0, "frames") },
                conditions: try patterns(scope.when ?? [], "when"),
                exceptions: try patterns(scope.unless ?? [], "unless"))
        }
    }

    /// The finding because of which a case is not run on a device.
    func avoiding(_ subject: Case, on device: String) -> Finding? {
        let candidates = findings.filter { $0.scope.avoids ?? false && $0.isAbout(device) }
        guard !candidates.isEmpty else { return nil }
        let traits = subject.traits
        return candidates.first { $0.covers(subject, traits) }
    }

    /// The findings that may be about an architecture, on any of the devices.
    func about(_ architecture: String, on devices: [String]) -> [Finding] {
        findings.filter { finding in
            finding.isAbout(architecture: architecture) && devices.contains { finding.isAbout($0) }
        }
    }

    /// Of some findings those that cover more than a fifth of some cases: if all of these failed, hardly anything else
    /// of them would be tested.
    static func common(_ candidates: [Finding], among cases: [Case]) -> [Finding] {
        let seen = cases.map { ($0, $0.traits) }
        return candidates.filter { finding in 5 * seen.count { finding.covers($0.0, $0.1) } > seen.count }
    }

    /// The finding that explains a failure.
    func explaining(_ failure: Failure, of subject: Case) -> Finding? {
        guard !findings.isEmpty else { return nil }
        let traits = subject.traits
        return findings.first { $0.covers(subject, traits) && $0.isLike(failure) }
    }

    /// A regular expression, for a whole text.
    fileprivate struct Pattern: Sendable {
        // A regular expression is never changed after it was made.
        nonisolated(unsafe) let regex: Regex<AnyRegexOutput>
        init(_ text: String) throws { regex = try Regex(text) }
        func matches(_ text: String) -> Bool { (try? regex.wholeMatch(in: text)) != nil }
    }
}

extension KnownFindings.Scope {
    /// What a finding of a run explains; nil where its cause is not known.
    init?(causeOf entry: CorpusEntry) {
        guard let cause = entry.cause else { return nil }
        let signature = entry.signature
        func literal(_ text: String) -> String {
            text.replacing(/[\\.()\[\]{}*+?^$|]/) { "\\\($0.output)" }
        }
        let hasMessage = Happening(kind: signature.kind) == .message
        self.init(
            architectures: entry.occurrences.map { $0.architectures.sorted() }, checks: ["all"],
            devices: entry.occurrences.map { $0.devices.sorted() },
            kinds: hasMessage
                ? [literal(signature.kind)] : ["mismatch", "not finite", "other bits", "SIG[A-Z]+(: .*)?"],
            frames: signature.place.map { [literal($0)] },
            when: cause.needs.filter { !$0.hasPrefix("check ") }.map(literal))
    }
}

extension KnownFindings.Finding {
    /// Whether a failure is of the kinds that it explains.
    func isLike(_ failure: Failure) -> Bool {
        let own = entry.signature, signature = failure.signature
        guard isAbout(signature.device) else { return false }
        if let frames {
            let isThere = signature.frames.contains { frame in frames.contains { $0.matches(frame) } }
            guard isThere else { return false }
        }
        guard let kinds else { return own.kind == signature.kind && own.stage == signature.stage }
        return kinds.contains { $0.matches(signature.kind) }
    }

    fileprivate func isAbout(_ device: String) -> Bool { fits(scope.devices, device, entry.signature.device) }

    private func fits(_ names: [String]?, _ name: String, _ own: String) -> Bool {
        names.map { $0.contains("all") || $0.contains(name) } ?? (name == own)
    }

    fileprivate func isAbout(architecture: String) -> Bool {
        fits(scope.architectures, architecture, entry.signature.architecture)
    }

    func covers(_ subject: Case, _ traits: [String]) -> Bool {
        isAbout(architecture: subject.architecture)
            && fits(scope.checks, subject.check.rawValue, entry.signature.check.rawValue)
            && conditions.allSatisfy { condition in traits.contains { condition.matches($0) } }
            && !exceptions.contains { exception in traits.contains { exception.matches($0) } }
    }
}

extension Case {
    /// What a known finding may name: the case's features, its metadata as `wkv.head_size 32`, and the key that is wrong.
    public var traits: [String] {
        let prefix = architecture + "."
        let values = metadata.filter { $0.0.hasPrefix(prefix) }.map { key, value in
            "\(key.dropFirst(prefix.count)) \(value.summary)"
        }
        return features + values + (contradictionTrait.map { [$0] } ?? [])
    }

    /// `contradiction of attention.head_count`
    var contradictionTrait: String? {
        contradiction.map { contradiction in
            let prefix = architecture + ".", key = contradiction.key
            return "contradiction of \(key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key)"
        }
    }
}
