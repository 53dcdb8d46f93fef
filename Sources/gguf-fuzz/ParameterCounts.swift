import GGUF

/// How many parameters a model's file or files hold, and where they are.
struct ParameterCounts {
    private struct Sum {
        var elements = 0
        var bytes = 0
        mutating func add(_ tensor: TensorDescription) {
            elements += tensor.elementCount
            bytes += tensor.byteCount
        }
    }

    private var whole = Sum()
    private var parts: [(name: String, sum: Sum)] = []
    private var types: [(name: String, sum: Sum)] = []
    /// Parameters of experts, and the share of the experts that one token uses.
    private var experts = 0
    private var usedShare: Double?

    var total: Int { whole.elements }

    init(_ model: GGUFParts) {
        func add(_ tensor: TensorDescription, to sums: inout [(name: String, sum: Sum)], _ name: String) {
            if let index = sums.firstIndex(where: { $0.name == name }) {
                sums[index].sum.add(tensor)
            } else {
                sums.append((name, Sum()))
                sums[sums.count - 1].sum.add(tensor)
            }
        }
        for tensor in model.tensors {
            whole.add(tensor)
            let isExpert = tensor.name.contains("_exps.")
            if isExpert { experts += tensor.elementCount }
            let part = switch tensor.name {
            case let name where isExpert || name.contains("_shexp."): isExpert ? "experts" : "shared experts"
            case let name where name.contains("blk."): "blocks"
            case let name where name.contains("embd"): "embeddings"
            case let name where name.contains("output") || name.hasPrefix("cls"): "output"
            default: "other"
            }
            add(tensor, to: &parts, part)
            add(tensor, to: &types, tensor.type.name)
        }
        if case .string(let architecture)? = model.metadata["general.architecture"],
            let count = model.metadata["\(architecture).expert_count"]?.integer, count > 0,
            let used = model.metadata["\(architecture).expert_used_count"]?.integer, (0...count).contains(used)
        {
            usedShare = Double(used) / Double(count)
        }
    }

    var table: TextTable {
        var table = TextTable(rightAligned: [1, 2])
        func row(_ name: String, _ sum: Sum, indented: Bool) {
            table.append((indented ? "  " : "") + name, Format.count(sum.elements), Format.bytes(sum.bytes))
        }
        row("parameters", whole, indented: false)
        for (name, sum) in parts { row(name, sum, indented: true) }
        if let usedShare, experts > 0 {
            table.append(
                "used by one token", Format.count(total - experts + Int((Double(experts) * usedShare).rounded())), "")
        }
        table.append("types", "", "")
        for (name, sum) in types { row(name, sum, indented: true) }
        return table
    }
}
