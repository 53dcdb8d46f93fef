import Engines

/// Runs cases on engines, and says whether their properties hold.
public final class Judge {
    private let engines: EngineSet
    private let known: KnownFindings
    private let provesFailures: Bool

    /// - Parameters:
    ///   - engines: those under test, and the one that is believed.
    ///   - known: what failures are no news.
    ///   - provesFailures: whether a device whose error is new is sampled for until chance is ruled out: what only
    ///     measures time accuses nobody.
    public init(_ engines: EngineSet, known: KnownFindings = KnownFindings(), provesFailures: Bool = true) {
        self.engines = engines
        self.known = known
        self.provesFailures = provesFailures
    }

    /// The same, but that it accuses without proof: for cases like one that has been proved to fail.
    var withoutProof: Judge { Judge(engines, known: known, provesFailures: false) }

    /// The version of the engine that a device belongs to.
    func engineVersion(of device: String) -> String? { engines.engine(of: device)?.version }

    /// A verdict for each device of the case, in its order.
    public func judge(_ subject: Case) -> [Verdict] { judge(LoadedCase(subject)) }

    /// The verdicts of several checks of one model and script: what these share is done once.
    public func judge(_ subject: Case, _ checks: [Check]) -> [Verdict] {
        var loaded: LoadedCase?
        return checks.flatMap { check in
            var subject = subject
            subject.check = check
            let next = LoadedCase(subject, sharing: loaded)
            loaded = next
            return judge(next)
        }
    }

    func judge(_ loaded: LoadedCase) -> [Verdict] {
        let subject = loaded.subject
        let reference = Reference(loaded, engines.oracle)
        return subject.devices.map { device in
            if let finding = known.avoiding(subject, on: device) {
                return Verdict(device: device, outcome: .known(finding.name))
            }
            let verdict = judge(subject, loaded, reference, on: device)
            guard let failure = verdict.failure, let finding = known.explaining(failure, of: subject) else {
                return verdict
            }
            return Verdict(device: device, outcome: .known(finding.name), fallbacks: verdict.fallbacks)
        }
    }

    private func judge(_ subject: Case, _ loaded: LoadedCase, _ reference: Reference, on device: String) -> Verdict {
        var trial = Trial(loaded, device, reference, engines)
        func failure(_ wrong: Wrong) -> Failure {
            let signature = Signature(
                check: subject.check, device: device, architecture: subject.architecture, stage: wrong.stage,
                kind: wrong.kind, frames: wrong.frames)
            return Failure(signature: signature, seen: wrong.seen)
        }
        do {
            guard let engine = engines.engine(of: device) else {
                return Verdict(device: device, outcome: .discarded("there is no device \(device)"))
            }
            trial.precision = engines.precision(of: device) ?? trial.precision
            trial.refusesOnlyInvalid = engine.refusesOnlyInvalid
            trial.needsProof = { [known, provesFailures] wrong in
                provesFailures && known.explaining(failure(wrong), of: subject) == nil
            }
            try trial.run(on: engine)
            return Verdict(device: device, outcome: .passed, worst: trial.worst, fallbacks: trial.fallbacks)
        } catch let discard as Discard {
            return Verdict(device: device, outcome: .discarded(discard.reason), fallbacks: trial.fallbacks)
        } catch let unsupported as Unsupported {
            return Verdict(device: device, outcome: .discarded("unsupported: \(unsupported.reason)"))
        } catch let wrong as Wrong {
            return Verdict(
                device: device, outcome: .failed(failure(wrong)), worst: trial.worst, fallbacks: trial.fallbacks)
        } catch {
            let wrong = Wrong(stage: trial.stage, kind: "error: \("\(error)".withoutNumbers)", seen: "\(error)")
            return Verdict(device: device, outcome: .failed(failure(wrong)))
        }
    }
}

/// The case says nothing, and why.
struct Discard: Error {
    var reason: String
}

/// What does not hold.
struct Wrong: Error {
    var stage: String
    var kind: String
    var seen: String
    /// Of a death: the functions of its stack, innermost first.
    var frames: [String] = []
}
