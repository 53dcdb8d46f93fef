import Architectures
import Devices
import Foundation
import GGUF
import Inference
import Testing

@testable import Engines

/// Workers that are a few lines of shell: they need not understand the protocol to break it.
@Suite("Workers")
struct WorkerTests {
    /// A worker that first says what it is; then `body` runs.
    private final class Scripted {
        let folder: URL
        let command: WorkerCommand

        /// - Parameter body: may use the folder's files: `loaded`, an answer to a load, `began`, which says that step 0
        ///   begins; `frame`, which takes one, `asked`, which returns when there is a third, and `int`, which writes
        ///   one.
        init(_ body: String, time: Duration = .seconds(600), memory: Int = 4 << 30) throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let precision = Precision(storage: .float32, accumulation: .float32)
            let described = EngineDescription(
                engine: "shell", devices: [.init(name: "shell:x", summary: "", precision: precision)])
            let frames = try [
                ("described", Frame(.answer, json: described)), ("loaded", Frame(.answer)), ("began", Frame(.begin, 0)),
            ]
            for (name, frame) in frames {
                try Data(frame.prefix + frame.payload).write(to: folder.appendingPathComponent(name))
            }
            // Only the first process is asked what it is. A frame's second to ninth bytes are its payload's length.
            let script = """
                cd '\(folder.path)'
                frame() { head -c $(head -c 9 | tail -c 8 | od -An -tu8) >/dev/null; }
                asked() { frame; frame; head -c 1 >/dev/null; }
                int() { n=$1; for i in 1 2 3 4 5 6 7 8; do byte; done; }
                byte() { printf "\\\\$(printf %03o $((n & 255)))"; n=$((n >> 8)); }
                mkdir first 2>/dev/null && cat described
                \(body)
                """
            command = WorkerCommand(
                executable: "/bin/sh", arguments: ["-c", script], limits: .init(time: time, memory: memory))
        }

