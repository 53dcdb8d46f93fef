import GGUF

/// What visits the hyperparameters of an architecture.
///
/// An architecture declares each of its keys once, in its initialiser, by asking for the value. What
/// answers decides what that declaration is for: `MetadataReader` validates a file's metadata,
/// `MetadataDrawer` draws new metadata or recovers the choices that draw a file's, `DeclarationList` lists keys and
/// domains.
public protocol Hyperparameters {
    /// The value of a hyperparameter; nil where it is optional and absent.
    mutating func value(of declaration: Declaration) throws -> MetadataValue?
    /// Called where the values asked for so far cannot stand together.
    mutating func contradiction(_ error: MetadataError) throws
}

/// A hyperparameter: its key, meaning and domains.
public struct Declaration: Sendable {
    /// The key without the architecture's name, `attention.head_count`; those of the tokenizer and of xIELU are whole.
    public var key: String
    /// One line for listings.
    public var about: String
    public var domain: Domain
    /// What an absent key means; nil where the key is required.
    public var absence: Absence?
    /// Whether an optional key is drawn present or absent: not absent where that means what no engine runs.
    public var presence = Presence.either
    /// The values that are drawn, where those of the domain are not all; of which the domain has none, all of them are.
    var drawn: [ModelDomain.Value]?
    /// Whether few models have another value than the simplest, since that makes them models of another kind.
    public var isRare = false

    public init(
        key: String, about: String, domain: Domain, absence: Absence?, presence: Presence = .either,
        isRare: Bool = false
    ) {
        self.key = key
        self.about = about
        self.domain = domain
        self.absence = absence
        self.presence = presence
        self.isRare = isRare
    }

    public indirect enum Domain: Sendable {
        /// `valid` is what the field allows, `fuzz` what is drawn; its first element is the simplest.
        case integer(valid: ClosedRange<Int>, fuzz: [Int])
        case real(valid: ClosedRange<Double>, fuzz: [Double])
        /// The values that are allowed, the simplest first.
        case boolean([Bool])
        /// Integers with names.
        case option([(name: String, value: Int)])
        case text([String])
        /// One value a layer, or one for all.
        case perLayer(Domain, count: Int)
        /// The same, but drawn as one of whole layouts, the first being the simplest.
        case layouts([MetadataArray], of: Domain, count: Int)
        /// A flag for each of `count` layers, or a period after which they repeat. One flag at least is drawn as set.
        case pattern(valid: ClosedRange<Int>, fuzz: [Int], count: Int)
        /// Names or integers, of which only the number counts.
        case labels(counts: [Int], areNames: Bool)
        /// What is for information only: anything, and never drawn.
        case information
    }

    public enum Presence: Sendable { case either, present, absent }

    public enum Absence: Sendable {
        case value(MetadataValue)
        /// The feature that the key belongs to is not used.
        case unused
        /// A value that follows from those of other keys; only in listings, which are of many models.
        case derived
    }
}

extension Declaration {
    /// Whether no result depends on it.
    public var isInformation: Bool { if case .information = domain { true } else { false } }

    /// A key as files have it.
    public static func path(_ key: String, _ architecture: String) -> String {
        ["tokenizer.", "xielu."].contains { key.hasPrefix($0) } ? key : "\(architecture).\(key)"
    }
}

/// Metadata that is missing, of the wrong type, outside its domain or contradictory.
public struct MetadataError: Error, Hashable, Sendable, CustomStringConvertible {
    public var keys: [String]
    public var reason: String
    public init(keys: [String], reason: String) {
        self.keys = keys
        self.reason = reason
    }
    public var description: String { keys.joined(separator: ", ") + ": " + reason }
}

extension Declaration.Domain {
    /// So many integers, drawn as one of `layouts`.
    fileprivate static func layouts(_ layouts: [[Int]], of valid: ClosedRange<Int>, count: Int) -> Self {
        .layouts(
            layouts.map { .uint32($0.map(UInt32.init)) }, of: .integer(valid: valid, fuzz: [valid.lowerBound]),
            count: count)
    }
}

extension Hyperparameters {
    // MARK: Required

    public mutating func integer(
        _ key: String, _ valid: ClosedRange<Int>, fuzz: [Int], isRare: Bool = false, _ about: String
    ) throws -> Int {
        try required(key, .integer(valid: valid, fuzz: fuzz), about, isRare: isRare).integer(key)
    }

    public mutating func real(
        _ key: String, _ valid: ClosedRange<Double>, fuzz: [Double], isRare: Bool = false, _ about: String
    ) throws -> Double {
        try required(key, .real(valid: valid, fuzz: fuzz), about, isRare: isRare).real(key)
    }

    /// So many integers, drawn as one of `layouts`; the file may hold one for all.
    public mutating func integers(
        _ key: String, _ valid: ClosedRange<Int>, layouts: [[Int]], layers: Int, _ about: String
    ) throws -> [Int] {
        try required(key, .layouts(layouts, of: valid, count: layers), about).integers(key, count: layers)
    }

