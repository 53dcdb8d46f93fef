import Engines

/// Runs cases on engines, and says whether their properties hold.
public final class Judge {
    private let engines: EngineSet
    private let known: KnownFindings

    /// - Parameter known: what failures are no news.
    public init(_ engines: EngineSet, known: KnownFindings = KnownFindings()) {
        self.engines = engines
        self.known = known
    }

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

    private func judge(_ loaded: LoadedCase) -> [Verdict] {
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
        var trial = Trial(loaded, device, reference)
        do {
            guard let engine = engines.engine(of: device) else {
                return Verdict(device: device, outcome: .discarded("there is no device \(device)"))
            }
            trial.precision = engine.devices.first { $0.name == device }?.precision ?? trial.precision
            trial.refusesOnlyInvalid = engine.refusesOnlyInvalid
            try trial.run(on: engine)
            return Verdict(device: device, outcome: .passed, worst: trial.worst, fallbacks: trial.fallbacks)
        } catch let discard as Discard {
            return Verdict(device: device, outcome: .discarded(discard.reason), fallbacks: trial.fallbacks)
        } catch let unsupported as Unsupported {
            return Verdict(device: device, outcome: .discarded("unsupported: \(unsupported.reason)"))
        } catch let wrong as Wrong {
            let signature = Signature(
                check: subject.check, device: device, architecture: subject.architecture, stage: wrong.stage,
                kind: wrong.kind)
            return Verdict(
                device: device, outcome: .failed(Failure(signature: signature, seen: wrong.seen)),
                worst: trial.worst, fallbacks: trial.fallbacks)
        } catch {
            let signature = Signature(
                check: subject.check, device: device, architecture: subject.architecture, stage: trial.stage,
                kind: "error")
            return Verdict(device: device, outcome: .failed(Failure(signature: signature, seen: "\(error)")))
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
}
