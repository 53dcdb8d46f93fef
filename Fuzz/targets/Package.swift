// swift-tools-version: 6.1
import PackageDescription

/// - Parameters:
///   - name: of the target, and of its folder.
///   - products: of the program's package, that it reads with.
///   - modules: of this package.
func target(_ name: String, _ products: String..., modules: [String] = []) -> Target {
    .executableTarget(
        name: "fuzz-\(name)",
        dependencies: ["FuzzTarget"] + products.map { .product(name: $0, package: "gguf-fuzz") }
            + modules.map { .target(name: $0) },
        path: name,
        linkerSettings: [
            // libFuzzer brings a main function, which gives way to the target's own.
            .unsafeFlags(["-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "muldefs"])
        ])
}

// A package of its own: who builds the program builds nothing of this. `CI/fuzz-targets` builds it, with the flags that
// instrument what is under test.
let package = Package(
    name: "fuzz-targets",
    dependencies: [
        .package(name: "gguf-fuzz", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    ],
    targets: [
        .systemLibrary(name: "CLibFuzzer", path: "CLibFuzzer"),
        .target(name: "FuzzTarget", dependencies: ["CLibFuzzer"], path: "Shared"),
        // The program once more, as a library: of another package's program, nothing can be called.
        .target(
            name: "Commands",
            dependencies: [
                .product(name: "Fuzzing", package: "gguf-fuzz"), .product(name: "Tokenizers", package: "gguf-fuzz"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"), .product(name: "Mustache", package: "swift-mustache"),
            ],
            path: "Commands", resources: [.embedInCode("Profiles"), .embedInCode("Report/Templates")],
            swiftSettings: [
                // Its main function by another name; what it warns of is that it is another package now.
                .unsafeFlags(
                    ["-Xfrontend", "-entry-point-function-name", "-Xfrontend", "commands_main", "-suppress-warnings"])
            ]),
        target("gguf", "GGUF"),
        target("split", "GGUF"),
        target("tokenizer", "GGUF", "Tokenizers"),
        target("pattern", "Tokenizers"),
        target("model", "Inference"),
        target("placement", "Inference"),
        target("state", "Inference"),
        target("worker", "Engines"),
        target("symbols", "Engines"),
        target("corpus", "Fuzzing"),
        target("results", modules: ["Commands"]),
        target("profile", modules: ["Commands"]),
    ])
