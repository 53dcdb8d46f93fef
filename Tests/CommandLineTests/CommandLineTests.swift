import Foundation
import GGUF
import Testing

@Suite("The command line")
struct CommandLineTests {
    @Test("a toy is drawn and shown")
    func happyPath() throws {
        try withTemporaryFolder { folder in
            let generated = try Program("generate", "--arch", "llama", "--seed", "1", "-o", "toy.gguf", in: folder)
            #expect(generated.status == 0 && generated.errors.isEmpty)

            let shown = try Program("show", "toy.gguf", in: folder)
            #expect(shown.status == 0)
            for text in ["general.architecture", "\"llama\"", "token_embd.weight", "parameters"] {
                #expect(shown.output.contains(text))
            }
            #expect(!shown.output.contains("cannot be run"))
        }
    }

    @Test("the same seed and case give the same bytes, others give others")
    func determinism() throws {
        try withTemporaryFolder { folder in
            func bytes(_ arguments: String...) throws -> Data {
                let name = UUID().uuidString
                let program = try Program(
                    "generate", "--arch", "jamba", "--seed", arguments[0], "--case", arguments[1], "-o", name,
                    in: folder)
                #expect(program.status == 0)
                return try Data(contentsOf: URL(fileURLWithPath: folder).appendingPathComponent(name))
            }
            let first = try bytes("1", "0")
            #expect(try bytes("1", "0") == first)
            #expect(try bytes("1", "1") != first)
            #expect(try bytes("2", "0") != first)
        }
    }

    @Test("several models go to a folder, named for architecture, seed and case")
    func severalModels() throws {
        try withTemporaryFolder { folder in
            let program = try Program(
                "generate", "--arch", "gpt2,rwkv7", "--seed", "5", "--cases", "2", "-o", "toys", in: folder)
            #expect(program.status == 0)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/toys").sorted()
            #expect(names == ["gpt2-5-0.gguf", "gpt2-5-1.gguf", "rwkv7-5-0.gguf", "rwkv7-5-1.gguf"])
        }
    }

    @Test("every command explains itself", arguments: [
        [], ["run"], ["replay"], ["shrink"], ["export"], ["generate"], ["show"], ["archs"], ["devices"], ["results"],
        ["results", "write"], ["results", "check"], ["bisect"], ["tokenize"], ["bench"], ["bench", "model"],
    ])
    func help(command: [String]) throws {
        try withTemporaryFolder { folder in
            let program = try Program(arguments: command + ["--help"], in: folder)
            #expect(program.status == 0 && program.errors.isEmpty)
            #expect(program.output.contains("USAGE: gguf-fuzz"))
        }
    }

