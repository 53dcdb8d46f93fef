/// Where each value of consecutive nodes lies: one arena, in which a value takes the room of values
/// that nothing reads any more.
///
/// The values that come from outside lie first, in their order, and they and the results keep their
/// room throughout, so that a device can copy them in before and out after.
public struct BufferPlan: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
        /// From this element of the arena on.
        case arena(Int)
        /// The weight of this index in `graph.weights`.
        case weight(Int)
        /// The leading rows of this state.
        case state(StateID)
    }

    /// Elements to which every place in the arena is aligned: 256 bytes, the most that a Vulkan device may
    /// ask of a buffer's offset.
    public static let alignment = 64

    /// By `ValueID`; nil for values that the nodes neither read nor make.
    private let places: [Place?]
    /// Elements of the arena, 4 bytes each whether real or index.
    public let arenaSize: Int

    public subscript(value: ValueID) -> Place? { places[value] }

    /// - Parameters:
    ///   - nodes: the consecutive nodes that run together.
    ///   - inputs: values from outside, other than weights.
    ///   - outputs: values that are read after the last node.
    public init(graph: Graph, nodes: Range<Int>, inputs: [ValueID], outputs: [ValueID]) {
        var places: [Place?] = Array(repeating: nil, count: graph.values.count)
        var arena = Arena()
        for input in inputs { places[input] = .arena(arena.allocate(graph.values[input].shape.count)) }

        let owners = Self.owners(in: graph, nodes: nodes)
        var lastUse = Array(repeating: -1, count: graph.values.count)
        for index in nodes {
            // A result that nothing reads is gone once its own node has run.
            lastUse[owners[graph.nodes[index].result]] = index
            for operand in graph.nodes[index].operands { lastUse[owners[operand]] = index }
        }
        for kept in inputs + outputs { lastUse[owners[kept]] = nodes.upperBound }

        for index in nodes {
            let node = graph.nodes[index]
            for operand in node.operands {
                if case .weight(let weight) = graph.values[operand].source { places[operand] = .weight(weight) }
            }
            switch node.op {
            case .reshape: places[node.result] = places[node.operands[0]]
            case .store(let state, _), .load(let state, _): places[node.result] = .state(state)
            default: places[node.result] = .arena(arena.allocate(graph.values[node.result].shape.count))
            }
            func releaseIfDone(_ value: ValueID) {
                let owner = owners[value]
                guard lastUse[owner] == index, case .arena(let start)? = places[owner] else { return }
                lastUse[owner] = -1
                arena.release(start, graph.values[owner].shape.count)
            }
            for operand in node.operands { releaseIfDone(operand) }
            releaseIfDone(node.result)
        }
        self.places = places
        arenaSize = arena.size
    }

    /// For each value, the one whose elements it has: itself, unless it is a reshape.
    private static func owners(in graph: Graph, nodes: Range<Int>) -> [ValueID] {
        var owners = Array(graph.values.indices)
        for node in graph.nodes[nodes] {
            if case .reshape = node.op { owners[node.result] = owners[node.operands[0]] }
        }
        return owners
    }
}

/// Hands out room and takes it back.
private struct Arena {
    private(set) var size = 0
    /// Gaps in order, none touching the next.
    private var gaps: [Range<Int>] = []

    private static func aligned(_ count: Int) -> Int {
        (count + BufferPlan.alignment - 1) / BufferPlan.alignment * BufferPlan.alignment
    }

    /// The start of the smallest gap that is large enough, else of new room at the end.
    mutating func allocate(_ count: Int) -> Int {
        let needed = Self.aligned(count)
        var best: Int?
        for (index, gap) in gaps.enumerated() where gap.count >= needed {
            if let current = best, gaps[current].count <= gap.count { continue }
            best = index
        }
        guard let best else {
            size += needed
            return size - needed
        }
        let gap = gaps[best]
        if gap.count == needed { gaps.remove(at: best) } else { gaps[best] = gap.lowerBound + needed..<gap.upperBound }
        return gap.lowerBound
    }

    mutating func release(_ start: Int, _ count: Int) {
        guard count > 0 else { return }
        let gap = start..<start + Self.aligned(count)
        let next = gaps.firstIndex { $0.lowerBound > start } ?? gaps.count
        gaps.insert(gap, at: next)
        if next + 1 < gaps.count, gaps[next + 1].lowerBound == gap.upperBound {
            gaps[next] = start..<gaps.remove(at: next + 1).upperBound
        }
        if next > 0, gaps[next - 1].upperBound == start {
            gaps[next - 1] = gaps[next - 1].lowerBound..<gaps.remove(at: next).upperBound
        }
    }
}
