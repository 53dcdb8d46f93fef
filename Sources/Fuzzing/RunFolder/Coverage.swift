import Devices

/// How many cases had each feature (`CaseRecord.features`), and how many had each two of them together.
///
/// There are some hundred features whatever the number of cases, so that all of it stays small, their pairs too.
public struct Coverage: Sendable {
    /// The features that were seen, in no order that matters.
    public private(set) var features: [String] = []
    /// How many cases had each, in the order of `features`.
    public private(set) var counts: [Int] = []
    private var numbers: [String: Int] = [:]
    /// How many cases had two features, in the order of `Pair.place`.
    private var together: [Int] = []

    /// Two features by their numbers in `features`, the lesser first.
    public struct Pair: Hashable, Sendable {
        public let first: Int
        public let second: Int

        init(_ one: Int, _ other: Int) { (first, second) = (min(one, other), max(one, other)) }

        /// Those of one second feature lie side by side, so that a further feature changes no other's place.
        fileprivate var place: Int { second * (second - 1) / 2 + first }
    }

    public init() {}

    /// How many cases had both, of those pairs that were seen.
    public var pairs: [Pair: Int] {
        var pairs: [Pair: Int] = [:]
        var place = 0
        for second in features.indices {
            for first in 0..<second {
                if together[place] > 0 { pairs[Pair(first, second)] = together[place] }
                place += 1
            }
        }
        return pairs
    }

    /// How many pairs were seen.
    public var pairCount: Int { together.count { $0 > 0 } }

    /// How many cases had a feature.
    public func count(of feature: String) -> Int { numbers[feature].map { counts[$0] } ?? 0 }

    /// How many cases had both.
    public func count(of feature: String, and other: String) -> Int {
        count(of: numbers[feature], and: numbers[other])
    }

    /// The number of a feature in `features`; nil: it was not seen.
    func number(of feature: String) -> Int? { numbers[feature] }

    /// How many cases had two features that are given by their numbers.
    func count(of one: Int?, and other: Int?) -> Int {
        guard let one, let other else { return 0 }
        return one == other ? counts[one] : together[Pair(one, other).place]
    }

    /// - Parameter features: of a case, each once.
    mutating func add(_ features: [String]) {
        let numbers = features.map { numbered($0) }
        for (index, number) in numbers.enumerated() {
            counts[number] += 1
            for other in numbers[(index + 1)...] { together[Pair(number, other).place] += 1 }
        }
    }

    mutating func add(_ other: Coverage) {
        let numbers = other.features.map { numbered($0) }
        for (number, count) in zip(numbers, other.counts) { counts[number] += count }
        for (pair, count) in other.pairs { together[Pair(numbers[pair.first], numbers[pair.second]).place] += count }
    }

    private mutating func numbered(_ feature: String) -> Int {
        if let number = numbers[feature] { return number }
        numbers[feature] = features.count
        features.append(feature)
        counts.append(0)
        together += repeatElement(0, count: features.count - 1)
        return features.count - 1
    }
}

/// Which feature was seen first makes no difference.
extension Coverage: Hashable {
    public static func == (one: Coverage, other: Coverage) -> Bool {
        guard one.features.count == other.features.count, one.pairCount == other.pairCount,
            zip(one.features, one.counts).allSatisfy({ other.count(of: $0) == $1 })
        else { return false }
        return one.pairs.allSatisfy { other.count(of: one.features[$0.first], and: one.features[$0.second]) == $1 }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(Set(features))
        hasher.combine(pairCount)
    }
}

extension Coverage: Codable {
    private enum CodingKeys: String, CodingKey {
        case features, counts, pairs
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        features = try values.decode([String].self, forKey: .features)
        counts = try values.decode([Int].self, forKey: .counts)
        let pairs = try values.decode([Pair: Int].self, forKey: .pairs)
        numbers = Dictionary(zip(features, features.indices)) { first, _ in first }
        guard numbers.count == features.count, counts.count == features.count,
            pairs.keys.allSatisfy({ $0.first >= 0 && $0.first < $0.second && $0.second < features.count })
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .pairs, in: values, debugDescription: "are not of the features")
        }
        together = [Int](repeating: 0, count: features.count * max(0, features.count - 1) / 2)
        for (pair, count) in pairs { together[pair.place] = count }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(features, forKey: .features)
        try values.encode(counts, forKey: .counts)
        try values.encode(pairs, forKey: .pairs)
    }
}

/// `3 17`
extension Coverage.Pair: Codable, CodingKeyRepresentable {
    public var codingKey: any CodingKey { TextKey("\(first) \(second)") }

    public init?(codingKey: some CodingKey) {
        let numbers = codingKey.stringValue.split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 2 else { return nil }
        self.init(numbers[0], numbers[1])
    }
}
