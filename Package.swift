// swift-tools-version: 6.1
import PackageDescription

// Imports point one way: a target sees only what it lists here, and nothing lists what is above it.
let package = Package(
    name: "gguf-fuzz",
    products: [
        .executable(name: "gguf-fuzz", targets: ["gguf-fuzz"]),
        .library(name: "GGUF", targets: ["GGUF"]),
        .library(name: "Tokenizers", targets: ["Tokenizers"]),
        .library(name: "Inference", targets: ["Inference"]),
        // What an engine of one's own conforms to, with the modules whose types that names; and what tests it.
        .library(name: "Engines", targets: ["Engines", "Inference", "Devices", "GGUF"]),
        .library(name: "Fuzzing", targets: ["Fuzzing"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    ],
    targets: [
        // What the bytes of each tensor type mean.
        .target(name: "CQuants"),
        .target(name: "CSystem"),
        .target(name: "GGUF", dependencies: ["CQuants", "CSystem"]),
        .target(name: "Tokenizers", dependencies: ["GGUF"]),
        .target(name: "PropertyTesting"),
        .target(name: "ModelGraph", dependencies: ["GGUF"]),
        .target(name: "Architectures", dependencies: ["ModelGraph", "PropertyTesting"]),
        .target(name: "CKernels", dependencies: ["CQuants"]),
        .target(name: "CInstructionSets"),
        .target(name: "CReference", dependencies: ["CInstructionSets"], cSettings: [.headerSearchPath(".")]),
        .target(name: "CWeights", dependencies: ["CInstructionSets"], cSettings: [.headerSearchPath(".")]),
        .target(name: "Devices", dependencies: ["ModelGraph", "CKernels", "CReference"]),
        .target(name: "CVulkan", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(
            name: "VulkanDevice", dependencies: ["ModelGraph", "Devices", "CVulkan"],
            exclude: ["Shaders"]),
        // Known defects, put into a device on purpose.
        .target(name: "Faults", dependencies: ["ModelGraph", "Devices"]),
        .target(name: "Inference", dependencies: ["Architectures", "Devices", "VulkanDevice", "CWeights"]),
        // The table of functions by which llama.cpp is called; a header.
        .target(name: "CLlama"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "Engines",
            dependencies: [
                "Inference", "Faults", "Devices", "Architectures", "Tokenizers", "GGUF", "CLlama", "CSystem",
                "COpenSSL",
            ],
            // Compiled on the user's machine, against the headers of the llama.cpp under test.
            resources: [.embedInCode("Llama/Bridge/bridge.c"), .embedInCode("Llama/Bridge/CLlama.h")]),
        .target(
            name: "Fuzzing",
            dependencies: [
                "Engines", "Faults", "Inference", "Devices", "Architectures", "ModelGraph", "Tokenizers", "GGUF",
                "PropertyTesting",
            ]),
        .executableTarget(
            name: "gguf-fuzz",
            dependencies: [
                "Fuzzing", "Engines", "Faults", "Inference", "Architectures", "Devices", "ModelGraph", "GGUF", "PropertyTesting",
                "Tokenizers", "CSystem", "VulkanDevice",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
                .product(name: "Mustache", package: "swift-mustache"),
            ],
            // The program is one file.
            resources: [.embedInCode("Profiles"), .embedInCode("Report/Templates")]),
        .testTarget(name: "GGUFTests", dependencies: ["GGUF", "CQuants"]),
        .testTarget(name: "TokenizersTests", dependencies: ["Tokenizers", "GGUF"]),
        .testTarget(name: "PropertyTestingTests", dependencies: ["PropertyTesting"]),
        .testTarget(name: "ModelGraphTests", dependencies: ["ModelGraph"]),
        .testTarget(name: "ArchitecturesTests", dependencies: ["Architectures"], exclude: ["released.txt"]),
        .testTarget(
            name: "InferenceTests",
            dependencies: [
                "Inference", "Architectures", "ModelGraph", "Devices", "VulkanDevice", "GGUF", "PropertyTesting",
            ]),
        .testTarget(name: "VulkanDeviceTests", dependencies: ["VulkanDevice", "DeviceTestSupport"]),
        // Graphs that cover every op, on which all devices are compared with the reference.
        .target(
            name: "DeviceTestSupport", dependencies: ["Devices", "PropertyTesting"], path: "Tests/DeviceTestSupport"),
        .testTarget(
            name: "FaultsTests",
            dependencies: ["Faults", "Devices", "ModelGraph", "Inference", "Architectures", "GGUF", "PropertyTesting"]),
        .testTarget(name: "DevicesTests", dependencies: ["Devices", "DeviceTestSupport"]),
        .testTarget(
            name: "EnginesTests",
            dependencies: ["Engines", "Inference", "Devices", "GGUF", "PropertyTesting", "gguf-fuzz"],
            exclude: ["Crashes"]),
        .testTarget(
            name: "FuzzingTests",
            dependencies: [
                "Fuzzing", "Engines", "Faults", "Inference", "Devices", "Architectures", "ModelGraph", "Tokenizers",
                "GGUF", "PropertyTesting",
            ]),
        // The fuzz suite: every file of the corpus, and random cases of every architecture.
        .testTarget(
            name: "FuzzTests", dependencies: ["Fuzzing", "Engines", "Faults", "Inference", "Devices", "Architectures"]),
        // An engine of one's own, as a user of the library would write and test it: public products only.
        .testTarget(name: "LibraryExampleTests", dependencies: ["Fuzzing", "Engines", "Inference", "Devices", "GGUF"]),
        // Runs the built program as a stranger would.
        .testTarget(
            name: "CommandLineTests",
            dependencies: ["gguf-fuzz", "GGUF"],
            exclude: ["FakeLlama"]),
    ]
)

// What tests and long debug runs wait for is optimised in debug builds too. Where this is somebody's dependency it is
// not: SwiftPM has no such flags there.
if !Context.packageDirectory.contains("/checkouts/") {
    let swift = [
        "GGUF", "Tokenizers", "PropertyTesting", "ModelGraph", "Architectures", "Devices", "Faults", "Inference",
        "Engines", "Fuzzing",
    ]
    let c = ["CQuants", "CKernels", "CReference", "CWeights"]
    for target in package.targets {
        if swift.contains(target.name) {
            target.swiftSettings = [.unsafeFlags(["-O"], .when(configuration: .debug))]
        } else if c.contains(target.name) {
            target.cSettings = (target.cSettings ?? []) + [.unsafeFlags(["-O2"], .when(configuration: .debug))]
        }
    }
}
