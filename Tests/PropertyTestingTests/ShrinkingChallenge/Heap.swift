import PropertyTesting

/// A binary heap: no key is below its parent's.
indirect enum Heap: Equatable, CustomStringConvertible {
    case empty
    case node(Int, Heap, Heap)

    init(_ choices: inout Choices, from least: Int = 0, depth: Int = 0) {
        self = choices.span("heap") { choices in
            guard depth < 6, choices.boolean(2, in: 3) else { return .empty }
            let key = choices.integer(in: least...(least + 1000), simplest: least)
            return .node(
                key, Heap(&choices, from: key, depth: depth + 1), Heap(&choices, from: key, depth: depth + 1))
        }
    }

    var description: String {
        switch self {
        case .empty: "None"
        case .node(let key, .empty, .empty): "(\(key))"
        case .node(let key, let left, let right): "(\(key), \(left), \(right))"
        }
    }

    /// The keys, each node's before those of its right and then of its left heap.
    var keys: [Int] {
        switch self {
        case .empty: []
        case .node(let key, let left, let right): [key] + right.keys + left.keys
        }
    }

    func merged(with other: Heap) -> Heap {
        switch (self, other) {
        case (.empty, let heap), (let heap, .empty): heap
        case (.node(let a, let aLeft, let aRight), .node(let b, let bLeft, let bRight)):
            a <= b ? .node(a, aRight.merged(with: other), aLeft) : .node(b, bRight.merged(with: self), bLeft)
        }
    }

    /// The keys in order, wrongly: all but the first are merely listed.
    var wronglySorted: [Int] {
        switch self {
        case .empty: []
        case .node(let key, let left, let right): [key] + left.merged(with: right).keys
        }
    }
}