    /// One integer a layer; the file may hold one for all.
    public mutating func integers(
        _ key: String, _ valid: ClosedRange<Int>, fuzz: [Int], layers: Int, _ about: String
    ) throws -> [Int] {
        try required(key, .perLayer(.integer(valid: valid, fuzz: fuzz), count: layers), about)
            .integers(key, count: layers)
    }

    /// One number a layer; the file may hold one for all.
    public mutating func reals(
        _ key: String, _ valid: ClosedRange<Double>, fuzz: [Double], layers: Int, _ about: String
    ) throws -> [Double] {
        try required(key, .perLayer(.real(valid: valid, fuzz: fuzz), count: layers), about).reals(key, count: layers)
    }

    /// A flag a layer, drawn as one of `layouts`.
    public mutating func flags(_ key: String, layouts: [[Bool]], layers: Int, _ about: String) throws -> [Bool] {
        try required(key, .layouts(layouts.map { .bool($0) }, of: .boolean([false, true]), count: layers), about)
            .flags(key, count: layers)
    }

    public mutating func option<Option: HyperparameterOption>(
        _ key: String, among options: [Option], _ about: String
    ) throws -> Option {
        let value = try required(key, .option(options.map { ($0.name, $0.rawValue) }), about).integer(key)
        return try Option.named(value, among: options, key)
    }

    public mutating func boolean(_ key: String, among allowed: [Bool], _ about: String) throws -> Bool {
        try required(key, .boolean(allowed), about).boolean(key)
    }

    // MARK: With a default

    public mutating func integer(
        _ key: String, _ valid: ClosedRange<Int>, fuzz: [Int], default absent: Int, drawsAbsence: Bool = true,
        isRare: Bool = false, _ about: String
    ) throws -> Int {
        try optional(
            key, .integer(valid: valid, fuzz: fuzz), .value(.uint32(UInt32(absent))), about, drawsAbsence: drawsAbsence,
            isRare: isRare)?.integer(key) ?? absent
    }

    public mutating func real(
        _ key: String, _ valid: ClosedRange<Double>, fuzz: [Double], default absent: Double, isRare: Bool = false,
        _ about: String
    ) throws -> Double {
        try optional(key, .real(valid: valid, fuzz: fuzz), .value(.float32(Float(absent))), about, isRare: isRare)?
            .real(key) ?? Double(Float(absent))
    }

    /// One number a layer; the file may hold one for all.
    public mutating func reals(
        _ key: String, _ valid: ClosedRange<Double>, fuzz: [Double], layers: Int, default absent: Double,
        isRare: Bool = false,
        _ about: String
    ) throws -> [Double] {
        try reals(
            key, valid, fuzz: fuzz, layers: layers, default: Array(repeating: Double(Float(absent)), count: layers),
            isRare: isRare, about)
    }

    public mutating func boolean(
        _ key: String, among allowed: [Bool] = [false, true], default absent: Bool, isRare: Bool = false,
        _ about: String
    ) throws -> Bool {
        try optional(key, .boolean(allowed), .value(.bool(absent)), about, isRare: isRare)?.boolean(key) ?? absent
    }

    public mutating func integers(
        _ key: String, _ valid: ClosedRange<Int>, fuzz: [Int], layers: Int, default absent: [Int],
        drawsAbsence: Bool = true, _ about: String
    ) throws -> [Int] {
        try optional(
            key, .perLayer(.integer(valid: valid, fuzz: fuzz), count: layers),
            absent.first.map { first in absent.allSatisfy { $0 == first } ? .value(.uint32(UInt32(first))) : .unused }
                ?? .unused,
            about, drawsAbsence: drawsAbsence)?.integers(key, count: layers) ?? absent
    }

    /// One number a layer; the file may hold one for all.
    public mutating func reals(
        _ key: String, _ valid: ClosedRange<Double>, fuzz: [Double], layers: Int, default absent: [Double],
        isRare: Bool = false, _ about: String
    ) throws -> [Double] {
        try optional(
            key, .perLayer(.real(valid: valid, fuzz: fuzz), count: layers),
            absent.first.map { first in absent.allSatisfy { $0 == first } ? .value(.float32(Float(first))) : .unused }
                ?? .unused,
            about, isRare: isRare)?.reals(key, count: layers) ?? absent
    }

    /// One integer a layer, drawn as one of `layouts`; the file may hold one for all. An absent key is not drawn.
    public mutating func integers(
        _ key: String, _ valid: ClosedRange<Int>, layouts: [[Int]], layers: Int, default absent: [Int], _ about: String
    ) throws -> [Int] {
        try optional(key, .layouts(layouts, of: valid, count: layers), .unused, about, drawsAbsence: false)?
            .integers(key, count: layers) ?? absent
    }

