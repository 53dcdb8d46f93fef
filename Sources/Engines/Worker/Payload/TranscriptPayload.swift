import Devices

extension Transcript {
    /// - Parameters:
    ///   - payload: the answer to a script.
    ///   - steps: of the script.
    ///   - isOfSteps: whether there is one result for each that was done.
    /// - Throws: `ProtocolError` where it is no transcript of such a script.
    init(reading payload: inout PayloadReader, steps: Int, isOfSteps: Bool = true) throws {
        self.init(failure: try payload.read())
        if let step = failure?.step, !(0..<steps).contains(step) {
            throw payload.error("a failure in step \(step) of \(steps)")
        }
        let done = failure.map { $0.step ?? 0 } ?? steps
        let count = try isOfSteps ? payload.integer() : payload.count()
        guard count == done || !isOfSteps else {
            throw payload.error("\(count) results, where \(done) steps were done")
        }
        results = try payload.list(count, StepResult.init(reading:))
        fallbacks = try payload.read()
        decisions = try payload.read()
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(failure, results, fallbacks, decisions)
    }
}

extension Transcript.Failure: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(step: try payload.read(), reason: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(step, reason) }
}

extension StepResult: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(isDone: try payload.read(), logits: try payload.read(), embeddings: try payload.read())
        extents = try payload.read()
    }

    func write(to payload: inout PayloadWriter) { payload.write(isDone, logits, embeddings, extents) }
}

extension StepResult.Extent: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(least: try payload.read(), greatest: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(least, greatest) }
}

extension Rows: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        let keys: [Int] = try payload.read()
        let width = try payload.integer(in: 1...)
        let (count, overflow) = keys.count.multipliedReportingOverflow(by: width)
        self.init(keys: keys, width: width, elements: try payload.numbers(overflow ? .max : count))
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(keys, width)
        payload.append(numbers: elements)
    }
}

extension Decision: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(taken: try payload.read(), least: try payload.read(), greatest: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(taken, least, greatest) }
}

extension Decision.Candidate: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(index: try payload.read(), score: try payload.numbers(1)[0])
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(index)
        payload.append(numbers: [score])
    }
}
