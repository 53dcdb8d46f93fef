import Architectures
import Devices
import Engines
import Inference

extension DecodingError {
    /// Where, and what is wrong there, on one line, in the words of JSON.
    public var line: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
            return path.hasPrefix(".") ? String(path.dropFirst()) : path
        }
        func text(_ context: Context, _ reason: String) -> String {
            let place = place(context)
            return place.isEmpty ? reason : "\(place): \(reason)"
        }
        return switch self {
        case .keyNotFound(let key, let context): text(context, "\(key.stringValue) is missing")
        case .typeMismatch(let type, let context): text(context, "is no \(Self.word(type))")
        case .valueNotFound(let type, let context): text(context, "\(Self.word(type)) is missing")
        case .dataCorrupted(let context):
            text(context, Self.refusedChoice(context.debugDescription) ?? context.debugDescription)
        @unknown default: "\(self)"
        }
    }

    /// What JSON calls a type.
    private static func word(_ type: any Any.Type) -> String {
        switch type {
        case is String.Type: "text"
        case is Bool.Type: "true or false"
        case is any Numeric.Type: "number"
        default: "\(type)".hasPrefix("Array") ? "list" : "\(type)".hasPrefix("Dictionary") ? "object" : "\(type)"
        }
    }

    /// What files choose by name, and one may mistype.
    private static var choices: [any (CaseIterable & RawRepresentable<String>).Type] {
        [
            Check.self, Transformation.Kind.self, Contradiction.Kind.self, StateType.self, Placement.Split.self,
            DecisionOrder.self, Precision.Format.self, Precision.RowCount.self, Precision.Function.self,
            Precision.Operands.self, Precision.Sums.self, RunPlan.LogDetail.self,
        ]
    }

    /// `"agree" is none; there are agrees, chunking, …; close to it: agrees`, of the decoder's own message, which names a type
    /// of Swift; nil where it is another.
    private static func refusedChoice(_ message: String) -> String? {
        guard let match = message.wholeMatch(of: /Cannot initialize (\w+) from invalid String value (.*)/) else {
            return nil
        }
        func names(_ type: (some CaseIterable & RawRepresentable<String>).Type) -> [String] {
            type.allCases.map(\.rawValue)
        }
        let (type, value) = (String(match.1), String(match.2))
        guard let choice = choices.first(where: { "\($0)" == type }) else { return "\"\(value)\" is not known here" }
        return "\"\(value)\" is none; \(NearNames.offer(names(choice), for: value))"
    }
}
