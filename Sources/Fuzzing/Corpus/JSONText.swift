import Architectures
import Foundation

/// JSON for files that people read and version control compares: keys in alphabetical order, and whatever fits on one
/// line on one line.
enum JSONText {
    static let width = 110

    static func encode(_ value: some Encodable) throws -> String {
        text(try tree(of: value), indentation: 0, room: width) + "\n"
    }

    private static func tree(of value: some Encodable) throws -> Tree {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try JSONDecoder().decode(Tree.self, from: encoder.encode(value))
    }

    /// What a file says, all of it: a key that nobody reads is refused.
    /// - Throws: `DecodingError` that names the place.
    static func decode<Value: Codable & Equatable>(_: Value.Type, from data: Data) throws -> Value {
        let value: Value
        do {
            value = try read(data)
        } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
            // The decoder says the same of what is no JSON and of numbers of the wrong kind, and not where.
            if let description = describe(data) {
                throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: description))
            }
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: placeOfNumber(in: data, of: Value.self),
                    debugDescription: "the number is too large for its place, negative, or not whole where it must be"))
        }
        if let (place, reason) = try unreadKey(of: data, as: value) {
            throw DecodingError.dataCorrupted(.init(codingPath: place, debugDescription: reason))
        }
        return value
    }

    private static func read<Value: Decodable>(_ data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try decoder.decode(Value.self, from: data)
    }

    /// A key that may say anything, since nobody reads it, and why it is refused; nil where there is none.
    private static func unreadKey<Value: Codable & Equatable>(
        of data: Data, as value: Value
    ) throws -> (place: [any CodingKey], reason: String)? {
        let (tree, written) = (try read(data) as Tree, try self.tree(of: value))
        for place in tree.keys(missingFrom: written) {
            // What is not written again may be a default value, or have another spelling.
            guard let other: Value = try? read(Data(tree.replacing(place, with: .nothing).line.utf8)), other == value
            else { continue }
            let siblings = written[place.dropLast()]?.members.keys.sorted() ?? []
            let close = place.last.flatMap { NearNames(of: $0.stringValue, among: siblings).words }
            return (place, "is no key that means anything" + (close.map { "; \($0)" } ?? ""))
        }
        return nil
    }

    /// Of numbers that do not fit, the first.
    private static func placeOfNumber<Value: Decodable>(in data: Data, of: Value.Type) -> [any CodingKey] {
        guard let tree = try? read(data) as Tree else { return [] }
        let places = tree.numbers()
        func fits(without count: Int) -> Bool {
            let rest = places.prefix(count).reduce(tree) { $0.replacing($1, with: .integer(0)) }
            do {
                _ = try read(Data(rest.line.utf8)) as Value
                return true
            } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
                return false
            } catch {
                return true
            }
        }
        // Without it and those before it, what is left fits; without only those before it, it does not.
        var (low, high) = (0, places.count)
        guard fits(without: high) else { return [] }
        while high - low > 1 {
            let middle = (low + high) / 2
            if fits(without: middle) { high = middle } else { low = middle }
        }
        return high > 0 ? places[high - 1] : []
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

        /// What no value of a file is.
        static let nothing = Tree.object(["": .null])

        var members: [String: Tree] {
            if case .object(let members) = self { members } else { [:] }
        }

        /// What is within, with its keys.
        private var children: [(key: Key, value: Tree)] {
            switch self {
            case .array(let elements): elements.enumerated().map { (Key(intValue: $0), $1) }
            case .object(let members): members.sorted { $0.key < $1.key }.map { (Key(stringValue: $0), $1) }
            default: []
            }
        }

        subscript(place: some Sequence<Key>) -> Tree? {
            place.reduce(self) { tree, key in tree?.children.first { $0.key == key }?.value }
        }

        /// Where there are keys that another has not, ordered; nothing below such a key.
        func keys(missingFrom other: Tree?) -> [[Key]] {
            children.flatMap { key, value -> [[Key]] in
                let counterpart = other?[[key]]
                if counterpart == nil, key.intValue == nil { return [[key]] }
                return value.keys(missingFrom: counterpart).map { [key] + $0 }
            }
        }

        func numbers() -> [[Key]] {
            switch self {
            case .integer, .unsigned, .real: [[]]
            default: children.flatMap { key, value in value.numbers().map { [key] + $0 } }
            }
        }

        func replacing(_ place: some Collection<Key>, with value: Tree) -> Tree {
            guard let key = place.first else { return value }
            let rest = place.dropFirst()
            switch self {
            case .array(var elements):
                guard let index = key.intValue, elements.indices.contains(index) else { return self }
                elements[index] = elements[index].replacing(rest, with: value)
                return .array(elements)
            case .object(var members):
                members[key.stringValue] = members[key.stringValue]?.replacing(rest, with: value)
                return .object(members)
            default: return self
            }
        }

        struct Key: CodingKey, Hashable {
            let stringValue: String
            let intValue: Int?
            init(stringValue: String) { (self.stringValue, intValue) = (stringValue, nil) }
            init(intValue: Int) { (stringValue, self.intValue) = ("\(intValue)", intValue) }
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
