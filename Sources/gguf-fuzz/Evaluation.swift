import Devices
import Inference

/// What a model gives for one sequence of tokens.
struct Evaluation {
    enum Kind: String, Sendable { case logits, embeddings }

    var kind: Kind
    var rows: Output.Rows

    /// Processes the tokens, after the encoder's where the model has one.
    init(_ session: Session, tokens: [Int], encoderTokens: [Int]) throws {
        if session.model.architecture.traits.hasEncoder { try session.encode(Batch(encoderTokens)) }
        let output = try session.process(Batch(tokens))
        if let logits = output.logits {
            (kind, rows) = (.logits, logits)
        } else if let embeddings = output.embeddings {
            (kind, rows) = (.embeddings, embeddings)
        } else {
            throw CommandError("the model gives neither logits nor embeddings")
        }
    }

    var values: [[Double]] { rows.keys.indices.map(rows.row(at:)) }
}
