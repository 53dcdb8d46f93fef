import GGUF

/// Tensors that are alike but for the block that they belong to.
struct TensorGroup {
    private let prefix: String
    private let suffix: String
    let type: TensorType
    let dimensions: [Int]
    /// The blocks, in the order of the file; empty for tensors outside blocks.
    private(set) var layers: [Int]
    /// Whether the model makes no use of them.
    private(set) var isUnused = false

    private init(_ tensor: TensorDescription) {
        let parts = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
        if let index = parts.firstIndex(where: { Int($0) != nil }), let layer = Int(parts[index]) {
            prefix = parts[..<index].joined(separator: ".") + "."
            suffix = parts[(index + 1)...].map { ".\($0)" }.joined()
            layers = [layer]
        } else {
            (prefix, suffix, layers) = (tensor.name, "", [])
        }
        type = tensor.type
        dimensions = tensor.dimensions
    }

    /// - Parameter unused: names of tensors that the model makes no use of: they are groups of their own.
    static func groups(of tensors: [TensorDescription], unused: Set<String> = []) -> [TensorGroup] {
        struct Key: Hashable {
            var prefix: String, suffix: String, type: TensorType, dimensions: [Int], isUnused: Bool
        }
        var groups: [TensorGroup] = []
        var known: [Key: Int] = [:]
        for tensor in tensors {
            var group = TensorGroup(tensor)
            group.isUnused = unused.contains(tensor.name)
            let key = Key(
                prefix: group.prefix, suffix: group.suffix, type: group.type, dimensions: group.dimensions,
                isUnused: group.isUnused)
            if let index = known[key], !group.layers.isEmpty {
                groups[index].layers += group.layers
            } else {
                known[key] = groups.count
                groups.append(group)
            }
        }
        return groups
    }

    /// `blk.{0-3,5}.attn_q.weight`
    var name: String {
        if layers.isEmpty { return prefix }
        var ranges: [ClosedRange<Int>] = []
        for layer in layers.sorted() {
            if let last = ranges.last, last.upperBound + 1 == layer {
                ranges[ranges.count - 1] = last.lowerBound...layer
            } else {
                ranges.append(layer...layer)
            }
        }
        let texts = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
        let list = texts.joined(separator: ",")
        return prefix + (layers.count == 1 ? list : "{\(list)}") + suffix
    }

    var extents: String { dimensions.map(String.init).joined(separator: " × ") }
    /// Of one of them.
    var elementCount: Int { TensorDescription.elementCount(dimensions) }
}

extension TensorDescription {
    var extents: String { dimensions.map(String.init).joined(separator: " × ") }
    var elementCount: Int { Self.elementCount(dimensions) }

    /// The reader has checked that the number of bytes, and so this product, does not overflow.
    static func elementCount(_ dimensions: [Int]) -> Int {
        dimensions.contains(0) ? 0 : dimensions.reduce(1, *)
    }
}