        deinit { try? FileManager.default.removeItem(at: folder) }
    }

    /// How a worker ends that takes a model and is then asked to run a script.
    private func death(of worker: Scripted) throws -> EngineDeath {
        let engine = try WorkerEngine(worker.command)
        let script = Script(placement: Placement("shell:x"), steps: [.clear])
        return try #require(throws: EngineDeath.self) { try engine.load(Toy.source()).run(script) }
    }

    @Test("that die by a signal are told by it, by their last words and by the step that had begun")
    func signals() throws {
        let aborted = try death(
            of: Scripted(
                "cat loaded; asked; cat began; echo 'x.c:3: Assertion `n > 0` failed' >&2; echo more >&2; kill -ABRT $$"
            ))
        #expect(aborted.cause == .signal(SIGABRT, "SIGABRT") && aborted.step == 0)
        #expect(aborted.lastWords == "x.c:3: Assertion `n > 0` failed")
        #expect(aborted.description == "ended by SIGABRT: x.c:3: Assertion `n > 0` failed")

        let killed = try death(of: Scripted("cat loaded; asked; kill -SEGV $$"))
        #expect(killed.cause == .signal(SIGSEGV, "SIGSEGV") && killed.step == nil && killed.lastWords.isEmpty)
    }

    @Test("that exit are told by their status")
    func exits() throws {
        let dead = try death(of: Scripted("cat loaded; asked; echo bye >&2; exit 3"))
        #expect(dead.cause == .exit(3) && dead.lastWords == "bye")
        #expect(try death(of: Scripted("cat loaded; asked; exit 0")).cause == .exit(0))
        // In the middle of an answer.
        #expect(try death(of: Scripted("cat loaded; asked; head -c 8 loaded; exit 4")).cause == .exit(4))
    }

    @Test("that make tokens of other texts than they were given break the protocol")
    func tokens() throws {
        // No tokens of one text.
        let answer = #"printf 'A\11\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0'"#
        for count in [1, 2] {
            let worker = try Scripted("frame; head -c 1 >/dev/null; \(answer); exec sleep 100")
            defer { withExtendedLifetime(worker) {} }
            let engine = try WorkerEngine(worker.command)
            let inputs = Array(repeating: TokenizerInput([0x61]), count: count)
            guard count > 1 else {
                #expect(try engine.tokenize(inputs, file: "/x") == [nil])
                continue
            }
            let death = #expect(throws: EngineDeath.self) { try engine.tokenize(inputs, file: "/x") }
            guard case .protocolViolation(let reason)? = death?.cause else { throw try #require(death) }
            #expect(reason.contains("tokens of 1 texts, where there are 2"))
        }
    }

    @Test("that give no answer in time are ended")
    func hangs() throws {
        let limit = Duration.seconds(2)
        for body in ["cat loaded; exec sleep 100", "cat loaded; while :; do cat began; done"] {
            #expect(try death(of: Scripted(body, time: limit)).cause == .hang(limit))
        }
    }

    #if os(Linux)
        @Test("that grow past their limit are ended")
        func memory() throws {
            let limit = 64 << 20
            let dead = try death(
                of: Scripted("cat loaded; exec 3>&1 4<&0; exec dd if=/dev/zero of=/dev/null bs=256M", memory: limit))
            #expect(dead.cause == .memory(limit))
        }

        @Test("that grow past what they may take for one request are ended")
        func memoryOfRequest() throws {
            let worker = try Scripted("cat loaded; exec 3>&1 4<&0; exec dd if=/dev/zero of=/dev/null bs=256M")
            let engine = try WorkerEngine(worker.command)
            let script = Script(placement: Placement("shell:x"), steps: [.clear])
            let dead = try #require(throws: EngineDeath.self) {
                try engine.limitingMemory(to: 64 << 20) { try engine.load(Toy.source()).run(script) }
            }
            guard case .memory(let limit) = dead.cause else { throw dead }
            #expect(64 << 20..<128 << 20 ~= limit)
        }

        @Test("whose child grows past the limit are ended")
        func memoryOfChild() throws {
            let limit = 64 << 20
            let dead = try death(
                of: Scripted(
                    """
                    dd if=/dev/zero of=/dev/null bs=256M count=200 >/dev/null 2>&1 &
                    printf P; int 8; int $!; cat loaded; asked; wait
                    """, memory: limit))
            #expect(dead.cause == .memory(limit))
        }

        @Test("are given a model's file, which nobody finds by a name, and which serves the next model")
        func temporaryFiles() throws {
            let bytes: [UInt8] = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
            var path = ""
            do {
                let file = try TemporaryFile(bytes: bytes)
                path = file.path
                #expect(file.contents(limit: 100_000) == bytes && file.contents(limit: 99_999) == nil)
            }
            let next = try TemporaryFile(bytes: [1, 2, 3])
            #expect(next.contents(limit: 100) == [1, 2, 3])
            #expect(try Data(contentsOf: URL(fileURLWithPath: next.path)) == Data([1, 2, 3]))
            #expect(path.hasPrefix("/proc/"))
        }
    #endif

    @Test("that speak something else break the protocol")
    func garbage() throws {
        for body in [
            "cat loaded; echo 'Hello, I am no frame at all'",
            #"cat loaded; printf 'A\377\377\377\377\377\377\377\377'"#,
            // More bytes than the worker may have.
            "cat loaded; printf A; int 8589934592; printf '{}'",
            // A request.
            "cat loaded; printf r; int 2; printf '{}'",
            // No transcript, an answer to another request, and one that says too much.
            "cat loaded; printf A; int 2; printf '{]'", "cat loaded loaded", "printf A; int 1; printf '{'",
            // Reasons that are none, a process and a death that cannot be.
            "cat loaded; printf E; int 2; printf no", "cat loaded; printf U; int 8; int 1", "printf R; int 8; int -1",
            "cat loaded; printf P; int 8; int -1", #"cat loaded; printf D; int 9; printf '\2'; int 6"#,
            "cat loaded; printf D; int 9; printf '\\1'; int 4294967296",
        ] {
            let dead = try death(of: Scripted(body + "; exec sleep 100"))
            guard case .protocolViolation = dead.cause else {
                Issue.record("\(body): \(dead)")
                continue
            }
        }
    }

    @Test("that close their output and go on are ended, and not said to have been killed")
    func closedOutput() throws {
        let dead = try death(of: Scripted("cat loaded; exec >&2; exec sleep 100"))
        #expect(dead.description == "broke the worker protocol: it closed its input or output and went on")
    }

    @Test("are started again after their death")
    func comesBack() throws {
        let worker = try Scripted(
            """
            mkdir second 2>/dev/null && { cat loaded; kill -SEGV $$; }
            cat loaded loaded loaded; exec cat >/dev/null
            """)
        defer { withExtendedLifetime(worker) {} }
        let engine = try WorkerEngine(worker.command)
        let model = try engine.load(Toy.source())
        #expect(throws: EngineDeath.self) { try model.save(to: "/nowhere") }
        // The new worker has no model: it is loaded again first.
        try model.save(to: "/nowhere")
        #expect(try engine.load(Toy.source()) !== model)
    }

    @Test("that go on in another child after a death are told by it, and not started again")
    func goesOn() throws {
        let worker = try Scripted(
            """
            mkdir second || exit 9
            frame
            frame; cat loaded; frame; cat began; echo 'x.c:3: n > 0' >&2; printf D; int 9; printf '\\1'; int 6
            # What was sent to the dead is dropped: a frame that says so.
            frame
            frame; cat loaded; frame; printf D; int 9; printf '\\0'; int 3; frame
            frame; cat loaded; exec cat >/dev/null
            """)
        defer { withExtendedLifetime(worker) {} }
        let engine = try WorkerEngine(worker.command)
        let model = try engine.load(Toy.source())
        let script = Script(placement: Placement("shell:x"), steps: [.clear])
        let first = try #require(throws: EngineDeath.self) { try model.run(script) }
        #expect(first.cause == .signal(SIGABRT, "SIGABRT") && first.step == 0 && first.lastWords == "x.c:3: n > 0")
        // The last words of one are not the next one's.
        let second = try #require(throws: EngineDeath.self) { try model.run(script) }
        #expect(second.cause == .exit(3) && second.step == nil && second.lastWords.isEmpty)
        #expect(try engine.load(Toy.source()) !== model)
    }

    @Test("that say where they died are told by it")
    func frames() throws {
        // Of eight bytes each: the length of the payload, the count of frames, the length of a name.
        let stack = #"printf S; int 26; int 1; int 9; printf 'decode\033\n\n\0'"#
        let dead = try death(of: Scripted("cat loaded; asked; \(stack); echo 'x.c:3: n > 0' >&2; kill -ABRT $$"))
        #expect(dead.frames == ["decode"])
        #expect(dead.description == "ended by SIGABRT: x.c:3: n > 0")
        // Where a worker says that and goes on, it has not died there; what is no stack tells nothing of a death.
        #expect(try death(of: Scripted("\(stack); cat loaded; asked; kill -ABRT $$")).frames.isEmpty)
        let garbled = try death(of: Scripted("cat loaded; asked; printf S; int 8; int 1; kill -ABRT $$"))
        #expect(garbled.frames.isEmpty && garbled.cause == .signal(SIGABRT, "SIGABRT"))
    }

    #if os(Linux)
        @Test("of C and C++ are told by the function that holds the fault")
        func crashes() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-fuzz-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let (handler, program) = ("\(folder.path)/handler.o", "\(folder.path)/crashes")
            let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            let sources = tests.appendingPathComponent("../../Sources/CSystem").standardized.path
            let source = tests.appendingPathComponent("Crashes/crashes.cc").path
            try Compiler.run("cc", "-O1", "-c", "-I\(sources)/include", "\(sources)/CrashReport.c", "-o", handler)
            try Compiler.run("c++", "-O1", "-fno-stack-protector", source, handler, "-pthread", "-o", program)

            let crashes: [(name: String, signal: Int32, frames: [String])] = [
                ("assertion", SIGABRT, ["helper_that_aborts", "assertion"]),
                ("null_pointer", SIGSEGV, ["null_pointer"]),
                ("call_of_null", SIGSEGV, ["call_of_null"]),
                ("recursion", SIGSEGV, ["recursion"]),
                ("exception", SIGABRT, ["exception"]),
                ("other_thread", SIGSEGV, ["null_pointer"]),
                ("damaged_heap", SIGABRT, ["damaged_heap"]),
                ("damaged_stack", SIGSEGV, ["null_pointer", "damaged_stack"]),
                ("illegal_instruction", SIGILL, ["illegal_instruction"]),
                ("method", SIGSEGV, ["null_pointer", "engine::Block::operator()", "engine::Model::decode"]),
            ]
            for crash in crashes {
                let dead = try death(of: Scripted("cat loaded; asked; exec '\(program)' \(crash.name)"))
                #expect(dead.cause == .signal(crash.signal, SignalName.of(crash.signal)), "\(crash.name)")
                #expect(dead.frames == crash.frames, "\(crash.name)")
            }
        }
    #endif

    @Test("that cannot be started, or do not say what they are, are no engine")
    func starts() throws {
        #expect(throws: EngineStartError.self) {
            try WorkerEngine(WorkerCommand(executable: "/nowhere/at/all", arguments: []))
        }
        for body in [
            "exit 1", "echo 'What is this?'; exec sleep 100",
            #"printf 'A\002\0\0\0\0\0\0\0{}'; exec sleep 100"#,
        ] {
            #expect(throws: EngineStartError.self) {
                try WorkerEngine(WorkerCommand(executable: "/bin/sh", arguments: ["-c", body]))
            }
        }
    }

    @Test("of other engines are not accused of a refusal, unless they say that they refuse only what is invalid")
    func refusals() throws {
        let worker = try Scripted("exec cat >/dev/null")
        defer { withExtendedLifetime(worker) {} }
        #expect(try !WorkerEngine(worker.command).refusesOnlyInvalid)
        #expect(try WorkerEngine(Self.builtin()).refusesOnlyInvalid)
    }

    // MARK: The program's own worker

    private static func builtin(_ arguments: String...) -> WorkerCommand {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
        let neighbour = bundle ?? Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
        return WorkerCommand(
            executable: neighbour.deletingLastPathComponent().appendingPathComponent("gguf-fuzz").path,
            arguments: ["worker", "--device", "cpu"] + arguments)
    }

    @Test("of the builtin engine give what it gives in this process")
    func builtinWorker() throws {
        let worker = try WorkerEngine(Self.builtin())
        #expect(worker.name == "builtin" && worker.devices.map(\.name) == ["reference", "cpu"])
        let script = Script(
            placement: Placement("cpu"), options: .init(sequences: 2),
            steps: [
                .process(Batch([1, 2, 3])), .copy(source: 0, destination: 1), .shift(sequence: 1, from: 0, by: 2),
                .process(Batch([4], from: 3)), .process(Batch([5], from: 9, sequence: 9)), .clear,
            ])
        let model = try worker.load(Toy.source())
        let transcript = try model.run(script)
        #expect(transcript == (try Toy.engine.load(Toy.source()).run(script)))
        #expect(transcript.failure?.step == 2 || transcript.failure?.step == 4)
        let saved = try TemporaryFile()
        try model.save(to: saved.path)
        #expect(try saved.contents(limit: 1 << 20) == Toy.source().bytesOfFile())

        var metadata = Toy.metadata
        metadata["llama.attention.head_count"] = 0
        let invalid = try #require(throws: Refusal.self) {
            try worker.load(HeaderOnly(metadata: metadata))
        }
        #expect(invalid.reason.contains("llama.attention.head_count"))
        // A refusal costs it nothing but the model.
        #expect(try model.run(script) == transcript)
    }

    private struct HeaderOnly: TensorSource {
        var metadata: Metadata
        var tensors: [TensorInfo] { [] }
        func data(of tensor: TensorInfo) throws -> TensorData {
            throw ModelError(subject: tensor.name, reason: "is not there")
        }
    }

    #if os(Linux)
        @Test("of the builtin engine are told by the function that holds the fault", arguments: [
            ("trap-on-three-outputs", "closure #1 in closure #3 in FaultCatalogue.process"),
            ("crash-on-nine-tokens", "closure #1 in closure #1 in FaultCatalogue.process"),
        ])
        func builtinFrames(fault: String, function: String) throws {
            let worker = try WorkerEngine(Self.builtin("--inject", fault))
            let script = Script(placement: Placement("cpu"), steps: [.process(Batch(Array(repeating: 1, count: 9)))])
            let model = try worker.load(Toy.source())
            let dead = try #require(throws: EngineDeath.self) { try model.run(script) }
            #expect(dead.frames.prefix(5).contains(function), "\(dead.frames)")
            #expect(!dead.frames.contains { $0.hasPrefix("WorkerServer") })
        }
    #endif

    @Test("answer a request that makes no sense by an error, and go on")
    func senselessRequests() throws {
        let process = try WorkerProcess(Self.builtin())
        defer { process.stop() }
        let file = try TemporaryFile(bytes: Toy.source().bytesOfFile())
        let script = Frame(.run, Script(placement: Placement("cpu"), steps: [.clear]))
        let senseless = [
            Frame(.begin, 0), Frame(.save, file.path), script, Frame(.run, payload: Array("no script".utf8)),
            Frame(.run, payload: script.payload + [0]), Frame(.load, payload: []), Frame(.describe, payload: [0]),
        ]
        for frame in senseless {
            let answer = try process.answer(frame)
            #expect(try answer.kind == .error && !answer.read(String.self).isEmpty, "\(frame)")
        }
        let garbage = try TemporaryFile(bytes: [1, 2, 3])
        for inMemory in [false, true] {
            let load = Frame(.load, LoadRequest(path: garbage.path, inMemory: inMemory))
            #expect(try process.answer(load).kind == .refused)
        }
        #expect(try process.answer(Frame(.load, LoadRequest(path: file.path))).kind == .answer)
        #expect(try process.answer(senseless[0]).read(String.self) == "no request")
        #expect(try process.answer(script).kind == .answer)
    }
}
