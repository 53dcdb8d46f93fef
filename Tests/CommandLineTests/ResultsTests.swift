import Foundation
import GGUF
import Testing

/// Toy models of few architectures, since what is run here is built for debugging.
@Suite("Results files on the command line")
struct ResultsTests {
    /// Runs `body` in a folder that holds the toy `toy.gguf`.
    private func withToy(_ architecture: String = "llama", _ body: (String) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let toy = try Program("generate", "--arch", architecture, "--seed", "1", "-o", "toy.gguf", in: folder)
            #expect(toy.status == 0)
            try body(folder)
        }
    }

    private func write(_ arguments: String..., in folder: String) throws -> Program {
        try Program(
            arguments: ["results", "write", "--model", "toy.gguf", "-o", "r.gguf"] + arguments, in: folder)
    }

    private func check(_ arguments: String..., in folder: String) throws -> Program {
        try Program(
            arguments: ["results", "check", "--model", "toy.gguf", "-i", "r.gguf"] + arguments, in: folder)
    }

    private static let tokens = "1,2,3,4,5,6,7,8"

    @Test("hold the residual stream after each block if asked, and are checked as ever")
    func layers() throws {
        try withToy { folder in
            let written = try write("--tokens", Self.tokens, "--layers", in: folder)
            #expect(written.status == 0 && written.output.contains(" block"), "\(written)")
            let tensors = try GGUFFile(path: folder + "/r.gguf").tensors.filter { $0.name.hasPrefix("layer.") }
            #expect(!tensors.isEmpty && tensors.allSatisfy { $0.dimensions.last == 8 })
            #expect(tensors.map(\.name) == tensors.indices.map { "layer.\($0)" })
            #expect(try check("--device", "reference", in: folder).status == 0)
        }
    }

    @Test("hold the embeddings beside the logits if asked")
    func embeddings() throws {
        try withToy { folder in
            let written = try write("--tokens", Self.tokens, "--embeddings", in: folder)
            #expect(written.status == 0 && !written.output.contains(" block"), "\(written)")
            let names = try GGUFFile(path: folder + "/r.gguf").tensors.map(\.name)
            #expect(names == ["tokens", "logits", "embeddings"])
            #expect(try check("--device", "reference", in: folder).status == 0)
        }
    }

    @Test("of a draft's context there are none")
    func context() throws {
        try withToy("dflash") { folder in
            let written = try write("--tokens=-1,-2,1,2,3", in: folder)
            #expect(written.status == 0, "\(written)")
            let tensors = try GGUFFile(path: folder + "/r.gguf").tensors
            #expect(tensors.first { $0.name == "positions" }?.dimensions == [3])
            #expect(tensors.first { $0.name == "logits" }?.dimensions.last == 3)
            #expect(try check("--device", "reference", in: folder).status == 0)
        }
    }

    @Test("a tensor that the model makes no use of is refused, a key that nobody reads is named")
    func unused() throws {
        try withToy { folder in
            let toy = try GGUFFile(path: folder + "/toy.gguf")
            func save(_ metadata: Metadata, _ more: [GGUFWriter.Tensor], to name: String) throws {
                let own = toy.tensors.map { tensor in
                    GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.dimensions, type: tensor.type) {
                        try toy.withBytes(of: tensor, $0)
                    }
                }
                try GGUFWriter.write(metadata, own + more, to: "\(folder)/\(name)")
            }
            var metadata = toy.metadata
            metadata["llama.attention.made_up"] = .uint32(3)
            metadata["llama.rope.scaling.finetuned"] = .bool(true)
            try save(metadata, [], to: "key.gguf")
            let named = try Program(
                "results", "write", "--model", "key.gguf", "--tokens", "1", "-o", "r.gguf", in: folder)
            #expect(
                named.status == 0 && named.errors == "note: key.gguf: not read: llama.attention.made_up\n", "\(named)")

            let bias = GGUFWriter.Tensor(name: "blk.0.attn_q_norm.weight", dimensions: [4], type: .f32) { write in
                try [Float](repeating: 0, count: 4).withUnsafeBytes(write)
            }
            try save(toy.metadata, [bias], to: "tensor.gguf")
            for arguments in [
                ["results", "write", "--model", "tensor.gguf", "--tokens", "1", "-o", "r.gguf"],
                ["shrink", "tensor.gguf", "-o", "o.json"],
                ["generate", "--like", "tensor.gguf", "--seed", "1", "-o", "o.gguf"],
            ] {
                let refused = try Program(arguments: arguments, in: folder)
                #expect(refused.status == 2 && refused.errors.contains("blk.0.attn_q_norm.weight: "), "\(refused)")
                #expect(refused.errors.split(separator: "\n").count == 1, "\(refused)")
            }
            let shown = try Program("show", "tensor.gguf", in: folder)
            #expect(
                shown.status == 0 && shown.output.contains(#/blk\.0\.attn_q_norm\.weight .* not used\n/#), "\(shown)")
        }
    }

    // MARK: What agrees

    @Test("the reference agrees with cpu, by tolerance and by noise floor; every row is shown")
    func agreement() throws {
        try withToy { folder in
            let written = try write("--tokens", "1,2,3", in: folder)
            #expect(written.status == 0 && written.errors.isEmpty && written.output.contains("logits, 3 × 32, cpu"))
            let same = try check("--strict", in: folder)
            #expect(same.status == 0 && same.output.contains("agrees: cpu against cpu, NMSE 0 in row "), "\(same)")
            #expect(same.output.contains("KL at most 0, top-1 agrees in 3 of 3 rows; tolerance 1.0e-06\n"))
            #expect(same.output.split(separator: "\n").count == 5)
            let exact = try check("--device", "reference", "--noise-floor", in: folder)
            #expect(exact.status == 0 && exact.output.contains("agrees: reference against cpu, "), "\(exact)")
            #expect(exact.output.contains(" times the noise floor in row "))
        }
    }

    @Test("encoders, poolers and encoder-decoders have results too", arguments: [
        ("bert", "embeddings"), ("t5", "logits"), ("mamba", "logits"),
    ])
    func otherKinds(architecture: String, kind: String) throws {
        try withToy(architecture) { folder in
            let arguments = architecture == "t5" ? ["--encoder-tokens", "5,6"] : []
            let written = try Program(
                arguments: ["results", "write", "--model", "toy.gguf", "-o", "r.gguf", "--tokens", "1,2,3"] + arguments,
                in: folder)
            #expect(written.status == 0 && written.output.contains(": \(kind), "), "\(written)")
            let checked = try check("--device", "reference", in: folder)
            #expect(checked.status == 0 && checked.output.contains("agrees: "), "\(checked)")
        }
    }

    @Test("of many rows the worst are shown, and all if they are asked for")
    func manyRows() throws {
        try withToy { folder in
            let tokens = (0..<60).map { "\($0 % 32)" }.joined(separator: ",")
            #expect(try write("--tokens", tokens, "--device", "reference", in: folder).status == 0)
            let short = try check(in: folder)
            #expect(short.status == 0 && short.output.split(separator: "\n").count == 16, "\(short)")
            #expect(short.output.hasPrefix("60 rows    least   median      90%      99%  greatest\nNMSE "))
            #expect(try check("--all", in: folder).output.split(separator: "\n").count == 62)
            #expect(try check("--quiet", in: folder).output.split(separator: "\n").count == 1)
        }
    }

    @Test("the last row, and the greatest of it, are a small file that is checked alike")
    func parts() throws {
        try withToy { folder in
            let written = try write("--tokens", Self.tokens, "--last", "--top", "3", in: folder)
            #expect(written.status == 0 && written.output == "r.gguf: logits, 1 × the top 3 of 32, cpu\n", "\(written)")
            let file = try GGUFFile(path: folder + "/r.gguf")
            let (logits, ids) = try (rows(file, "top_logits"), rows(file, "top_tokens"))
            #expect(logits.count == 3 && logits == logits.sorted(by: >))

            _ = try write("--tokens", Self.tokens, in: folder)
            let all = try rows(GGUFFile(path: folder + "/r.gguf"), "logits").suffix(32)
            let expected = all.indices.sorted { all[$0] > all[$1] }.prefix(3).map { $0 - all.startIndex }
            #expect(ids.map { Int($0) } == expected)
            #expect(logits == expected.map { all[all.startIndex + $0] })

            _ = try write("--tokens", Self.tokens, "--last", "--top", "3", in: folder)
            let checked = try check("--device", "reference", "--noise-floor", in: folder)
            #expect(checked.status == 0 && checked.output.contains("\n  7      8 "), "\(checked)")
            #expect(checked.output.contains("top-1 agrees in 1 of 1 rows"))
        }
    }

    @Test("logits of a large vocabulary, which come in pieces, are those of the reference, and so are the greatest")
    func largeVocabulary() throws {
        try withTemporaryFolder { folder in
            _ = try Program("generate", "--arch", "llama", "--seed", "1", "-o", "small.gguf", in: folder)
            let toy = try Program(
                "generate", "--like", "small.gguf", "--set", "llama.vocab_size=70000", "--seed", "1", "-o", "toy.gguf",
                in: folder)
            #expect(toy.status == 0, "\(toy)")
            #expect(try write("--tokens", "1,2,69999", in: folder).status == 0)
            #expect(try check("--device", "reference", "--quiet", in: folder).status == 0)
            let file = try GGUFFile(path: folder + "/r.gguf")
            let all = try rows(file, "logits")
            #expect(try write("--tokens", "1,2,69999", "--top", "3", in: folder).status == 0)
            let parts = try GGUFFile(path: folder + "/r.gguf")
            let (logits, ids) = try (rows(parts, "top_logits"), rows(parts, "top_tokens"))
            for row in 0..<3 {
                let whole = Array(all[row * 70000..<(row + 1) * 70000])
                let greatest = whole.indices.sorted { (-whole[$0], $0) < (-whole[$1], $1) }.prefix(3)
                #expect(ids[row * 3..<row * 3 + 3].map { Int($0) } == Array(greatest))
                #expect(logits[row * 3..<row * 3 + 3].elementsEqual(greatest.map { whole[$0] }))
            }
        }
    }

    @Test("the comparison is one JSON object if it is asked for")
    func json() throws {
        struct Report: Decodable {
            struct Side: Decodable { var engine: String; var device: String; var sha256: String? }
            struct Row: Decodable { var position: Int; var token: Int; var nmse: Double; var kl: Double; var top: Int }
            var verdict: String
            var expected: Side
            var found: Side
            var tolerance: Double
            var rows: [Row]
        }
        try withToy { folder in
            _ = try write("--tokens", "4,5", "--device", "reference", in: folder)
            #expect(try check("--json", "c.json", "--quiet", in: folder).status == 0)
            let report = try JSONDecoder().decode(
                Report.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/c.json")))
            #expect(report.verdict == "agrees" && report.tolerance == 1e-6)
            #expect(report.expected.device == "reference" && report.found.device == "cpu")
            #expect(report.expected.sha256 == report.found.sha256 && report.expected.sha256?.count == 64)
            #expect(report.rows.map(\.token) == [4, 5] && report.rows.map(\.position) == [0, 1])
            #expect(report.rows.allSatisfy { $0.nmse < 1e-9 && $0.kl < 1e-9 })
            #expect(try check("--json", "nowhere/c.json", in: folder).status == 2)
        }
    }

    @Test("a model that was split is named by any part; a part that is missing is named")
    func splitModel() throws {
        try withToy { folder in
            _ = try write("--tokens", Self.tokens, in: folder)
            let whole = try GGUFFile(path: folder + "/toy.gguf")
            let tensors = Self.tensors(of: whole)
            for (part, own) in [tensors.prefix(4), tensors.dropFirst(4)].enumerated() {
                var metadata = part == 0 ? whole.metadata : Metadata()
                metadata["split.no"] = .uint16(UInt16(part))
                metadata["split.count"] = .uint16(2)
                metadata["split.tensors.count"] = .int32(Int32(tensors.count))
                try GGUFWriter.write(metadata, Array(own), to: "\(folder)/toy-0000\(part + 1)-of-00002.gguf")
            }
            for part in ["toy-00001-of-00002.gguf", "toy-00002-of-00002.gguf"] {
                let checked = try Program("results", "check", "--model", part, "-i", "r.gguf", "--quiet", in: folder)
                #expect(checked.status == 0, "\(checked)")
                #expect(checked.output.hasPrefix("agrees: cpu against cpu, NMSE 0 "))
                #expect(checked.errors.contains("is of another model"))
                #expect(try Program("show", part, in: folder).output.contains("\n\(tensors.count) tensors\n"))
            }
            try FileManager.default.removeItem(atPath: folder + "/toy-00001-of-00002.gguf")
            let missing = try Program(
                "results", "check", "--model", "toy-00002-of-00002.gguf", "-i", "r.gguf", in: folder)
            #expect(missing.isRefusal && missing.errors.contains("toy-00001-of-00002.gguf: cannot open"), "\(missing)")
        }
    }

    @Test("a prompt is what the tokenizer of the file makes of it, its beginning marked, control tokens mere text")
    func prompt() throws {
        try withToy { folder in
            let toy = try GGUFFile(path: folder + "/toy.gguf")
            #expect(try write("--prompt", "abc", in: folder).errors.contains("toy.gguf: "), "it has no tokenizer")
            // Token 0 begins a text, the others are single characters.
            var metadata = toy.metadata
            let texts = ["<s>"] + "abcdefghijklmnopqrstuvwxyz01234".map(String.init)
            metadata["tokenizer.ggml.model"] = .string("llama")
            metadata["tokenizer.ggml.tokens"] = .array(.string(texts))
            metadata["tokenizer.ggml.scores"] = .array(.float32([Float](repeating: 0, count: 32)))
            metadata["tokenizer.ggml.token_type"] = .array(.int32([3] + [Int32](repeating: 4, count: 31)))
            metadata["tokenizer.ggml.bos_token_id"] = .uint32(0)
            metadata["tokenizer.ggml.add_bos_token"] = .bool(true)
            metadata["tokenizer.ggml.add_space_prefix"] = .bool(false)
            try GGUFWriter.write(metadata, Self.tensors(of: toy), to: folder + "/toy.gguf")
            let written = try write("--prompt", "cab", in: folder)
            #expect(written.status == 0, "\(written)")
            #expect(try rows(GGUFFile(path: folder + "/r.gguf"), "tokens") == [0, 3, 1, 2])
            #expect(try check("--device", "reference", in: folder).status == 0)

            metadata["tokenizer.ggml.add_bos_token"] = .bool(false)
            try GGUFWriter.write(metadata, Self.tensors(of: toy), to: folder + "/toy.gguf")
            let none = try write("--prompt", "", in: folder)
            #expect(none.isRefusal && none.errors.contains("--prompt: has no tokens"), "\(none)")
        }
    }

    // MARK: What differs

    @Test("results that differ end with status 1 and name the worst row")
    func mismatch() throws {
        try withToy { folder in
            _ = try write("--tokens", "1,2,3", in: folder)
            // The last byte before the padding holds the sign of the last logit.
            let url = URL(fileURLWithPath: folder).appendingPathComponent("r.gguf")
            var bytes = try Data(contentsOf: url)
            let last = try #require(bytes.lastIndex { $0 != 0 })
            bytes[last] ^= 0x80
            try bytes.write(to: url)
            for arguments in [[], ["--noise-floor"]] {
                let program = try Program(
                    arguments: ["results", "check", "--model", "toy.gguf", "-i", "r.gguf"] + arguments, in: folder)
                #expect(program.status == 1)
                #expect(program.output.contains("differs: cpu against cpu"), "\(program)")
                #expect(program.output.contains(" in row 2,"))
            }
            #expect(try check("--tolerance", "10", in: folder).status == 0)
        }
    }

    @Test("error and divergence are what their formulas say of both files' logits")
    func formulas() throws {
        struct Report: Decodable {
            struct Row: Decodable { var nmse: Double; var kl: Double; var top: Int; var expectedTop: Int }
            var nmse: Double
            var rows: [Row]
        }
        try withToy { folder in
            _ = try write("--tokens", "1,2,3", in: folder)
            let expected = try rows(GGUFFile(path: folder + "/r.gguf"), "logits")
            let toy = ["generate", "--arch", "llama", "--seed", "1", "--type", "Q4_0", "-o", "toy.gguf"]
            _ = try Program(arguments: toy, in: folder)
            #expect(try check("--json", "c.json", in: folder).status == 1)
            _ = try write("--tokens", "1,2,3", in: folder)
            let found = try rows(GGUFFile(path: folder + "/r.gguf"), "logits")
            let report = try JSONDecoder().decode(
                Report.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/c.json")))

            func error(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
                zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / b.reduce(0) { $0 + $1 * $1 }
            }
            func probabilities(_ logits: ArraySlice<Double>) -> [Double] {
                let sum = logits.reduce(0) { $0 + exp($1) }
                return logits.map { exp($0) / sum }
            }
            func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-9 * abs(b) }
            #expect(report.rows.count == 3 && isClose(report.nmse, error(found[...], expected[...])))
            for (index, row) in report.rows.enumerated() {
                let range = index * 32..<(index + 1) * 32
                let (p, q) = (probabilities(expected[range]), probabilities(found[range]))
                #expect(isClose(row.nmse, error(found[range], expected[range])))
                #expect(isClose(row.kl, zip(p, q).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }))
                #expect(q[row.top] == q.max() && p[row.expectedTop] == p.max())
            }
        }
    }

    @Test("another model is compared, and that is said; or refused, if that is asked for")
    func otherModel() throws {
        try withToy { folder in
            _ = try write("--tokens", "1,2", in: folder)
            _ = try Program("generate", "--arch", "llama", "--seed", "1", "--type", "F16", "-o", "toy.gguf", in: folder)
            let other = try check("--tolerance", "1e-3", in: folder)
            #expect(other.status == 0 && other.output.contains("agrees: "), "\(other)")
            #expect(other.errors.hasPrefix("note: r.gguf: is of another model, toy.gguf, whose SHA-256 is "))
            let refused = try check("--same-model", in: folder)
            #expect(refused.isRefusal && refused.errors.contains("is of another model"))
            #expect(try check("--tolerance", "1e-3", "--no-hash", in: folder).errors.isEmpty)

            _ = try write("--tokens", "1,2", "--no-hash", in: folder)
            #expect(try check(in: folder).errors.isEmpty)
            #expect(try check("--same-model", in: folder).errors.contains("does not say the SHA-256"))
        }
    }

    @Test("the hash is SHA-256 of the file's content")
    func hash() throws {
        try withToy { folder in
            _ = try write("--tokens", "1", in: folder)
            let expected = try Tool("/usr/bin/env", ["sha256sum", "toy.gguf"], in: folder).output.prefix(64)
            let file = try GGUFFile(path: folder + "/r.gguf")
            #expect(file.metadata.string("results.model.sha256") == String(expected))
        }
    }

    @Test("any engine can be held to the results of any other; one that dies fails")
    func engines() throws {
        try withToy("gpt2") { folder in
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/engine", withDestinationPath: Program.executable.path)
            _ = try write("--tokens", "1,2,3,4,5,6,7,8,9", in: folder)
            let seven = "1,2,3,4,5,6,7"
            func checked(_ arguments: String) throws -> Program {
                try check("--engine", "worker=./engine worker --device cpu \(arguments)", in: folder)
            }
            #expect(try checked("").status == 0)
            let broken = try checked("--inject gelu-quick")
            #expect(broken.status == 1 && broken.output.contains("differs: cpu against cpu, "), "\(broken)")
            let crashed = try checked("--inject crash-on-nine-tokens")
            #expect(crashed.status == 1 && crashed.errors.contains("the engine ended by SIGABRT"), "\(crashed)")
            _ = try write("--tokens", seven, in: folder)
            let wrong = try checked("--inject nan-on-seven-tokens")
            #expect(wrong.status == 1 && wrong.output.contains("NMSE not finite in row "), "\(wrong)")
            let faulty = "worker=./engine worker --device cpu --inject nan-on-seven-tokens"
            let none = try write("--tokens", seven, "--engine", faulty, in: folder)
            #expect(none.status == 1 && none.output.contains("are not a number on cpu"), "\(none)")
        }
    }

    // MARK: Files of llama-results, and for it

    @Test("what is written has what llama-results reads: the model's path, tokens, and a row of logits for each")
    func forLlamaResults() throws {
        try withToy { folder in
            _ = try write("--tokens", Self.tokens, "--device", "reference", in: folder)
            let file = try GGUFFile(path: folder + "/r.gguf")
            #expect(file.metadata.string("path_model") == "toy.gguf")
            let tokens = try #require(file.tensor(named: "tokens"))
            #expect(tokens.type == .i32 && tokens.dimensions == [8])
            #expect(try rows(file, "tokens") == [1, 2, 3, 4, 5, 6, 7, 8])
            let logits = try #require(file.tensor(named: "logits"))
            #expect(logits.type == .f32 && logits.byteCount == 4 * 8 * 32)
        }
    }

    @Test("a file of llama-results, which says nothing but path, tokens and logits, is checked")
    func ofLlamaResults() throws {
        try withToy { folder in
            _ = try write("--tokens", Self.tokens, "--cache", "f16", in: folder)
            let logits = try rows(GGUFFile(path: folder + "/r.gguf"), "logits")
            try Self.file(logits: logits.map(Float.init), dimensions: [8, 32], in: folder)
            let checked = try check(in: folder)
            #expect(checked.status == 0 && checked.errors.isEmpty, "\(checked)")
            #expect(checked.output.contains("agrees: cpu against llama-results, NMSE 0 in row "))
            #expect(try check("--cache", "f32", "--tolerance", "1e-12", in: folder).status == 1)
            let noise = try check("--cache", "f32", "--noise-floor", in: folder)
            #expect(noise.output.contains(" times the noise floor"), "\(noise)")
        }
    }

    // MARK: What is refused

    @Test("what is no results file, or contradicts itself, is refused in one line")
    func hostileFiles() throws {
        try withToy { folder in
            let url = URL(fileURLWithPath: folder).appendingPathComponent("r.gguf")
            func expectRefusal(_ reason: String, _ location: SourceLocation = #_sourceLocation) throws {
                let program = try check(in: folder)
                #expect(program.isRefusal && program.errors.contains(reason), "\(program)", sourceLocation: location)
                #expect(program.errors.contains("r.gguf"), sourceLocation: location)
            }
            let logits = (0..<256).map { Float($0) }
            _ = try write("--tokens", Self.tokens, in: folder)
            let whole = try Data(contentsOf: url)

            try expectCutsAreRefused(whole, url, folder)
            try FileManager.default.removeItem(at: url)
            try FileManager.default.copyItem(atPath: folder + "/toy.gguf", toPath: url.path)
            try expectRefusal("is no results file: path_model is missing or no string")
            try Self.file(logits: [.nan] + logits.dropFirst(), dimensions: [32, 8], in: folder)
            try expectRefusal("logits are not a number in row 0, at 0")
            try Self.file(logits: Array(logits.dropLast()), dimensions: [255], in: folder)
            try expectRefusal("logits are [255], for 8 rows")
            try Self.file(logits: logits, dimensions: [16, 16], in: folder)
            try expectRefusal("logits are [16, 16], for 8 rows")
            try Self.file(logits: Array(logits.prefix(128)), dimensions: [8, 16], in: folder)
            try expectRefusal("holds logits 8 × 16, the model gives logits 8 × 32")
            try Self.file(logits: logits, dimensions: [8, 32], tokens: [1, 2, 3, 4, 5, 6, 7, -8], in: folder)
            try expectRefusal("tokens hold a negative number")
            try Self.file(logits: logits, dimensions: [8, 32], tokens: [], in: folder)
            try expectRefusal("there are no tokens")
            try Self.file(logits: logits, dimensions: [8, 32], name: "logits_", in: folder)
            try expectRefusal("it must hold one of logits, embeddings and top_logits")
            try Self.file(logits: logits, dimensions: [8, 32], name: "top_logits", in: folder)
            try expectRefusal("top_logits and top_tokens do not go together")
            // A key of ours makes all of them necessary.
            try Self.file(logits: logits, dimensions: [32, 8], more: ["results.engine": "x"], in: folder)
            try expectRefusal("results.cache_type is missing or no string")

            let absurd = try GGUFFile(bytes: Array(whole))
            for (key, value, reason) in [
                ("results.context", .uint32(.max), "a context of 4294967295; it must hold them, and is at most 4096"),
                ("results.context", .uint32(7), "8 tokens in a context of 7"),
                ("results.context", .string("8"), "results.context is missing or no number"),
                ("results.cache_type", .string("q2"), "results.cache_type is unknown"),
                ("results.precision", .string("{\"storage\":\"float8\"}"), "results.precision is unknown"),
            ] as [(String, MetadataValue, String)] {
                var metadata = absurd.metadata
                metadata[key] = value
                try GGUFWriter.write(metadata, Self.tensors(of: absurd), to: url.path)
                let program = try check(in: folder)
                #expect(program.isRefusal && program.errors.contains(reason), "\(program)")
            }
        }
    }

    @Test("positions and tokens that the model or the file does not have are refused in one line")
    func hostileParts() throws {
        try withToy { folder in
            _ = try write("--tokens", Self.tokens, "--last", "--top", "3", in: folder)
            let whole = try GGUFFile(path: folder + "/r.gguf")
            func expect(
                _ name: String, _ type: TensorType, _ dimensions: [Int], _ bytes: [UInt8], _ reason: String
            ) throws {
                let tensors = Self.tensors(of: whole).map { tensor in
                    tensor.name == name
                        ? GGUFWriter.Tensor(name: name, dimensions: dimensions, type: type, bytes: bytes) : tensor
                }
                try GGUFWriter.write(whole.metadata, tensors, to: folder + "/r.gguf")
                let program = try check(in: folder)
                #expect(program.isRefusal && program.errors.contains(reason), "\(program)")
            }
            try expect("positions", .i32, [1], [8, 0, 0, 0], "positions are not ascending ones of 8 tokens")
            try expect("positions", .i32, [2], [1, 0, 0, 0, 1, 0, 0, 0], "top_logits are [3, 1], for 2 rows")
            try expect("positions", .f32, [1], [0, 0, 0, 0], "positions are F32, must be I32")
            try expect("top_tokens", .i32, [1], [0, 0, 0, 0], "top_logits and top_tokens do not go together")
            try expect(
                "top_tokens", .i32, [3], [0, 0, 0, 0, 1, 0, 0, 0, 32, 0, 0, 0],
                "r.gguf: holds logits 1 of tokens up to 32, the model gives logits 1 × 32")
            try expect("top_logits", .f16, [3], [0, 0, 0, 0, 0, 0], "top_logits are F16, must be F32")
        }
    }

    private func expectCutsAreRefused(_ whole: Data, _ url: URL, _ folder: String) throws {
        for count in [0, 10, 100, whole.count / 2, whole.count - 40] {
            try whole.prefix(count).write(to: url)
            let program = try check(in: folder)
            #expect(program.isRefusal && program.errors.contains("r.gguf: "), "cut to \(count): \(program)")
        }
    }

    @Test("arguments that contradict each other or the model are refused in one line")
    func badArguments() throws {
        try withToy { folder in
            for (arguments, reason) in [
                ([], "one of --tokens and --prompt"),
                (["--tokens", "1", "--prompt", "x"], "one of --tokens and --prompt"),
                (["--tokens", "1", "--top", "0"], "--top 0"),
                (["--tokens", "1,2,3", "--context", "2"], "a context of 2"),
                (["--tokens", "1", "--encoder-tokens", "1"], "has no encoder"),
                (["--tokens", "1", "--device", "gpu"], "--device gpu: no such device; there are "),
                (["--tokens", "1", "--engine", "builtin", "--engine", "worker=x"], "one engine"),
                (["--tokens", "1", "--flash-attention", "on"], "the engine builtin has no choice"),
                (["--tokens", "1", "--threads", "0"], "--threads 0"), (["--tokens", "100"], "toy.gguf: "),
            ] {
                let program = try Program(
                    arguments: ["results", "write", "--model", "toy.gguf", "-o", "r.gguf"] + arguments, in: folder)
                #expect(program.isRefusal && program.errors.contains(reason), "\(program)")
            }
            _ = try write("--tokens", "1", in: folder)
            for (arguments, reason) in [
                (["--tolerance", "-1"], "--tolerance"), (["--tolerance", "1", "--noise-floor"], "only one of them"),
                (["--same-model", "--no-hash"], "only one of them"),
            ] {
                let program = try Program(
                    arguments: ["results", "check", "--model", "toy.gguf", "-i", "r.gguf"] + arguments, in: folder)
                #expect(program.isRefusal && program.errors.contains(reason), "\(program)")
            }
        }
    }

    // MARK: Files

    private func rows(_ file: GGUFFile, _ name: String) throws -> [Double] {
        try file.doubles(of: #require(file.tensor(named: name)))
    }

    /// A file as `llama-results` writes it.
    private static func file(
        logits: [Float], dimensions: [Int], tokens: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8], name: String = "logits",
        more: Metadata = [:], in folder: String
    ) throws {
        var metadata: Metadata = ["path_model": "toy.gguf"]
        for (key, value) in more { metadata[key] = value }
        let tensors = [
            GGUFWriter.Tensor(name: "tokens", dimensions: [tokens.count], type: .i32) { write in
                try tokens.withUnsafeBytes(write)
            },
            GGUFWriter.Tensor(name: name, dimensions: dimensions, type: .f32) { try logits.withUnsafeBytes($0) },
        ]
        try GGUFWriter.write(metadata, tensors, to: folder + "/r.gguf")
    }

    private static func tensors(of file: GGUFFile) -> [GGUFWriter.Tensor] {
        file.tensors.map { tensor in
            GGUFWriter.Tensor(name: tensor.name, dimensions: tensor.dimensions, type: tensor.type) { write in
                try file.withBytes(of: tensor, write)
            }
        }
    }
}
