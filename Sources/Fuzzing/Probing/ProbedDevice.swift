import Engines
import Foundation
import Inference

/// A device that is asked questions.
final class ProbedDevice: @unchecked Sendable {
    // The engines are used by one thread at a time: while `answers` is at work, by that which it starts.
    private let engine: any Engine
    private let oracle: any Engine
    private let name: String

    init(_ engine: any Engine, _ name: String, oracle: any Engine) {
        self.engine = engine
        self.oracle = oracle
        self.name = name
    }

    var traits: EngineTraits { engine.traits }

    enum Answer {
        case rows(ProbeMeasurement)
        /// Why there are none.
        case notAsked(String)
    }

    /// - Throws: what makes no model, and what the reference throws: that is a defect of this program.
    func answer(to question: ProbeQuestion) throws -> Answer { try ask(question).answer }

    /// Asks questions one after the other on a thread of its own, until there is no answer in time: there would be none
    /// to the next one either.
    /// - Parameter take: is given the answers in their order, while the device goes on.
    /// - Throws: what `take` throws, and as `answer`.
    func answers(to questions: [ProbeQuestion], take: (_ number: Int, Answer) throws -> Void) throws {
        let mailbox = Mailbox(questions)
        let thread = Thread { [self] in
            for question in mailbox.questions {
                let asked = Result { try ask(question) }
                guard mailbox.put(asked), case .success((_, isHang: false)) = asked else { break }
            }
            mailbox.end()
        }
        thread.stackSize = Parallel.stackSize
        thread.start()
        // Nobody else may use the engine before.
        defer { mailbox.waitForEnd() }
        var number = 0
        while let asked = mailbox.take() {
            try take(number, asked.get().answer)
            number += 1
        }
    }

    private func ask(_ question: ProbeQuestion) throws -> (answer: Answer, isHang: Bool) {
        let sources = try question.models.map { try $0() }
        let script = question.script.on(name)
        do {
            var transcripts: [Transcript] = []
            for source in sources {
                let transcript = try engine.load(source).run(script)
                if let failure = transcript.failure { return (.notAsked(failure.reason), false) }
                transcripts.append(transcript)
            }
            return (.rows(try ProbeMeasurement(question, sources, transcripts, oracle)), false)
        } catch let refusal as Refusal {
            return (.notAsked(refusal.reason), false)
        } catch let unsupported as Unsupported {
            return (.notAsked(unsupported.reason), false)
        } catch let death as EngineDeath {
            guard case .hang = death.cause else { return (.notAsked("\(death)"), false) }
            return (.notAsked("\(death)"), true)
        }
    }

    /// Answers on their way from one thread to another.
    private final class Mailbox: @unchecked Sendable {
        typealias Asked = Result<(answer: Answer, isHang: Bool), any Error>
        let questions: [ProbeQuestion]
        private let condition = NSCondition()
        private var waiting: [Asked] = []
        private var isWanted = true
        private var hasEnded = false

        init(_ questions: [ProbeQuestion]) { self.questions = questions }

        /// - Returns: whether more is wanted.
        func put(_ asked: Asked) -> Bool {
            condition.withLock {
                waiting.append(asked)
                condition.signal()
                return isWanted
            }
        }

        func end() {
            condition.withLock {
                hasEnded = true
                condition.signal()
            }
        }

        /// The next one; nil: there are no more.
        func take() -> Asked? {
            condition.withLock {
                while waiting.isEmpty && !hasEnded { condition.wait() }
                return waiting.isEmpty ? nil : waiting.removeFirst()
            }
        }

        func waitForEnd() {
            condition.withLock {
                isWanted = false
                while !hasEnded { condition.wait() }
            }
        }
    }
}
