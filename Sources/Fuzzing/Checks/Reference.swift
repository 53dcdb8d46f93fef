import Devices
import Engines

/// The case on the reference device, run when it is first needed.
final class Reference {
    private let loaded: LoadedCase
    private let oracle: any Engine
    private var exact: Transcript?
    private var floors: [Precision: NoiseFloor] = [:]
    private var hasCheckedSlopes = false

    init(_ loaded: LoadedCase, _ oracle: any Engine) {
        self.loaded = loaded
        self.oracle = oracle
    }

    private var script: Script { loaded.subject.script.on(EngineSet.reference) }

    /// - Throws: `Wrong` where the reference itself fails: that is a defect of this program; `Discard` once engines are to
    ///   stop, which this one, run again and again for the noise floor of a long script, does between two runs.
    private func run(_ script: Script) throws -> Transcript {
        if EngineStop.isRequested { throw Discard(reason: Verdict.stopped) }
        do {
            let model = try loaded.model(of: oracle)
            let transcript = try loaded.subject.check == .gradients ? model.differentiate(script) : model.run(script)
            if let failure = transcript.failure {
                throw Wrong(stage: EngineSet.reference, kind: "error", seen: "the reference failed: \(failure.reason)")
            }
            return transcript
        } catch let wrong as Wrong {
            throw wrong
        } catch let unsupported as Unsupported {
            throw unsupported
        } catch {
            throw Wrong(stage: EngineSet.reference, kind: "error", seen: "the reference failed: \(error)")
        }
    }

    func transcript() throws -> Transcript {
        if let exact { return exact }
        let transcript = try run(script)
        exact = transcript
        return transcript
    }

    func floor(_ precision: Precision) throws -> NoiseFloor {
        if let known = floors[precision] { return known }
        let exact = try transcript()
        let floor = NoiseFloor(script, exact: exact, precision: precision)
        floors[precision] = floor
        return floor
    }

    func addSample(to floor: NoiseFloor) throws { try floor.addSample(reference: run) }

    /// - Throws: as `transcript`; `Wrong` where the gradient is not the slope, `Discard` where the loss has none.
    func checkSlopes() throws {
        if hasCheckedSlopes { return }
        try Slopes(loaded, script).check(try transcript())
        hasCheckedSlopes = true
    }

    /// Whether rows that differ from the exact ones are right for another way in which narrow decisions may go.
    func explain(_ rows: [Ways.Row], _ floor: NoiseFloor) throws -> Ways.Answer {
        try Ways(script, run: run).explain(rows, floor)
    }
}
