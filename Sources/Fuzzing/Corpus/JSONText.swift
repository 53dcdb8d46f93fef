import Foundation

/// JSON for files that people read and version control compares: keys in alphabetical order, and whatever fits on one
/// line on one line.
enum JSONText {
    static let width = 110

    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let tree = try JSONDecoder().decode(Tree.self, from: encoder.encode(value))
        return text(tree, indentation: 0, room: width) + "\n"
    }

    static func decode<Value: Decodable>(_: Value.Type, from data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        do {
            return try decoder.decode(Value.self, from: data)
        } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
            // The decoder says the same of what is no JSON and of numbers of the wrong kind, and not where.
            let description = describe(data)
                ?? "a number is too large for its place, negative, or not whole where it must be"
            throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: description))
        }
    }

    /// What is wrong with data that is no JSON; nil where it is.
    private static func describe(_ data: Data) -> String? {
        do {
            _ = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
            return nil
        } catch {
            let reason = (error as NSError).userInfo[NSDebugDescriptionErrorKey] as? String
                ?? error.localizedDescription
            return "no JSON: " + reason.split(whereSeparator: \.isNewline).joined(separator: " ")
        }
    }

    private static func text(_ tree: Tree, indentation: Int, room: Int) -> String {
        let line = tree.line
        if line.count <= room { return line }
        let inner = indentation + 2
        let margin = "\n" + String(repeating: " ", count: inner)
        let outer = "\n" + String(repeating: " ", count: indentation)
        func block(_ open: String, _ parts: [String], _ close: String) -> String {
            open + margin + parts.joined(separator: "," + margin) + outer + close
        }
        switch tree {
        case .array(let elements) where elements.allSatisfy({ $0.isScalar || $0.line.count < 16 }):
            // What is short fills lines, as text does.
            var lines = [""]
            for (index, element) in elements.enumerated() {
                let part = element.line + (index + 1 < elements.count ? "," : "")
                if lines[lines.count - 1].isEmpty {
                    lines[lines.count - 1] = part
                } else if lines[lines.count - 1].count + 1 + part.count > width - inner {
                    lines.append(part)
                } else {
                    lines[lines.count - 1] += " " + part
                }
            }
            return "[" + margin + lines.joined(separator: margin) + outer + "]"
        case .array(let elements):
            return block("[", elements.map { text($0, indentation: inner, room: width - inner) }, "]")
        case .object(let members):
            let parts = members.sorted { $0.key < $1.key }.map { key, value in
                let name = Tree.quoted(key) + ": "
                return name + text(value, indentation: inner, room: width - inner - name.count)
            }
            return block("{", parts, "}")
        default:
            return line
        }
    }

    private enum Tree: Decodable {
        case null
        case bool(Bool)
        case integer(Int64)
        case unsigned(UInt64)
        case real(Double)
        case string(String)
        case array([Tree])
        case object([String: Tree])

        init(from decoder: any Decoder) throws {
            // What is frequent first: each type that it is not is an error thrown.
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let value = try? container.decode(String.self) {
                self = .string(value)
            } else if let value = try? container.decode(Int64.self) {
                // A zero's sign is part of metadata.
                let isNegativeZero = value == 0 && (try? container.decode(Double.self))?.sign == .minus
                self = isNegativeZero ? .real(-0.0) : .integer(value)
            } else if let value = try? container.decode([String: Tree].self) {
                self = .object(value)
            } else if let value = try? container.decode([Tree].self) {
                self = .array(value)
            } else if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(UInt64.self) {
                self = .unsigned(value)
            } else {
                self = .real(try container.decode(Double.self))
            }
        }

        var isScalar: Bool {
            switch self {
            case .array, .object: false
            default: true
            }
        }

        var line: String {
            switch self {
            case .null: "null"
            case .bool(let value): "\(value)"
            case .integer(let value): "\(value)"
            case .unsigned(let value): "\(value)"
            case .real(let value): "\(value)"
            case .string(let value): Self.quoted(value)
            case .array(let elements): "[" + elements.map(\.line).joined(separator: ", ") + "]"
            case .object(let members):
                "{" + members.sorted { $0.key < $1.key }.map { "\(Self.quoted($0)): \($1.line)" }
                    .joined(separator: ", ") + "}"
            }
        }

        static func quoted(_ text: String) -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .withoutEscapingSlashes
            return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
        }
    }
}
