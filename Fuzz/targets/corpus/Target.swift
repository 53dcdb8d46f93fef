import FuzzTarget
import Fuzzing

/// Corpus files: one that is read is written as one that reads as the same case.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        let entry = try CorpusEntry(path: file(input))
        _ = entry.title
        _ = Corpus(folder: "corpus").path(of: entry)
        let text = try entry.text()
        let again = try CorpusEntry(path: file(Array(text.utf8)))
        expect(again == entry || (try? again.text()) == text, "another case")
    }

    /// The corpus is in files.
    var seeds: [[UInt8]] { [] }
}
