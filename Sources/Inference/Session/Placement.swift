import GGUF

/// Which device holds which layer or tensor.
///
/// As text: entries separated by commas, the last that fits a layer or tensor wins.
/// ```
/// vulkan0                          the default device
/// vulkan0,0-3=cpu                  layers 0 to 3 on cpu
/// cpu,4-=vulkan0                   layers from 4 on
/// vulkan0,blk\.1\.ffn_.*=cpu       tensors whose whole name matches the regular expression
/// ```
/// A comma or equals sign inside a regular expression is written `\x2C` or `\x3D`.
public struct Placement: Hashable, Sendable, Codable, CustomStringConvertible {
    public var defaultDevice: String
    public var layers: [LayerRange]
    public var tensors: [TensorRule]
    /// How the named devices share the work where not by layers; of some engines only. Nil: by layers.
    public var split: Split?

    /// What is divided among devices.
    public enum Split: String, Hashable, Sendable, Codable, CaseIterable {
        case layers
        /// The rows of each matrix, whose products are then gathered.
        case rows
        /// Each tensor and the work that it makes, heads and feed-forward alike.
        case tensors
    }

    public struct LayerRange: Hashable, Sendable, Codable {
        public var first: Int
        /// The last layer of the range, nil for the model's last.
        public var last: Int?
        public var device: String
        public init(first: Int, last: Int?, device: String) {
            self.first = first
            self.last = last
            self.device = device
        }
    }

    public struct TensorRule: Hashable, Sendable, Codable {
        public var pattern: String
        public var device: String
        public init(pattern: String, device: String) {
            self.pattern = pattern
            self.device = device
        }
    }

    public init(
        _ defaultDevice: String, layers: [LayerRange] = [], tensors: [TensorRule] = [], split: Split? = nil
    ) {
        self.defaultDevice = defaultDevice
        self.layers = layers
        self.tensors = tensors
        self.split = split
    }

    /// - Parameters:
    ///   - text: as `Placement` has it.
    ///   - defaultDevice: where the text names none by itself.
    /// - Throws: `PlacementError` that quotes the entry.
    public init(parsing text: String, defaultDevice: String = "cpu") throws {
        self.init(defaultDevice)
        // By bytes: to characters, a comma belongs to the accent that follows it.
        let entries = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        for entry in entries.map(Substring.init) {
            guard let equals = entry.utf8.lastIndex(of: UInt8(ascii: "=")) else {
                self.defaultDevice = try Self.device(entry, entry)
                continue
            }
            let device = try Self.device(entry[entry.utf8.index(after: equals)...], entry)
            let what = entry[..<equals]
            guard !what.isEmpty else { throw PlacementError(entry: String(entry), reason: "places nothing") }
            if let range = try Self.layers(what, entry, device) {
                layers.append(range)
            } else {
                do {
                    _ = try NamePattern(String(what))
                } catch let error as ModelError {
                    throw PlacementError(entry: String(entry), reason: error.reason)
                }
                tensors.append(TensorRule(pattern: String(what), device: device))
            }
        }
    }

    private static func device(_ name: Substring, _ entry: Substring) throws -> String {
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "_:-.".contains($0) }) else {
            throw PlacementError(entry: String(entry), reason: "names no device")
        }
        return String(name)
    }

    /// `2`, `0-3` or `4-`; nil where the text is no range but a pattern.
    private static func layers(_ text: Substring, _ entry: Substring, _ device: String) throws -> LayerRange? {
        guard let start = text.first, start.isASCII, start.isNumber,
            text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == "-") })
        else { return nil }
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
        guard bounds.count <= 2, let first = Int(bounds[0]) else {
            throw PlacementError(entry: String(entry), reason: "is no range of layers")
        }
        if bounds.count == 1 { return LayerRange(first: first, last: first, device: device) }
        if bounds[1].isEmpty { return LayerRange(first: first, last: nil, device: device) }
        guard let last = Int(bounds[1]), last >= first else {
            throw PlacementError(entry: String(entry), reason: "is no ascending range of layers")
        }
        return LayerRange(first: first, last: last, device: device)
    }

    /// - Throws: `ModelError` that quotes a pattern that is none, which otherwise the first tensor meets.
    public func checkPatterns() throws { for rule in tensors { _ = try NamePattern(rule.pattern) } }

    /// Every device that it names, the default one first.
    public var namedDevices: [String] { [defaultDevice] + layers.map(\.device) + tensors.map(\.device) }

    /// The device of a layer, or the default outside the layers.
    public func device(ofLayer layer: Int?) -> String {
        guard let layer else { return defaultDevice }
        return layers.last { layer >= $0.first && layer <= $0.last ?? layer }?.device ?? defaultDevice
    }

    /// The device that a rule names for a tensor.
    public func device(ofTensor name: String) throws -> String? {
        try tensors.last { try NamePattern($0.pattern).matches(name) }?.device
    }

    public var description: String {
        let ranges = layers.map { range in
            let bounds = range.last.map { $0 == range.first ? "\($0)" : "\(range.first)-\($0)" } ?? "\(range.first)-"
            return "\(bounds)=\(range.device)"
        }
        let places = [defaultDevice] + ranges + tensors.map { "\($0.pattern)=\($0.device)" }
        return places.joined(separator: ",") + (split.map { " split by \($0.rawValue)" } ?? "")
    }
}

/// A placement that cannot be read: which entry, and why.
public struct PlacementError: Error, Hashable, Sendable, CustomStringConvertible {
    public var entry: String
    public var reason: String
    public init(entry: String, reason: String) {
        self.entry = entry
        self.reason = reason
    }
    public var description: String { "placement \(quoted(entry)): \(reason)" }
}
