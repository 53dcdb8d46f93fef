import Architectures
import Devices
import Foundation
import GGUF
@testable import ModelGraph
import Testing

@testable import Inference

@Suite("Weight recipes")
struct WeightRecipeTests {
    private func weight(_ name: String, _ shape: Shape, _ role: Weight.Role) -> Weight {
        Weight(
            name: name, shape: shape, role: role, isOptional: false, layer: nil,
            bound: role == .places ? 2 * shape.count : 0)
    }

    private func floats(_ data: TensorData) throws -> [Float] {
        try data.bytes.withBytes { bytes in
            try Array<Float>(unsafeUninitializedCapacity: data.shape.count) { output, count in
                count = data.shape.count
                try data.type.decode(bytes, into: UnsafeMutableBufferPointer(rebasing: output[..<count]))
            }
        }
    }

    // The numbers of these three tests come from an implementation of `WeightGenerator`'s comment in Python.

    @Test("a projection has the documented bits, divided by the root of its fan-in")
    func projection() throws {
        let elements = try floats(WeightRecipe(seed: 42).draw(weight("blk.0.attn_q.weight", [64, 96], .projection)))
        let found = [0, 1, 2, 95, 4095, 5000].map { elements[$0].bitPattern }
        #expect(found == [0xBCF3_DA40, 0xBDCB_1AB0, 0x3E1F_CB1C, 0x3DE0_FD30, 0xBD85_F4D0, 0x3C95_5920])
    }