    public mutating func option<Option: HyperparameterOption>(
        _ key: String, among options: [Option], default absent: Option, isRare: Bool = false, _ about: String
    ) throws -> Option {
        guard
            let value = try optional(
                key, .option(options.map { ($0.name, $0.rawValue) }), .value(.uint32(UInt32(absent.rawValue))), about,
                isRare: isRare)
        else { return absent }
        return try Option.named(try value.integer(key), among: options, key)
    }

    public mutating func text(
        _ key: String, among options: [String], default absent: String, _ about: String
    ) throws -> String {
        guard let value = try optional(key, .text(options), .value(.string(absent)), about) else { return absent }
        guard case .string(let text) = value else {
            throw MetadataError(keys: [key], reason: "must be a string, not \(value.typeName)")
        }
        return text
    }

    // MARK: Absent where unused

    public mutating func optionalInteger(
        _ key: String, _ valid: ClosedRange<Int>, fuzz: [Int], isRare: Bool = false, _ about: String
    ) throws -> Int? {
        try optional(key, .integer(valid: valid, fuzz: fuzz), .unused, about, isRare: isRare)?.integer(key)
    }

    public mutating func optionalReal(
        _ key: String, _ valid: ClosedRange<Double>, fuzz: [Double], isRare: Bool = false, _ about: String
    ) throws -> Double? {
        try optional(key, .real(valid: valid, fuzz: fuzz), .unused, about, isRare: isRare)?.real(key)
    }

    /// A flag a layer, or a period; nil where absent.
    public mutating func optionalPattern(
        _ key: String, _ valid: ClosedRange<Int>, fuzz: [Int], layers: Int, _ about: String
    ) throws -> LayerPattern? {
        try optional(key, .pattern(valid: valid, fuzz: fuzz, count: layers), .unused, about)?.pattern(
            key, count: layers)
    }

    /// So many integers, drawn as one of `layouts`.
    public mutating func optionalIntegers(
        _ key: String, _ valid: ClosedRange<Int>, layouts: [[Int]], count: Int, _ about: String
    ) throws -> [Int]? {
        try optional(key, .layouts(layouts, of: valid, count: count), .unused, about)?.integers(key, count: count)
    }

    /// How many names an array holds; nil where absent.
    public mutating func optionalLabels(_ key: String, fuzz: [Int], _ about: String) throws -> Int? {
        try optional(key, .labels(counts: fuzz, areNames: true), .unused, about)?.elements?.count
    }

    /// How many integers an array holds, which are for others to know.
    public mutating func count(of key: String, fuzz: [Int], _ about: String) throws -> Int {
        try required(key, .labels(counts: fuzz, areNames: false), about).elements?.count ?? 0
    }

    /// A flag a layer, drawn as one of `layouts`.
    public mutating func optionalFlags(
        _ key: String, layouts: [[Bool]], layers: Int, _ about: String
    ) throws -> [Bool]? {
        try optional(
            key, .layouts(layouts.map { .bool($0) }, of: .boolean([false, true]), count: layers), .unused, about)?
            .flags(key, count: layers)
    }

    // MARK: For information

    /// A key that files have and on which no result depends.
    public mutating func note(_ key: String, _ about: String) throws {
        _ = try optional(key, .information, .unused, about, drawsAbsence: false)
    }

    // MARK: Contradictions

    /// Refuses metadata in which `condition` does not hold.
    public mutating func require(
        _ condition: Bool, _ keys: String..., because reason: @autoclosure () -> String
    ) throws {
        if !condition { try contradiction(MetadataError(keys: keys, reason: reason())) }
    }

    private mutating func required(
        _ key: String, _ domain: Declaration.Domain, _ about: String, isRare: Bool = false
    ) throws -> MetadataValue {
        let declaration = Declaration(key: key, about: about, domain: domain, absence: nil, isRare: isRare)
        guard let value = try value(of: declaration) else {
            throw MetadataError(keys: [key], reason: "is missing")
        }
        return value
    }

    private mutating func optional(
        _ key: String, _ domain: Declaration.Domain, _ absence: Declaration.Absence, _ about: String,
        drawsAbsence: Bool = true, isRare: Bool = false
    ) throws -> MetadataValue? {
        try value(of: Declaration(
            key: key, about: about, domain: domain, absence: absence, presence: drawsAbsence ? .either : .present,
            isRare: isRare))
    }
}

/// Which layers are of a kind, as files say it.
public enum LayerPattern: Hashable, Sendable {
    case period(Int)
    case flags([Bool])
}

/// A hyperparameter that is one of a few named integers.
public protocol HyperparameterOption: RawRepresentable<Int>, Sendable {
    var name: String { get }
}

extension HyperparameterOption {
    public var name: String { String(describing: self) }

    static func named(_ value: Int, among options: [Self], _ key: String) throws -> Self {
        guard let option = options.first(where: { $0.rawValue == value }) else {
            let allowed = options.map { "\($0.rawValue) (\($0.name))" }.joined(separator: ", ")
            throw MetadataError(keys: [key], reason: "is \(value), not one of \(allowed)")
        }
        return option
    }
}
