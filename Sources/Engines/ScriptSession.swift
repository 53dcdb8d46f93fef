import Inference

/// A session that scripts can be played on: all that an engine written in Swift has to offer for `EngineModel.run`.
public protocol ScriptSession: AnyObject {
    func encode(_ batch: Batch) throws -> StepResult
    func process(_ batch: Batch) throws -> StepResult
    /// The same, in pieces, as `EngineModel.run(_:willBegin:didGive:)` hands them over.
    func process(_ batch: Batch, take: (StepResult) -> Void) throws
    /// Removes what a sequence, or with nil each one, remembers of these positions.
    /// - Returns: false, with nothing changed, where the model cannot: recurrent state has no past.
    func remove(_ sequence: Int?, _ positions: Range<Int>) throws -> Bool
    func keep(_ sequence: Int) throws
    /// Removes all of the destination first.
    /// - Returns: as `remove`.
    func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) throws -> Bool
    func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) throws
    func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) throws
    /// What the session, or one sequence, remembers.
    func save(_ sequence: Int?) throws -> [UInt8]
    func restore(_ state: [UInt8], _ sequence: Int?) throws
    func clear() throws
    /// Ops that ran elsewhere than they were placed, and why.
    var fallbacks: [String] { get }
    /// What each sequence holds now; nil where the session does not say.
    var extents: [StepResult.Extent]? { get }
}

extension ScriptSession {
    public var fallbacks: [String] { [] }
    public var extents: [StepResult.Extent]? { nil }
    public func process(_ batch: Batch, take: (StepResult) -> Void) throws { take(try process(batch)) }
}

extension Script {
    /// Plays the steps on a session that `open` makes. Whatever they throw, other than `Unsupported` and `EngineDeath`,
    /// becomes the transcript's failure.
    public func play(
        willBegin: (Int) -> Void = { _ in }, on open: () throws -> any ScriptSession
    ) throws -> Transcript {
        var results: [StepResult] = []
        var transcript = try play(willBegin, on: open) { session, _, step, saved in
            var result = try session.perform(step, &saved)
            result.extents = session.extents
            results.append(result)
        }
        transcript.results = results
        return transcript
    }

    /// The same, for `EngineModel.run(_:willBegin:didGive:)`.
    func play(
        willBegin: (Int) -> Void, didGive: (Int, StepResult) -> Void, on open: () throws -> any ScriptSession
    ) throws -> Transcript {
        try play(willBegin, on: open) { session, index, step, saved in
            if case .process(let batch) = step { return try session.process(batch) { didGive(index, $0) } }
            didGive(index, try session.perform(step, &saved))
        }
    }

    private func play(
        _ willBegin: (Int) -> Void, on open: () throws -> any ScriptSession,
        perform: (any ScriptSession, Int, Step, inout [UInt8]) throws -> Void
    ) throws -> Transcript {
        var transcript = Transcript()
        var current: Int?
        do {
            let session = try open()
            var saved: [UInt8] = []
            for (index, step) in steps.enumerated() {
                current = index
                willBegin(index)
                try perform(session, index, step, &saved)
            }
            transcript.fallbacks = session.fallbacks
        } catch let error as Unsupported {
            throw error
        } catch let error as EngineDeath {
            throw error
        } catch {
            transcript.failure = .init(step: current, reason: "\(error)")
        }
        return transcript
    }
}

extension ScriptSession {
    fileprivate func perform(_ step: Step, _ saved: inout [UInt8]) throws -> StepResult {
        switch step {
        case .encode(let batch): return try encode(batch)
        case .process(let batch): return try process(batch)
        case .remove(let sequence, let from, let to):
            return StepResult(isDone: try remove(sequence, .positions(from, to)))
        case .keep(let sequence): try keep(sequence)
        case .copy(let source, let destination, let from, let to):
            return StepResult(isDone: try copy(source, to: destination, .positions(from, to)))
        case .shift(let sequence, let from, let to, let delta): try shift(sequence, .positions(from, to), by: delta)
        case .divide(let sequence, let from, let to, let divisor):
            try divide(sequence, .positions(from, to), by: divisor)
        case .save(let sequence): saved = try save(sequence)
        case .restore(let sequence): try restore(saved, sequence)
        case .clear: try clear()
        }
        return StepResult()
    }
}
