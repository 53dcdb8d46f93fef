import Devices
import GGUF
import Inference
import PropertyTesting
import Testing

@testable import Engines

@Suite("Payloads")
struct PayloadTests {
    /// What is read of a transcript's payload, all of it.
    private func transcript(_ payload: [UInt8], steps: Int) throws -> Transcript {
        try Frame(.answer, payload: payload).read { try Transcript(reading: &$0, steps: steps) }
    }

    private func script(_ payload: [UInt8]) throws -> Script { try Frame(.run, payload: payload).read() }

    private func payload(_ transcript: Transcript) -> [UInt8] { Frame(.answer, writing: transcript.write).payload }
    private func payload(_ script: Script) -> [UInt8] { Frame(.run, script).payload }

    // MARK: What was written

    @Test("hold any script", arguments: UInt64(0)..<100)
    func scripts(seed: UInt64) throws {
        var random = Random(seed)
        let script = random.script()
        #expect(try self.script(payload(script)) == script)
    }

    @Test("hold texts, whatever their bytes are, and the tokens of each, where it has any")
    func tokens() throws {
        let inputs = [
            TokenizerInput([]), TokenizerInput([0xFF, 0, 0x61], addSpecial: true),
            TokenizerInput([10], parseSpecial: true),
        ]
        #expect(try Frame(.tokenize, inputs).read([TokenizerInput].self) == inputs)
        #expect(Frame(.tokenize, inputs[1]).payload == [3, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0, 0x61, 1, 0])
        let ids: [[Int]?] = [[], nil, [1, -1, .max]]
        #expect(try Frame(.answer, ids).read([[Int]?].self) == ids)
    }