    @Test("a weight that no machine holds is refused, and not begun")
    func weightWithoutEnd() {
        let error = #expect(throws: ModelError.self) {
            try WeightRecipe(seed: 1).draw(weight("blk.0.attn_q.weight", [1 << 24, 1 << 24], .projection))
        }
        #expect(error?.reason == "takes 1073741824 MiB, more than the memory of this machine")
    }

    @Test("norms and decays have the documented bits")
    func normsAndDecays() throws {
        let norm = try floats(WeightRecipe(seed: 42).draw(weight("output_norm.weight", [4], .scale)))
        #expect(norm.map(\.bitPattern) == [0x3F96_18F2, 0x3F70_497B, 0x3F8B_E1DE, 0x3F9F_6FBA])
        let decay = try floats(WeightRecipe(seed: 7).draw(weight("blk.3.ssm_a", [4, 1], .decay)))
        #expect(decay.map(\.bitPattern) == [0xC116_AEBB, 0xC0F1_D4E8, 0xC133_5779, 0xC092_FCEC])
    }

    @Test("zeros and outliers fall where documented")
    func disturbances() throws {
        let recipe = WeightRecipe(seed: 1, rules: [.init(role: .projection, zeros: 0.25, outliers: 0.125)])
        let elements = try floats(recipe.draw(weight("blk.0.ffn_up.weight", [1, 32], .projection)))
        #expect(
            elements.prefix(12).map(\.bitPattern) == [
                0xBD4E_8AF0, 0xBDD7_F868, 0xBE1B_B388, 0, 0xBE7E_3D74, 0, 0xBE22_0A8C, 0, 0xBE21_B3EC, 0xBD3E_99F0,
                0xC0FF_FBD0, 0x3CDB_4500,
            ])
    }

    @Test("every role is drawn within its meaning", arguments: Weight.Role.allCases)
    func roles(_ role: Weight.Role) throws {
        let elements = try floats(WeightRecipe(seed: 3).draw(weight("w", [64, 64], role))).map(Double.init)
        let mean = elements.reduce(0, +) / Double(elements.count)
        let deviation = (elements.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(elements.count)).squareRoot()
        switch role {
        case .embedding, .projection, .convolution:
            #expect(abs(mean) < 0.01)
            #expect((0.11...0.14).contains(deviation))
        case .unscaledQuery: #expect((0.014...0.018).contains(deviation))
        case .router: #expect((0.22...0.28).contains(deviation))
        case .scale: #expect(elements.allSatisfy { (0.5...1.5).contains($0) })
        case .bias: #expect(elements.allSatisfy { abs($0) < 0.25 })
        case .selectionBias: #expect(elements.allSatisfy { abs($0) < 1 })
        case .decay: #expect(elements.allSatisfy { (-16 ... -1).contains($0) })
        case .timeStepBias: #expect(elements.allSatisfy { (0.0005...0.7).contains(log1p(exp($0))) })
        case .sink, .positionBias: #expect((0.9...1.1).contains(deviation))
        case .ropeFactor: #expect(elements.allSatisfy { (1...8).contains($0) })
        case .blend: #expect(elements.allSatisfy { (0...1).contains($0) })
        case .places:
            #expect(Set(elements).count == elements.count)
            #expect(elements.allSatisfy { (0..<8192).contains($0) && $0 == $0.rounded() })
        }
    }

    @Test("an element depends on seed and name, not on the tensor's shape or type")
    func independence() throws {
        let recipe = WeightRecipe(seed: 9)
        let narrow = try floats(recipe.draw(weight("a", [2, 64], .projection)))
        let long = try floats(recipe.draw(weight("a", [100, 64], .projection)))
        #expect(Array(long.prefix(128)) == narrow)
        #expect(try floats(recipe.draw(weight("b", [2, 64], .projection))) != narrow)
        #expect(try floats(WeightRecipe(seed: 10).draw(weight("a", [2, 64], .projection))) != narrow)
        let half = try floats(WeightRecipe(seed: 9, type: .bf16).draw(weight("a", [100, 64], .projection)))
        #expect(zip(half, long).allSatisfy { abs($0 - $1) <= abs($1) / 128 })
    }

    @Test("only large matrices take the recipe's type, and only where rows are whole blocks")
    func types() throws {
        let recipe = WeightRecipe(seed: 0, type: .q8_0, rules: [.init(pattern: "blk\\.1\\..*", type: .f16)])
        #expect(try recipe.type(of: weight("blk.0.ffn_up.weight", [8, 64], .projection)) == .q8_0)
        #expect(try recipe.type(of: weight("blk.0.ffn_up.weight", [8, 65], .projection)) == .f32)
        #expect(try recipe.type(of: weight("blk.1.ffn_up.weight", [8, 65], .projection)) == .f16)
        for (type, smaller) in [(TensorType.q4_K, TensorType.q5_0), (.iq1_M, .iq4_NL), (.q2_0, .q4_0), (.nvfp4, .f32)] {
            let recipe = WeightRecipe(seed: 0, type: type)
            #expect(try recipe.type(of: weight("a", [8, 512], .projection)) == type)
            #expect(try recipe.type(of: weight("a", [8, 32], .projection)) == smaller)
            #expect(try recipe.type(of: weight("a", [8, 100], .projection)) == .f32)
        }
        #expect(try recipe.type(of: weight("blk.1.attn_norm.weight", [64], .scale)) == .f32)
        #expect(try recipe.type(of: weight("blk.1.ffn_gate_inp.weight", [8, 64], .router)) == .f32)
        #expect(try recipe.type(of: weight("blk.1.ssm_conv1d.weight", [64, 4], .convolution)) == .f32)
    }

    @Test("types are encoded in whole rows", arguments: [
        (TensorType.f16, 2e-4), (.bf16, 2e-4), (.q8_0, 2e-4), (.q4_0, 2e-2), (.mxfp4, 3e-2), (.q4_K, 1e-2),
        (.q6_K, 1e-3), (.iq3_S, 5e-2), (.iq1_S, 0.4),
    ])
    func encoding(_ type: TensorType, bound: Double) throws {
        let shape: Shape = [3, 50, 256]
        let exact = try floats(WeightRecipe(seed: 5).draw(weight("w", shape, .projection)))
        let data = try WeightRecipe(seed: 5, type: type).draw(weight("w", shape, .projection))
        #expect(data.type == type)
        let error = zip(try floats(data), exact).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let power = exact.reduce(0.0) { $0 + Double($1 * $1) }
        #expect(error / power < bound)
        #expect(error > 0)
    }

    @Test("for each property the first rule that states it wins")
    func precedence() throws {
        let recipe = WeightRecipe(
            seed: 0,
            rules: [
                .init(pattern: ".*up.*", type: .f16),
                .init(role: .projection, type: .bf16, distribution: .constant(value: 3)),
                .init(distribution: .constant(value: 4)),
            ])
        let up = try recipe.draw(weight("ffn_up", [2, 2], .projection))
        #expect(up.type == .f16)
        #expect(try floats(up) == [3, 3, 3, 3])
        #expect(try floats(recipe.draw(weight("norm", [1], .scale))) == [4])
    }

    @Test("a pattern matches whole names, and a malformed one is quoted")
    func patterns() throws {
        let partial = WeightRecipe(seed: 0, rules: [.init(pattern: "up", distribution: .constant(value: 0))])
        #expect(try floats(partial.draw(weight("ffn_up", [1, 1], .projection))) != [0])
        let malformed = WeightRecipe(seed: 0, rules: [.init(pattern: "(", distribution: .constant(value: 0))])
        let error = #expect(throws: ModelError.self) { try malformed.draw(weight("a", [1], .bias)) }
        #expect(error?.subject == "pattern \"(\"")
        // Its steps double with each letter.
        let endless = WeightRecipe(seed: 0, rules: [.init(pattern: "(a+)+b", distribution: .constant(value: 0))])
        let name = String(repeating: "a", count: 63)
        let late = #expect(throws: ModelError.self) { try endless.draw(weight(name, [1], .bias)) }
        #expect(late?.reason.hasPrefix("takes too long to match \"aaa") == true)
    }

    @Test(
        "numbers that no distribution has are refused",
        arguments: [
            WeightRecipe.Rule(distribution: .normal(mean: .nan, deviation: 1)),
            .init(distribution: .normal(mean: 0, deviation: -1)),
            .init(distribution: .uniform(lower: 1, upper: 0)),
            .init(distribution: .constant(value: 1e300)),
            .init(zeros: -1), .init(outliers: .nan), .init(outliers: 2),
        ])
    func hostileNumbers(_ rule: WeightRecipe.Rule) {
        #expect(throws: ModelError.self) {
            try WeightRecipe(seed: 0, rules: [rule]).draw(weight("a", [2, 2], .projection))
        }
    }

    @Test("a recipe survives JSON, adversities included", arguments: Adversity.allCases)
    func json(_ adversity: Adversity) throws {
        let recipe = WeightRecipe(
            seed: .max, type: .q4_0, adversities: [adversity], rules: [.init(pattern: "a", type: .f16)])
        let copy = try JSONDecoder().decode(WeightRecipe.self, from: JSONEncoder().encode(recipe))
        #expect(copy == recipe)
    }
}

