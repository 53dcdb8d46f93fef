import FuzzTarget

@testable import Commands

/// Profiles of runs: YAML whose keys are options.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        let path = try file(input)
        do {
            _ = try Profile.options(path)
        } catch {
            // As the program ends with it.
            throw CommandError(CommandError.line("\(error)"))
        }
    }

    var seeds: [[UInt8]] {
        [
            PackageResources.nightly_yaml, PackageResources.one_architecture_yaml, PackageResources.quick_yaml,
            Array(
                """
                arch: [llama, gpt2]
                device: cpu
                check: all
                seed: 7
                time: 90s
                jobs: 2
                shard: 1/2
                known: Corpus
                shrink-time: 1m
                engine: [builtin, "worker=python3 w.py"]
                memory-limit: 4G
                in-process: true
                """.utf8),
        ]
    }
}