    @Test("hold any transcript, bit by bit", arguments: UInt64(0)..<100)
    func transcripts(seed: UInt64) throws {
        var random = Random(seed)
        let (transcript, steps) = random.transcript()
        let found = try self.transcript(payload(transcript), steps: steps)
        #expect(payload(found) == payload(transcript))
        #expect(found.failure == transcript.failure && found.fallbacks == transcript.fallbacks)
        #expect(found.decisions.map(\.taken) == transcript.decisions.map(\.taken))
        #expect(found.decisions.flatMap { $0.least + $0.greatest }.map(\.score)
            .isIdentical(to: transcript.decisions.flatMap { $0.least + $0.greatest }.map(\.score)))
        #expect(found.results.map(\.isDone) == transcript.results.map(\.isDone))
        for (a, b) in zip(found.results, transcript.results) {
            for part in [\StepResult.logits, \.embeddings] {
                #expect((a[keyPath: part] == nil) == (b[keyPath: part] == nil))
                guard let a = a[keyPath: part], let b = b[keyPath: part] else { continue }
                #expect(a.keys == b.keys && a.width == b.width)
                #expect(a.elements.map(\.bitPattern) == b.elements.map(\.bitPattern))
            }
        }
    }

    @Test("hold adapters, of blocks that are in order")
    func adapters() throws {
        let files = [
            AdapterFile(path: "/x.gguf", scale: -0.5), AdapterFile(path: "", scale: .infinity, layers: 1...1),
            AdapterFile(path: "y", layers: 2...5),
        ]
        #expect(try Frame(.adapt, files).read([AdapterFile].self) == files)
        var payload = Frame(.adapt, [AdapterFile(path: "", layers: 2...5)]).payload
        payload[payload.count - 8] = 1
        #expect(throws: ProtocolError.self) { try Frame(.adapt, payload: payload).read([AdapterFile].self) }
    }

    @Test("have the layout that is documented")
    func layout() {
        func int(_ number: UInt8) -> [UInt8] { [number, 0, 0, 0, 0, 0, 0, 0] }
        func text(_ text: String) -> [UInt8] { int(UInt8(text.utf8.count)) + Array(text.utf8) }
        var script = Script(
            placement: Placement("x", layers: [.init(first: 1, last: nil, device: "y")], split: .rows),
            options: .init(context: 64, sequences: 2, microBatch: 8, cacheType: .half),
            steps: [
                .process(Batch([.init(id: 7, position: 3, sequences: [0, 2], wantsOutput: false, order: .option)])),
                .remove(sequence: 1, from: 2, to: 5), .clear,
            ])
        script.options.settings[.threads] = .number(4)
        script.options.settings[.outputAccess] = .name("array")
        let placement = text("x") + int(1) + int(1) + [0] + text("y") + int(0) + [1] + text("rows")
        let options = int(64) + int(2) + int(8) + text("f16") + int(2) + text("threads") + text("4")
            + text("outputAccess") + text("array") + [0] + [0]
        let process = text("process") + int(1) + int(7) + int(3) + int(5) + [0] + int(4)
        let remove = text("remove") + [1] + int(1) + int(2) + [1] + int(5)
        #expect(payload(script) == placement + options + int(3) + process + remove + text("clear"))

        let transcript = Transcript(
            results: [StepResult(logits: Rows(keys: [6], width: 2, elements: [0, 1])), StepResult(isDone: false)],
            failure: .init(step: 2, reason: "no"), fallbacks: ["f"],
            decisions: [Decision(taken: [3], least: [.init(index: 3, score: -2)], greatest: [])])
        let failure = [1] + [1] + int(2) + text("no")
        let rows = int(1) + int(6) + int(2) + int(0) + [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]
        let results = int(2) + [1] + [1] + rows + [0, 0] + [0, 0, 0, 0]
        let decisions = int(1) + int(1) + int(3) + int(1) + int(3) + [0, 0, 0, 0, 0, 0, 0, 0xC0] + int(0)
        #expect(payload(transcript) == failure + results + int(1) + text("f") + decisions)
    }

    // MARK: Lies

    @Test("cut short anywhere, or longer than they should be, are an error", arguments: UInt64(0)..<10)
    func lengths(seed: UInt64) throws {
        var random = Random(seed)
        let script = payload(random.script())
        for count in 0..<script.count {
            #expect(throws: ProtocolError.self, "\(count)") { try self.script(Array(script.prefix(count))) }
        }
        #expect(throws: ProtocolError.self) { try self.script(script + [0]) }
        let (transcript, steps) = random.transcript()
        let answer = payload(transcript)
        for count in 0..<answer.count {
            #expect(throws: ProtocolError.self, "\(count)") {
                try self.transcript(Array(answer.prefix(count)), steps: steps)
            }
        }
        #expect(throws: ProtocolError.self) { try self.transcript(answer + [0], steps: steps) }
    }

    @Test("in which any number is a lie are read or are an error of one line", arguments: UInt64(0)..<10)
    func numbers(seed: UInt64) {
        var random = Random(seed)
        let script = payload(random.script())
        let (transcript, steps) = random.transcript()
        let answer = payload(transcript)
        func expectSense(_ body: () throws -> Void) {
            do { try body() } catch {
                let line = (error as? ProtocolError)?.description
                #expect(line.map { !$0.contains("\n") && $0.utf8.count < 1000 } ?? false, "\(error)")
            }
        }
        for lie in [-1, .min, .max, .max / 8 + 1, 1 << 32, 1 << 61, random.int()] {
            let bytes = withUnsafeBytes(of: lie.littleEndian) { Array($0) }
            for offset in 0 ... script.count - 8 {
                var lying = script
                lying.replaceSubrange(offset ..< offset + 8, with: bytes)
                expectSense { _ = try self.script(lying) }
            }
            for offset in 0 ... answer.count - 8 {
                var lying = answer
                lying.replaceSubrange(offset ..< offset + 8, with: bytes)
                expectSense { _ = try self.transcript(lying, steps: steps) }
            }
        }
    }

    /// Payloads that begin well: each is read as `Value`, and is none.
    private func expectError<Value: PayloadValue>(_: Value.Type, _ write: (inout PayloadWriter) -> Void) {
        #expect(throws: ProtocolError.self) { try Frame(.run, writing: write).read(Value.self) }
    }

    @Test("of scripts that promise more than there is, or what there is not, are an error")
    func scriptLies() {
        for count in [-1, .min, .max, 1 << 40, 4] {
            expectError(String.self) {
                $0.write(count)
                for _ in 0..<3 { $0.append(byte: 0x78) }
            }
            expectError([Int].self) { $0.write(count, 1, 2, 3) }
            expectError(Batch.self) { $0.write(count, 7, 0, 1, true, 0) }
            expectError([Step].self) { $0.write(count, "clear") }
        }
        for bits in [-1, 1 << 32, .min] { expectError(Batch.Token.self) { $0.write(7, 0, bits, true, 0) } }
        for order in [-1, 5, .max] { expectError(Batch.Token.self) { $0.write(7, 0, 1, true, order) } }
        expectError(Bool.self) { $0.append(byte: 2) }
        expectError(Int?.self) {
            $0.append(byte: 0xFF)
            $0.write(1)
        }
        for name in ["", "jump", "Clear", "clear\n", String(repeating: "x", count: 10_000)] {
            expectError(Step.self) { $0.write(name) }
            expectError(StateType.self) { $0.write(name) }
            expectError(Placement.Split.self) { $0.write(name) }
            expectError(Precision.Format.self) { $0.write(name) }
        }
        for bytes: [UInt8] in [[0xFF], [0xC3], [0xF0, 0x9F, 0x98], [0xED, 0xA0, 0x80]] {
            expectError(String.self) {
                $0.write(bytes.count)
                for byte in bytes { $0.append(byte: byte) }
            }
        }
    }

    @Test("of transcripts that are not of the script, or whose rows are not what they say, are an error")
    func transcriptLies() throws {
        func transcript(_ steps: Int, _ write: (inout PayloadWriter) -> Void) throws -> Transcript {
            try self.transcript(Frame(.answer, writing: write).payload, steps: steps)
        }
        let nothing: Transcript.Failure? = nil
        let none: [StepResult] = []
        let result = StepResult(logits: Rows(keys: [0], width: 1, elements: [1]))
        #expect(try transcript(1) { $0.write(nothing, [result], 0, 0) }.results == [result])

        for results in [none, [result, result]] {
            #expect(throws: ProtocolError.self) { try transcript(1) { $0.write(nothing, results, 0, 0) } }
        }
        for count in [-1, .max, 2] {
            #expect(throws: ProtocolError.self) { try transcript(1) { $0.write(nothing, count, result, 0, 0) } }
        }
        for step in [-1, 1, .max, .min] {
            let failure: Transcript.Failure? = .init(step: step, reason: "")
            #expect(throws: ProtocolError.self) { try transcript(1) { $0.write(failure, [result], 0, 0) } }
        }
        for step in [0, nil] {
            let failure: Transcript.Failure? = .init(step: step, reason: "")
            #expect(try transcript(1) { $0.write(failure, none, 0, 0) }.failure == failure)
            #expect(throws: ProtocolError.self) { try transcript(1) { $0.write(failure, [result], 0, 0) } }
        }
        for count in [-1, .max, .max / 8 + 2, 1 << 61, 3] {
            #expect(throws: ProtocolError.self) {
                try transcript(1) {
                    $0.write(nothing, [result], 0, count)
                    $0.append(numbers: [1, 2])
                }
            }
        }
        for (keys, width) in [([0], 0), ([0], -1), ([0], 3), ([0, 1], 2), ([0, 1], .max), ([0], 1 << 61), ([], 0)] {
            expectError(Rows.self) {
                $0.write(keys, width)
                $0.append(numbers: [1, 2])
            }
        }
    }

    // MARK: Random values

    private struct Random {
        private var stream: RandomStream
        init(_ seed: UInt64) { stream = RandomStream(seed: seed) }

        private mutating func below(_ bound: Int) -> Int { Int(stream.next(below: UInt64(bound))) }
        private mutating func bool() -> Bool { below(2) == 1 }
        private mutating func list<Element>(_ one: (inout Random) -> Element) -> [Element] {
            (0..<below(4)).map { _ in one(&self) }
        }
        private mutating func maybe<Value>(_ one: (inout Random) -> Value) -> Value? { bool() ? one(&self) : nil }
        private mutating func of<Value>(_ values: [Value]) -> Value { values[below(values.count)] }
        private mutating func double() -> Double { Double(bitPattern: stream.next()) }
        private mutating func text() -> String {
            of([
                "", "cpu", "llama:Vulkan0", #"blk\.1\.ffn_.*"#, "a\u{0}b\n", "é日本🦙", String(repeating: "x", count: 300),
            ])
        }

        mutating func int() -> Int {
            of([0, 1, -1, .max, .min, below(100), Int(truncatingIfNeeded: stream.next())])
        }

        mutating func script() -> Script {
            var script = Script(
                placement: Placement(
                    text(), layers: list { .init(first: $0.int(), last: $0.maybe { $0.int() }, device: $0.text()) },
                    tensors: list { .init(pattern: $0.text(), device: $0.text()) },
                    split: maybe { $0.of(Placement.Split.allCases) }),
                options: .init(
                    context: int(), sequences: int(), microBatch: int(), cacheType: of(StateType.allCases),
                    rounding: maybe { random in
                        Rounding(
                            seed: random.stream.next(), precision: random.precision(),
                            usesFlashAttention: random.maybe { $0.bool() }, rows: random.rows())
                    }),
                steps: (0..<below(8)).map { _ in step() })
            for setting in Setting.allCases where bool() {
                script.options.settings[setting] = of(setting.declaration.values).value
            }
            script.options.decisions = maybe { $0.list { $0.list { $0.int() } } }
            return script
        }

        private mutating func format() -> Precision.Format { of(Precision.Format.allCases) }

        private mutating func arithmetic() -> Precision.Arithmetic {
            Precision.Arithmetic(of(Precision.Operands.allCases), sums: of(Precision.Sums.allCases))
        }

        private mutating func rows() -> Precision.RowCount { of(Precision.RowCount.allCases) }

        private mutating func precision() -> Precision {
            var precision = Precision(storage: format(), accumulation: format())
            for _ in 0..<below(4) {
                precision.products[.init(of(TensorType.allCases), rows(), isOfExperts: bool())] = arithmetic()
                precision.attention[.init(of(StateType.allCases), isFlash: bool(), rows())] = arithmetic()
                precision.functions[of(Precision.Function.allCases)] = format()
            }
            precision.states = maybe { $0.format() }
            precision.flushesSubnormals = bool()
            return precision
        }

        private mutating func batch() -> Batch {
            Batch(
                list {
                    .init(
                        id: $0.int(), position: $0.int(),
                        sequences: SequenceSet(bits: UInt32(truncatingIfNeeded: $0.stream.next())),
                        wantsOutput: $0.bool(), order: $0.of(DecisionOrder.allCases))
                })
        }

        private mutating func step() -> Step {
            switch below(9) {
            case 0: .encode(batch())
            case 1: .process(batch())
            case 2: .remove(sequence: maybe { $0.int() }, from: int(), to: maybe { $0.int() })
            case 3: .keep(sequence: int())
            case 4: .copy(source: int(), destination: int(), from: int(), to: maybe { $0.int() })
            case 5:
                bool() ? .shift(sequence: int(), from: int(), to: maybe { $0.int() }, by: int())
                    : .divide(sequence: int(), from: int(), to: maybe { $0.int() }, by: int())
            case 6: .save(sequence: maybe { $0.int() })
            case 7: .restore(sequence: maybe { $0.int() })
            default: .clear
            }
        }

        /// - Returns: the number of steps of the script that it is of, too.
        mutating func transcript() -> (Transcript, steps: Int) {
            let results = list { random in
                StepResult(
                    isDone: random.bool(), logits: random.maybe { $0.outputs() },
                    embeddings: random.maybe { $0.outputs() })
            }
            let failure: Transcript.Failure? = maybe { random in
                .init(step: results.isEmpty && random.bool() ? nil : results.count, reason: random.text())
            }
            let transcript = Transcript(
                results: results, failure: failure, fallbacks: list { $0.text() },
                decisions: list { random in
                    Decision(
                        taken: random.list { $0.int() }, least: random.list { $0.candidate() },
                        greatest: random.list { $0.candidate() })
                })
            return (transcript, results.count + (failure == nil ? 0 : 1 + below(3)))
        }

        private mutating func candidate() -> Decision.Candidate { .init(index: int(), score: double()) }

        private mutating func outputs() -> Rows {
            let keys = list { $0.int() }, width = 1 + below(5)
            return Rows(keys: keys, width: width, elements: (0..<keys.count * width).map { _ in double() })
        }
    }
}