@Suite("Adversities")
struct AdversityTests {
    /// What the model's first `rows` tokens give as router logits, layer by layer.
    private func routerLogits(_ toy: Toy, _ recipe: WeightRecipe) throws -> [[Double]] {
        let drawn = try toy.drawn()
        let model = try Model(MemorySource(drawn.metadata, optional: .only(drawn.optionalTensors), recipe: recipe))
        let session = try model.session()
        let tokens = model.tokens(16)
        var graph = try model.graph(BatchShape(tokens: 16, outputs: 16, cells: 32, context: 64))
        let routers = graph.nodes.filter { node in
            guard node.op == .matmul,
                case .weight(let index) = graph.values[node.operands[1]].source else { return false }
            return graph.weights[index].role == .router && graph.weights[index].shape[0] > 1
        }
        return try routers.map { router in
            graph.outputs = [.embeddings: router.result]
            let inputs: [Input: HostTensor] = [
                .tokens: .index(tokens.map(Int32.init)), .positions: .index((0..<16).map(Int32.init)),
                .sequences: .index(Array(repeating: 1, count: 16)), .slots: .index(Array(repeating: 0, count: 16)),
                .cells: .index((0..<16).map(Int32.init)), .outputs: .index((0..<16).map(Int32.init)),
                .cellPositions: .index((0..<32).map { $0 < 16 ? $0 : -1 }),
                .cellSequences: .index((0..<32).map { $0 < 16 ? 1 : 0 }),
            ]
            return try session.compile(graph).run(inputs, wanted: [.embeddings])[.embeddings]?.1.doubles ?? []
        }
    }

    @Test(
        "negative routing makes every router logit negative", arguments: ["qwen3moe", "deepseek2", "llama4", "gpt-oss"])
    func negativeRouting(_ name: String) throws {
        let architecture = try ArchitectureCatalog.named(name)
        var seen = 0
        for seed in 0..<6 as Range<UInt64> {
            let toy = Toy(architecture: architecture, seed: seed)
            for logits in try routerLogits(toy, WeightRecipe(seed: seed, adversities: [.negativeRouting])) {
                #expect(logits.allSatisfy { $0 < 0 }, "seed \(seed): \(logits.max() ?? 0)")
                seen += 1
            }
        }
        #expect(seen > 0)
    }

    @Test(
        "router logits are spread: near ties between experts are rare",
        arguments: ["qwen3moe", "deepseek2", "kimi-linear"])
    func spread(_ name: String) throws {
        let architecture = try ArchitectureCatalog.named(name)
        var gaps: [Double] = []
        for seed in 0..<6 as Range<UInt64> {
            let toy = Toy(architecture: architecture, seed: seed)
            let experts = try toy.model().weights.first { $0.role == .router }?.shape[0] ?? 1
            for logits in try routerLogits(toy, WeightRecipe(seed: seed)) {
                for token in 0 ..< logits.count / experts {
                    let scores = logits[token * experts ..< (token + 1) * experts].sorted()
                    gaps += zip(scores.dropFirst(), scores).map { $0 - $1 }
                }
            }
        }
        #expect(gaps.count > 100)
        #expect(Double(gaps.count { $0 < 1e-3 }) / Double(gaps.count) < 0.02)
    }
}
