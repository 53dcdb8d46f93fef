import Engines
import Foundation
import Inference

/// What a session of `TinyEngine` remembers: each token's rotated keys and values.
final class TinySession: ScriptSession {
    private struct Cell: Codable {
        var position: Int
        var sequences: SequenceSet
        /// Of each layer.
        var keys: [[Float]] = []
        var values: [[Float]] = []
    }
    private let model: TinyModel
    private var cells: [Cell] = []

    init(_ model: TinyModel) { self.model = model }

    func encode(_ batch: Batch) throws -> StepResult { throw Unsupported("encoders") }

    func process(_ batch: Batch) throws -> StepResult {
        var (keys, rows, width) = ([Int](), [Double](), 0)
        for (index, token) in batch.tokens.enumerated() {
            let logits = try process(token)
            guard token.wantsOutput else { continue }
            keys.append(index)
            rows += logits.map(Double.init)
            width = logits.count
        }
        return StepResult(logits: keys.isEmpty ? nil : Rows(keys: keys, width: width, elements: rows))
    }

    private func process(_ token: Batch.Token) throws -> [Float] {
        let embeddings = try model.matrix("token_embd.weight").elements
        var x = Array(embeddings[token.id * model.width..<(token.id + 1) * model.width])
        cells.append(Cell(position: token.position, sequences: token.sequences))
        let own = cells.count - 1
        let seen = cells.indices.filter {
            cells[$0].sequences.bits & token.sequences.bits != 0 && cells[$0].position <= token.position
        }
        for layer in 0..<model.layers {
            let block = "blk.\(layer)."
            let (queries, keys) = (model.heads * model.headSize, model.groups * model.headSize)
            let qkv = try model.projections(block, model.norm("\(block)attn_norm", x))
            let query = model.rotated(qkv[..<queries], by: token.position, magnitude: model.magnitude)
            cells[own].keys.append(
                model.rotated(qkv[queries..<queries + keys], by: token.position, magnitude: model.magnitude))
            cells[own].values.append(Array(qkv[(queries + keys)...]))
            x = model.sum(x, try model.linear("\(block)attn_output", attention(query, layer, seen)))

            let normed = try model.norm("\(block)ffn_norm", x)
            let gate = try model.linear("\(block)ffn_gate", normed).map { $0 / (1 + exp(-$0)) }
            let hidden = zip(gate, try model.linear("\(block)ffn_up", normed)).map { $0 * $1 }
            x = model.sum(x, try model.linear("\(block)ffn_down", hidden))
        }
        let output = model.weights["output.weight"] == nil ? "token_embd" : "output"
        return try model.linear(output, model.norm("output_norm", x))
    }

    private func attention(_ query: [Float], _ layer: Int, _ seen: [Int]) -> [Float] {
        let size = model.headSize
        return (0..<model.heads).flatMap { head -> [Float] in
            let group = model.defect == .interleavedHeads ? head % model.groups : head / (model.heads / model.groups)
            let scores = seen.map { cell in
                (0..<size).reduce(Float(0)) {
                    $0 + query[head * size + $1] * cells[cell].keys[layer][group * size + $1]
                }
                    / Float(size).squareRoot()
            }
            let greatest = scores.max() ?? 0
            let weights = scores.map { exp($0 - greatest) }
            let total = weights.reduce(0, +)
            return (0..<size).map { element in
                zip(weights, seen).reduce(Float(0)) {
                    $0 + $1.0 / total * cells[$1.1].values[layer][group * size + element]
                }
            }
        }
    }

    // MARK: What scripts ask for besides

    func remove(_ sequence: Int?, _ positions: Range<Int>) -> Bool {
        for index in cells.indices where positions.contains(cells[index].position) {
            if let sequence { cells[index].sequences.remove(sequence) } else { cells[index].sequences = [] }
        }
        cells.removeAll { $0.sequences.isEmpty }
        return true
    }

    func keep(_ sequence: Int) {
        cells = cells.filter { $0.sequences.contains(sequence) }
        for index in cells.indices { cells[index].sequences = SequenceSet(sequence) }
    }

    func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) -> Bool {
        _ = remove(destination, .allPositions)
        for index in cells.indices
        where cells[index].sequences.contains(source) && positions.contains(cells[index].position) {
            cells[index].sequences.insert(destination)
        }
        return true
    }

    func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) { move(sequence, positions) { $0 + delta } }

    func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) {
        move(sequence, positions) { $0 / divisor }
    }

    private func move(_ sequence: Int, _ positions: Range<Int>, to target: (Int) -> Int) {
        for index in cells.indices
        where cells[index].sequences.contains(sequence) && positions.contains(cells[index].position) {
            let delta = target(cells[index].position) - cells[index].position
            cells[index].position += delta
            guard model.defect != .forgottenRotation else { continue }
            cells[index].keys = cells[index].keys.map { model.rotated($0[...], by: delta, magnitude: 1) }
        }
        cells.removeAll { $0.position < 0 }
    }

    func save(_ sequence: Int?) throws -> [UInt8] {
        let kept = sequence.map { sequence in cells.filter { $0.sequences.contains(sequence) } } ?? cells
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        return Array(try encoder.encode(kept))
    }

    func restore(_ state: [UInt8], _ sequence: Int?) throws {
        var saved = try PropertyListDecoder().decode([Cell].self, from: Data(state))
        if let sequence {
            _ = remove(sequence, .allPositions)
            for index in saved.indices { saved[index].sequences = SequenceSet(sequence) }
            cells += saved
        } else {
            cells = saved
        }
    }

    func clear() { cells = [] }
}
