import Architectures
import GGUF
import Inference
import ModelGraph
import PropertyTesting

/// What a person wants to know of an architecture: its hyperparameters and tensors, as it declares them.
struct ArchitectureDescription {
    private let name: String
    private let declarations: [Declaration]
    private let tensors: [Tensor]

    /// A tensor of some drawn model; the number of its block is `N`.
    private struct Tensor {
        var name: String
        var role: Weight.Role
        var isOptional: Bool
        /// Asked for only where the file lacks an optional one, such as one into which it is fused.
        var isAlternative: Bool
        /// The number of drawn models that can have it.
        var models = 1
    }
    /// Enough for what few models have.
    private static let drawnModels = 400
    /// Of which so many are asked what takes the place of optional tensors.
    private static let askedModels = 64

    init(_ architecture: any Architecture.Type) throws {
        name = architecture.name
        declarations = try DeclarationList.of(architecture)
        var tensors: [Tensor] = []
        for seed in 0..<UInt64(Self.drawnModels) {
            var choices = Choices(seed: seed)
            let drawn = try DrawnModel.draw(architecture, &choices)
            var seen: Set<String> = []
            var insertion = 0
            let all = try Inventory(drawn.metadata).tensors
            let names = Set(all.map(\.name))
            let alternatives = seed < Self.askedModels ? try Self.alternatives(to: all, drawn.metadata) : []
            for weight in all + alternatives {
                let parts = weight.name.split(separator: ".").map { Int($0) == nil ? String($0) : "N" }
                let name = parts.joined(separator: ".")
                let isNew = seen.insert(name).inserted
                if let index = tensors.firstIndex(where: { $0.name == name }) {
                    if isNew { tensors[index].models += 1 }
                    insertion = index + 1
                } else {
                    let tensor = Tensor(
                        name: name, role: weight.role, isOptional: weight.isOptional,
                        isAlternative: !names.contains(weight.name))
                    tensors.insert(tensor, at: insertion)
                    insertion += 1
                }
            }
        }
        self.tensors = tensors
    }

    /// What is asked for where all tensors but one of the optional kinds are there.
    private static func alternatives(to all: [Inventory.Tensor], _ metadata: Metadata) throws -> [Inventory.Tensor] {
        @Sendable func kind(_ name: String) -> String {
            name.split(separator: ".").filter { Int($0) == nil }.joined(separator: ".")
        }
        let names = Set(all.map(\.name))
        var found: [Inventory.Tensor] = []
        for missing in Set(all.filter(\.isOptional).map { kind($0.name) }).sorted() {
            let others = try Inventory(metadata, optional: OptionalTensors { kind($0) != missing }).tensors
            found += others.filter { tensor in
                !names.contains(tensor.name) && !found.contains { $0.name == tensor.name }
            }
        }
        return found
    }

    func print() {
        Swift.print("\(name): hyperparameters")
        var keys = TextTable(["key", "allowed", "drawn from", "absent", "meaning"], indentation: 2)
        for declaration in declarations {
            let key = Declaration.path(declaration.key, name)
            let absent = switch declaration.absence {
            case nil: "required"
            case .unused: declaration.isInformation ? "" : "unused"
            case .derived: "by other keys"
            case .value(let value): value.summary
            }
            keys.append(key, declaration.domain.listing, declaration.domain.drawn, absent, declaration.about)
        }
        keys.print()

        Swift.print("\n\(name): tensors, N being the block")
        var rows = TextTable(["tensor", "role", "present"], indentation: 2)
        for tensor in tensors {
            let presence = if tensor.isOptional {
                "optional"
            } else if tensor.isAlternative {
                "in place of optional ones"
            } else {
                tensor.models < Self.drawnModels ? "as hyperparameters ask" : "always"
            }
            rows.append(tensor.name, tensor.role.rawValue, presence)
        }
        rows.print()
    }
}

extension Declaration.Domain {
    /// What is allowed, whatever the number of layers.
    fileprivate var listing: String {
        switch self {
        case .perLayer(.boolean, _): "a flag a layer"
        case .perLayer(let domain, _), .layouts(_, let domain, _): "\(domain.listing), one for all or one a layer"
        case .pattern(let valid, _, _): "integer \(valid.lowerBound) to \(valid.upperBound), or a flag a layer"
        default: allowed
        }
    }

    /// The values that toy models get.
    fileprivate var drawn: String {
        func list(_ values: [String]) -> String {
            values.prefix(6).joined(separator: " ") + (values.count > 6 ? " … \(values.count) in all" : "")
        }
        return switch self {
        case .integer(_, let fuzz): list(fuzz.map(String.init))
        case .real(_, let fuzz): list(fuzz.map { "\($0)" })
        case .boolean, .option: "all"
        case .text(let options): list(options)
        case .perLayer(let domain, _): "\(domain.drawn), per layer or one"
        case .layouts(let layouts, _, _): list(layouts.map { MetadataValue.array($0).summary })
        case .pattern(_, let fuzz, _): "\(list(fuzz.map(String.init))), or flags"
        case .labels(let counts, _): "\(list(counts.map(String.init))) of them"
        case .information: "never"
        }
    }
}
