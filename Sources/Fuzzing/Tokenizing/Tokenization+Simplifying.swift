import GGUF
import Tokenizers

extension Tokenization {
    /// What is simpler of two that fail in the same way: shorter texts, then fewer tokens and merges, then fewer keys.
    var size: [Int] {
        let asked = texts.count { $0.addSpecial } + texts.count { $0.parseSpecial }
        return [
            texts.reduce(0) { $0 + $1.length }, texts.count, tokens.count, merges.count,
            texts.reduce(0) { $0 + $1.pieces.count }, vocabulary.count, asked, tokens.reduce(0) { $0 + $1.utf8.count },
        ]
    }

    private var merges: [String] {
        if case .array(.string(let merges)) = vocabulary[TokenizerKey.merges] { merges } else { [] }
    }

    /// Without some tokens: what is told by their numbers is of the same ones as before, where they are there.
    fileprivate func removing(tokens range: Range<Int>) -> Tokenization {
        var result = self
        for key in [TokenizerKey.tokens, TokenizerKey.types, TokenizerKey.scores] {
            if let array = vocabulary.array(key) { result.vocabulary[key] = .array(array.removing(range)) }
        }
        for (key, value) in vocabulary where key.hasSuffix("_token_id") {
            guard let id = value.integer, id >= range.lowerBound, id < tokens.count else { continue }
            result.vocabulary[key] = range.contains(id) ? nil : .uint32(UInt32(id - range.count))
        }
        return result
    }

    fileprivate func removing(merges range: Range<Int>) -> Tokenization {
        var result = self
        if let array = vocabulary.array(TokenizerKey.merges) {
            result.vocabulary[TokenizerKey.merges] = .array(array.removing(range))
        }
        return result
    }
}

extension MetadataArray {
    /// Of the same type, without the elements of a range, as far as there are any.
    fileprivate func removing(_ range: Range<Int>) -> MetadataArray {
        let left = elements.enumerated().filter { !range.contains($0.offset) }.map(\.element)
        return MetadataArray(left, of: elementKind) ?? self
    }
}

extension CaseSearch {
    mutating func simplifyTokenization() {
        cut { $0.tokenization?.texts.count ?? 0 } _: { subject, part in
            subject.editing { $0.texts.removeSubrange(part) }
        }
        for text in (0..<(best.tokenization?.texts.count ?? 0)).reversed() { simplify(text: text) }
        cut { $0.tokenization?.tokens.count ?? 0 } _: { subject, part in
            subject.editing { $0 = $0.removing(tokens: part) }
        }
        cut { $0.tokenization?.vocabulary.array(TokenizerKey.merges)?.count ?? 0 } _: { subject, part in
            subject.editing { $0 = $0.removing(merges: part) }
        }
        for key in best.tokenization?.vocabulary.keys.reversed() ?? [] {
            attempt { $0.vocabulary[key] = nil }
        }
        simplifyTokens()
    }

    @discardableResult
    private mutating func attempt(_ edit: (inout Tokenization) -> Void) -> Bool {
        attempt(best.editing(edit))
    }

    private mutating func simplify(text number: Int) {
        func text(_ subject: Case) -> TokenizedText? {
            subject.tokenization.flatMap { $0.texts.indices.contains(number) ? $0.texts[number] : nil }
        }
        cut { text($0)?.pieces.count ?? 0 } _: { subject, part in
            subject.editing { $0.texts[number].pieces.removeSubrange(part) }
        }
        for piece in (0..<(text(best)?.pieces.count ?? 0)).reversed() {
            // The least number of times, as if fewer always meant that it passes.
            var (low, high) = (0, text(best)?.pieces[piece].times ?? 0)
            while high - low > 1, !isExhausted {
                let middle = low == 0 ? 1 : (low + high) / 2
                if attempt({ $0.texts[number].pieces[piece].times = middle }) { high = middle } else { low = middle }
            }
            cut { text($0)?.pieces[piece].bytes.count ?? 0 } _: { subject, part in
                subject.editing { $0.texts[number].pieces[piece].bytes.removeSubrange(part) }
            }
        }
        attempt { $0.texts[number].addSpecial = false }
        attempt { $0.texts[number].parseSpecial = false }
        attempt { tokenization in
            let bytes = tokenization.texts[number].bytes
            if bytes.count <= 256 { tokenization.texts[number].pieces = [.init(bytes)] }
        }
    }

    /// Makes tokens shorter that are there for their place only.
    private mutating func simplifyTokens() {
        for number in best.tokenization?.tokens.indices.prefix(32) ?? 0..<0 {
            attempt { tokenization in
                var tokens = tokenization.tokens
                guard tokens.indices.contains(number), tokens[number].utf8.count > 1 else { return }
                tokens[number] = "a"
                guard Set(tokens).count == Set(tokenization.tokens).count else { return }
                tokenization.vocabulary[TokenizerKey.tokens] = .array(.string(tokens))
            }
        }
    }
}

extension Case {
    fileprivate func editing(_ edit: (inout Tokenization) -> Void) -> Case {
        var result = self
        if var tokenization {
            edit(&tokenization)
            result.tokenization = tokenization
        }
        return result
    }
}
