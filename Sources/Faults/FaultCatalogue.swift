/// Every fault there is.
public enum FaultCatalogue {
    public static let all: [Fault] =
        products + elementwise + norms + positions + attention + routing + mixtures + caches + recurrentStates
            + outputs + denseDecoders + gatesAndGroups + sections + linearAttention + blocks + windows + adapters
            + indexers + decoders + drafts + decisions + gradients + process

    private static let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }

    /// - Throws: `UnknownFault`, which lists the names that are close, or all.
    public static func named(_ name: String) throws -> Fault {
        guard let fault = byName[name] else { throw UnknownFault(name: name, close: close(to: name)) }
        return fault
    }

    /// The names that share the most words with this one; none if none shares any.
    private static func close(to name: String) -> [String] {
        let words = Set(name.lowercased().split(separator: "-"))
        let shared = all.map { ($0.name, words.intersection($0.name.split(separator: "-")).count) }
        let most = shared.map(\.1).max() ?? 0
        return most == 0 ? [] : shared.filter { $0.1 == most }.map(\.0)
    }
}

/// A name that no fault has.
public struct UnknownFault: Error, Hashable, Sendable, CustomStringConvertible {
    public var name: String
    /// Names that share words with it.
    public var close: [String]

    public var description: String {
        close.isEmpty
            ? "no fault is named \"\(name)\"; there are \(FaultCatalogue.all.map(\.name).joined(separator: ", "))"
            : "no fault is named \"\(name)\"; close to it are \(close.joined(separator: ", "))"
    }
}