    @Test("a model like another has its metadata, with the keys that were set, and weights of its own")
    func like() throws {
        try withTemporaryFolder { folder in
            _ = try Program("generate", "--arch", "llama", "--seed", "1", "-o", "toy.gguf", in: folder)
            let arguments = ["--like", "toy.gguf", "--seed", "2", "--type", "Q8_0", "--set", "llama.block_count=1"]
            let made = try Program(
                arguments: ["generate", "-o", "other.gguf", "--set", "general.name=a=b"] + arguments, in: folder)
            #expect(made.status == 0, "\(made)")
            let (toy, other) = try (GGUFFile(path: folder + "/toy.gguf"), GGUFFile(path: folder + "/other.gguf"))
            var expected = toy.metadata
            expected["llama.block_count"] = .uint32(1)
            expected["general.name"] = .string("a=b")
            #expect(Set(other.metadata.keys) == Set(expected.keys))
            for (key, value) in expected { #expect(other.metadata[key] == value, "\(key)") }
            #expect(other.tensors.allSatisfy { !$0.name.hasPrefix("blk.1.") })
            let names = Set(toy.tensors.map(\.name))
            #expect(!other.tensors.isEmpty && other.tensors.allSatisfy { names.contains($0.name) })
            #expect(other.tensor(named: "token_embd.weight")?.type == .q8_0)
            try GGUFWriter.write(toy.metadata, [], to: folder + "/toy.gguf")
            let bare = try Program(arguments: ["generate", "-o", "bare.gguf"] + arguments, in: folder)
            #expect(bare.status == 0 && !bare.output.contains(" 0 tensors"), "\(bare)")
        }
    }

    @Test("a version is printed")
    func version() throws {
        try withTemporaryFolder { folder in
            let program = try Program("--version", in: folder)
            #expect(program.status == 0 && program.output.contains("."))
        }
    }

    @Test("what cannot be understood or found is refused in one line", arguments: [
        (["--verbos"], "--verbos"),
        (["generte"], "generte"),
        (["generate", "--arch", "llama", "--seed", "1", "--typ", "F16", "-o", "x.gguf"], "Did you mean '--type'?"),
        (["generate", "--arch", "llama", "-o", "x.gguf"], "--seed"),
        (["generate", "--seed", "1", "-o", "x.gguf"], "one of --arch and --like"),
        (
            ["generate", "--arch", "llama", "--like", "x.gguf", "--seed", "1", "-o", "x.gguf"],
            "one of --arch and --like"
        ),
        (["generate", "--like", "nowhere.gguf", "--seed", "1", "-o", "x.gguf"], "nowhere.gguf"),
        (["generate", "--like", "x.gguf", "--cases", "2", "--seed", "1", "-o", "x.gguf"], "--like: is one model"),
        (["generate", "--arch", "llama", "--set", "a", "--seed", "1", "-o", "x.gguf"], "'a' is invalid for '--set"),
        (
            ["generate", "--arch", "llama", "--set", "llama.block_count=-1", "--seed", "1", "-o", "x.gguf"],
            "--set llama.block_count=-1: is no uint32"
        ),
        (
            ["generate", "--arch", "llama", "--set", "llama.block_count=1.5", "--seed", "1", "-o", "x.gguf"],
            "llama.block_count=1.5"
        ),
        (["generate", "--arch", "lama", "--seed", "1", "-o", "x.gguf"], "\"lama\" is not supported"),
        (
            ["generate", "--arch", "llama", "--seed", "1", "--type", "Q8_1", "-o", "x.gguf"],
            "'Q8_1' is invalid for '--type"
        ),
        (["generate", "--arch", "llama", "--seed", "1", "-o", "nowhere/x.gguf"], "nowhere/x.gguf"),
        (["show", "missing.gguf"], "missing.gguf"),
        (["tokenize", "--model", "missing.gguf", "--prompt", "a"], "missing.gguf"),
        (["tokenize", "--model", "missing.gguf"], "--prompt, --file or --texts"),
        (["tokenize", "--model", "missing.gguf", "--file", "nowhere.txt"], "nowhere.txt"),
        (["show", "."], "."),
        (["archs", "lama"], "\"lama\" is not supported; close to it: llama"),
        (["archs", "zzzzzz"], "gguf-fuzz archs lists what is"),
        (["archs", "llama", "--markdown"], "--markdown is of all architectures"),
        (["run", "--arch", "lama"], "\"lama\" is not supported"),
        (["run", "--device", "gpu7"], "gpu7: no such device; there are cpu"),
        (["run", "--device", "reference"], "what the others are compared with"),
        (["run", "--check", "agree"], "agree: no such check; there are agrees"),
        (["run", "--check", "agree"], "trains; close to it: agrees"),
        (["run", "--device", "cpuu"], "close to it: cpu"),
        (["runn"], "runn: no such command; there are run, merge, report, replay"),
        (["runn"], "bench; close to it: run"),
        (["results", "wrote"], "wrote: no such command; there are write, check"),
        (["run", "--inject", "window-off-by-two"], "\"window-off-by-two\"; close to it are window-off-by-one"),
        (["run", "--engine", "llama=/usr"], "/usr: no llama.cpp: there is no include/llama.h"),
        (["run", "--jobs", "0"], "--jobs"),
        (["run", "--cases", "0"], "--cases 0"),
        (["run", "--cases", "5", "--time", "5s"], "only one of them"),
        (["run", "--time", "5"], "'5' is invalid for '--time"),
        (["run", "--shard", "3/2"], "'3/2' is invalid for '--shard"),
        (["run", "--memory-limit", "big"], "'big' is invalid for '--memory-limit"),
        (["run", "--json", "nowhere/log"], "nowhere/log: cannot be written: No such file or directory"),
        (["run", "--profile", "nowhere"], "--profile nowhere: no such file, nor Fuzz/nowhere.yaml"),
        (["replay", "missing.json"], "missing.json: no such file or folder"),
        (["replay", ".", "--inject", "x"], "no fault is named \"x\""),
        (["shrink", "missing.json", "-o", "x.json"], "missing.json: no such file"),
        (["shrink", "missing.gguf", "-o", "x.json"], "missing.gguf"),
        (["export", "missing.json", "-o", "x.gguf"], "missing.json: no such file"),
        (["show", "missing.json"], "missing.json: no such file"),
        (["results", "write", "--model", "missing.gguf", "--tokens", "1", "-o", "r.gguf"], "missing.gguf"),
        (["results", "write", "--model", "m.gguf", "--tokens", "1", "-o", "m.gguf"], "is the model itself"),
        (["results", "check", "--model", "missing.gguf", "-i", "r.gguf"], "r.gguf"),
        (["bench", "model", "--tokens", "0"], "--tokens"),
    ])
    func refusals(arguments: [String], named: String) throws {
        try withTemporaryFolder { folder in
            let program = try Program(arguments: arguments, in: folder)
            #expect(program.isRefusal, "\(program)")
            #expect(program.errors.contains(named))
        }
    }

    @Test("a malformed file is refused with file, offset and reason")
    func malformedFile() throws {
        try withTemporaryFolder { folder in
            _ = try Program("generate", "--arch", "llama", "--seed", "1", "-o", "toy.gguf", in: folder)
            let url = URL(fileURLWithPath: folder).appendingPathComponent("toy.gguf")
            try Data(contentsOf: url).prefix(100).write(to: url)
            let commands = [
                ["show", "toy.gguf"], ["results", "write", "--model", "toy.gguf", "--tokens", "1", "-o", "r.gguf"],
            ]
            for arguments in commands {
                let program = try Program(arguments: arguments, in: folder)
                #expect(program.isRefusal)
                #expect(program.errors.contains("toy.gguf: offset "))
            }
        }
    }

    @Test("a token outside the vocabulary is refused, and so is a device that a placement invents")
    func badModelInput() throws {
        try withTemporaryFolder { folder in
            _ = try Program("generate", "--arch", "llama", "--seed", "1", "-o", "toy.gguf", in: folder)
            let refused = [
                ["--tokens", "999999"], ["--tokens", "1", "--placement", "0=tpu"],
                ["--tokens", "1", "--placement", "(=cpu"],
            ]
            for arguments in refused {
                let program = try Program(
                    arguments: ["results", "write", "--model", "toy.gguf", "-o", "r.gguf"] + arguments, in: folder)
                #expect(program.isRefusal, "\(program)")
            }
        }
    }
}
