/// A command of a shell block.
struct ShellCommand {
    /// As it is typed, without the prompt; or, of a block that shows no output, all of its lines.
    var text: String
    /// What the page shows of its output, as indices of the page's lines; none where the block shows no output.
    var output: Range<Int>?

    /// The commands of a block: lines that begin with `$ `, with those that they go on in, and what is below each is
    /// what it prints. Without a prompt, the whole block is one script.
    static func commands(of block: DocumentedPage.Block, in page: DocumentedPage) -> [ShellCommand] {
        let starts = block.range.filter { page.lines[$0].hasPrefix("$ ") }
        guard !starts.isEmpty else {
            return [ShellCommand(text: page.lines[block.range].joined(separator: "\n"), output: nil)]
        }
        return zip(starts, starts.dropFirst() + [block.range.upperBound]).map { start, next in
            var end = start
            while page.lines[end].hasSuffix("\\"), end + 1 < next { end += 1 }
            let text = page.lines[start...end].joined(separator: "\n").dropFirst(2)
            return ShellCommand(text: String(text), output: end + 1..<next)
        }
    }

    /// The words of each simple command in a script, quotes and comments taken off.
    static func simpleCommands(in script: String) -> [[String]] {
        var commands: [[String]] = [[]]
        var word: String?
        var quote: Character?
        var isComment = false
        func endWord() {
            if let ended = word { commands[commands.count - 1].append(ended) }
            word = nil
        }
        for character in script.replacing("\\\n", with: " ") {
            if isComment {
                isComment = character != "\n"
                if isComment { continue }
            }
            if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
                continue
            }
            switch character {
            case "'", "\"": (quote, word) = (character, word ?? "")
            case " ": endWord()
            case "#" where word == nil: isComment = true
            case "\n", ";", "|", "&", "(", ")": endWord(); commands.append([])
            default: word = (word ?? "") + String(character)
            }
        }
        endWord()
        return commands.filter { !$0.isEmpty }
    }
}
