/// A regular expression over Unicode scalars, as pre-tokenizers write them: alternatives (the first that matches
/// wins), groups, greedy `?`, `*`, `+`, `{n}`, `{m,n}`, lookahead, `$` for the end of the piece, and sets:
/// `\s \S \d`, `\p{L}`, `\p{N}`, `\p{M}`, `\p{P}`, `\p{S}`, `\p{Han}`, `\uXXXX`, `\u{XXXXX}`, `[...]`, `[^...]`, and
/// `[...--[...]]` for what the first has and the second has not. What may be empty is not repeated.
///
/// Compiled to a program for a backtracking matcher. A run of one set is one instruction, so that the patterns of
/// `PreTokenizer.all` take time linear in the text.
struct Pattern: Sendable {
    enum Instruction: Sendable {
        case run(set: Int, minimum: Int, maximum: Int)
        /// Goes on at the first, and if that comes to nothing at the second.
        case split(Int, Int)
        case jump(Int)
        /// What follows, up to `accept`, must match here, or must not; goes on after it.
        case lookahead(isNegated: Bool, next: Int)
        case end
        case accept
    }
    /// Repetitions within repetitions multiply.
    private static let maximumLength = 4096
    private(set) var program: [Instruction] = []
    private(set) var sets: [ScalarSet] = []

    /// Of a constant of this program: what is not in the language above is a mistake in it, and traps.
    init(_ source: String) {
        do {
            try self.init(parsing: source)
        } catch {
            preconditionFailure("\(source): \(error)")
        }
    }

    /// - Throws: `PatternError` for what is not in the language above, or is too long.
    init(parsing source: String) throws(PatternError) {
        var parser = PatternParser(source)
        let node = try parser.parse()
        try emit(node)
        program.append(.accept)
    }

    private mutating func emit(_ node: PatternNode) throws(PatternError) {
        guard program.count < Self.maximumLength else {
            throw PatternError(position: 0, reason: "takes more than \(Self.maximumLength) instructions")
        }
        switch node {
        case .set(let set): emit(set, 1, 1)
        case .end: program.append(.end)
        case .sequence(let nodes): for node in nodes { try emit(node) }
        case .alternatives(let nodes):
            var jumps: [Int] = []
            for node in nodes.dropLast() {
                let split = program.count
                program.append(.split(split + 1, 0))
                try emit(node)
                jumps.append(program.count)
                program.append(.jump(0))
                program[split] = .split(split + 1, program.count)
            }
            if let last = nodes.last { try emit(last) }
            for jump in jumps { program[jump] = .jump(program.count) }
        case .lookahead(let body, let isNegated):
            let start = program.count
            program.append(.accept)
            try emit(body)
            program.append(.accept)
            program[start] = .lookahead(isNegated: isNegated, next: program.count)
        case .repeated(.set(let set), let minimum, let maximum):
            emit(set, minimum, maximum)
        case .repeated(let body, let minimum, let maximum):
            for _ in 0..<minimum { try emit(body) }
            if maximum == .max {
                let split = program.count
                program.append(.split(split + 1, 0))
                try emit(body)
                program.append(.jump(split))
                program[split] = .split(split + 1, program.count)
            } else {
                var splits: [Int] = []
                for _ in minimum..<maximum {
                    splits.append(program.count)
                    program.append(.split(0, 0))
                    try emit(body)
                }
                for split in splits { program[split] = .split(split + 1, program.count) }
            }
        }
    }

    private mutating func emit(_ set: ScalarSet, _ minimum: Int, _ maximum: Int) {
        let index = sets.firstIndex(of: set) ?? sets.count
        if index == sets.count { sets.append(set) }
        program.append(.run(set: index, minimum: minimum, maximum: maximum))
    }
}

/// The end of a piece in which a pattern is tried, and what to go back to where it fails.
struct PatternMatcher {
    private struct Choice {
        var instruction: Int
        /// Where to go on; after a run, each place down to `lowest` in turn.
        var position: Int
        var lowest: Int
    }
    private var choices: [Choice] = []

    /// The matches of a pattern from left to right, each from where the last one ended. None is empty.
    mutating func forEachMatch(
        of pattern: Pattern, in text: ScalarText, _ piece: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        var start = piece.lowerBound
        while start < piece.upperBound {
            if let end = match(pattern, 0, text, start, piece.upperBound), end > start {
                body(start..<end)
                start = end
            } else {
                start += 1
                // It has tried every end of a run that it began with, so within the run it would find nothing either.
                guard case .run(let set, 1, .max) = pattern.program[0], text.matches(pattern.sets[set], start - 1)
                else { continue }
                while start < piece.upperBound, text.matches(pattern.sets[set], start) { start += 1 }
            }
        }
    }

    /// The end of the match that starts at a place; nil where there is none.
    private mutating func match(
        _ pattern: Pattern, _ entry: Int, _ text: ScalarText, _ start: Int, _ limit: Int
    ) -> Int? {
        let base = choices.count
        defer { choices.removeLast(choices.count - base) }
        var instruction = entry
        var position = start
        while true {
            var isAlive = true
            switch pattern.program[instruction] {
            case .accept:
                return position
            case .run(let index, let minimum, let maximum):
                let set = pattern.sets[index]
                let first = position
                let last = maximum > limit - position ? limit : position + maximum
                while position < last, text.matches(set, position) { position += 1 }
                isAlive = position - first >= minimum
                instruction += 1
                if isAlive, position - first > minimum {
                    choices.append(
                        Choice(instruction: instruction, position: position - 1, lowest: first + minimum))
                }
            case .split(let first, let second):
                choices.append(Choice(instruction: second, position: position, lowest: position))
                instruction = first
            case .jump(let target):
                instruction = target
            case .lookahead(let isNegated, let next):
                let isThere = match(pattern, instruction + 1, text, position, limit) != nil
                isAlive = isThere != isNegated
                instruction = next
            case .end:
                isAlive = position == limit
                instruction += 1
            }
            if isAlive { continue }
            guard choices.count > base else { return nil }
            let choice = choices[choices.count - 1]
            (instruction, position) = (choice.instruction, choice.position)
            if position > choice.lowest {
                choices[choices.count - 1].position -= 1
            } else {
                choices.removeLast()
            }
        }
    }
}

/// A text as scalars with their classes.
struct ScalarText {
    let scalars: [Unicode.Scalar]
    private let classes: [ScalarClass]

    init(_ scalars: [Unicode.Scalar]) {
        self.scalars = scalars
        classes = scalars.map(ScalarClass.init)
    }

    func matches(_ set: ScalarSet, _ index: Int) -> Bool { set.contains(scalars[index].value, classes[index]) }
}
