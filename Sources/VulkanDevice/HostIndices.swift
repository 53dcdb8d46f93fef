import Devices
import ModelGraph

/// Index values, as far as the host can compute them from a segment's inputs. Positions must be known here
/// for the tables of `rope`, and rows, cells and slots so that none lies outside its table.
struct HostIndices {
    enum Known {
        case exactly([Int32])
        /// Made by the device, and below this.
        case below(Int)
    }

    let graph: Graph
    /// By `ValueID`.
    var inputs: [ValueID: [Int32]]

    /// Nil for a value that is no index, or that a device makes without a bound.
    func known(_ value: ValueID) -> Known? {
        if let elements = inputs[value] { return .exactly(elements) }
        guard case .node(let index) = graph.values[value].source else { return nil }
        let node = graph.nodes[index]
        let operands = node.operands
        let shapes = operands.map { graph.values[$0].shape }
        switch node.op {
        case .reshape:
            return known(operands[0])
        case .windowPosition(let length, let part):
            return map([operands[0]]) { $0[0].map { Int32(part.of(Int($0), length: length)) } }
        case .replace(let table):
            return map([operands[0]]) { $0[0].map { Int32(table[Int($0)]) } }
        case .topExperts:
            return .below(shapes[0][1])
        case .expertGroups(let size):
            switch known(operands[0]) {
            case .exactly(let experts)?: return .exactly(experts.map { $0 / Int32(size) })
            case .below(let limit)?: return .below((limit + size - 1) / size)
            case nil: return nil
            }
        case .slice(let axis, let start, let count):
            return map([operands[0]]) { parts in
                let (_, inner) = around(axis, shapes[0])
                let row = shapes[0][axis] * inner
                return stride(from: 0, to: parts[0].count, by: row).flatMap { first in
                    parts[0][first + start * inner..<first + (start + count) * inner]
                }
            }
        case .concatenate(let axis):
            return map(operands) { parts in
                (0..<around(axis, shapes[0]).outer).flatMap { outer in
                    zip(parts, shapes).flatMap { part, shape in
                        let row = shape[axis] * around(axis, shape).inner
                        return part[outer * row..<(outer + 1) * row]
                    }
                }
            }
        case .rows:
            guard case .exactly(let rows)? = known(operands[1]) else { return known(operands[0]) }
            let size = shapes[0].count / max(shapes[0][0], 1)
            guard rows.allSatisfy({ 0 <= $0 && Int($0) < shapes[0][0] }) else { return nil }
            return map([operands[0]]) { parts in
                rows.flatMap { parts[0][Int($0) * size..<(Int($0) + 1) * size] }
            }
        default:
            return nil
        }
    }

    private func around(_ axis: Int, _ shape: Shape) -> (outer: Int, inner: Int) {
        (shape.count(before: axis), shape.count(after: axis))
    }

    private func map(_ values: [ValueID], _ compute: ([[Int32]]) -> [Int32]) -> Known? {
        var parts: [[Int32]] = []
        var bound = 0
        for value in values {
            switch known(value) {
            case .exactly(let elements):
                parts.append(elements)
                bound = max(bound, Int(elements.max() ?? 0) + 1)
            case .below(let limit): bound = max(bound, limit)
            case nil: return nil
            }
        }
        return parts.count == values.count ? .exactly(compute(parts)) : .below(bound)
    }
}
