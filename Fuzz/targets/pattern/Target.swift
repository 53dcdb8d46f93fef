import FuzzTarget

@testable import Tokenizers

/// The patterns of pre-tokenizers: any text is one, or is refused.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        _ = try Pattern(parsing: String(decoding: input, as: UTF8.self))
    }

    var seeds: [[UInt8]] {
        PreTokenizer.all.flatMap(\.steps).map { step in
            switch step {
            case .pattern(let source), .groups(let source, _): Array(source.utf8)
            }
        }
    }
}
