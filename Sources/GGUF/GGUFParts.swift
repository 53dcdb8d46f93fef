/// A model that lies in several GGUF files, `name-00001-of-00003.gguf` and so on, or in one.
///
/// Each part says which it is (`split.no`, from 0), how many there are (`split.count`), and how many tensors all of
/// them hold (`split.tensors.count`). The first part has the model's metadata; each has tensors of its own, if any.
/// Source: llama.cpp, `tools/gguf-split` and `llama_model_loader`.
public struct GGUFParts: Sendable {
    /// In their order; one where the model is not split.
    public let files: [GGUFFile]
    /// The first part's, without what it says of the parts.
    public let metadata: Metadata

    /// Of all parts.
    public var tensors: [TensorDescription] { files.flatMap(\.tensors) }

    public static let numberKey = "split.no"
    public static let countKey = "split.count"
    public static let tensorCountKey = "split.tensors.count"

    /// A model in one file.
    public init(_ file: GGUFFile) {
        files = [file]
        metadata = file.metadata
    }

    /// Opens all parts of a model, whichever of them the path names.
    /// - Throws: `GGUFError` that names the part which cannot be read, or does not belong to the others.
    public init(path: String) throws {
        let given = try GGUFFile(path: path)
        guard let count = try Self.integer(Self.countKey, in: given), count > 1 else {
            self.init(given)
            return
        }
        let number = try Self.integer(Self.numberKey, in: given) ?? 0
        guard let stem = Self.stem(of: path, number: number, count: count) else {
            throw GGUFError(
                file: path,
                reason: "is part \(number + 1) of \(count), so its name must end in \(Self.ending(number, count))")
        }
        self.init(
            checked: try Self.checked(
                (0..<count).map { index in
                    index == number ? given : try Self.part(index, stem + Self.ending(index, count), of: given, count)
                }))
    }

    /// The same model, mapped once, without the values of some keys.
    public func removingMetadata(where isRemoved: (String, MetadataValue) -> Bool) -> GGUFParts {
        GGUFParts(
            files: files.map { $0.removingMetadata(where: isRemoved) }, metadata: metadata.removing(where: isRemoved))
    }

    private init(files: [GGUFFile], metadata: Metadata) {
        self.files = files
        self.metadata = metadata
    }

    private init(checked files: [GGUFFile]) {
        var metadata = files[0].metadata
        for key in [Self.numberKey, Self.countKey, Self.tensorCountKey] { metadata.remove(key) }
        self.files = files
        self.metadata = metadata
    }

    // MARK: Names

    /// `-00001-of-00003.gguf`
    private static func ending(_ number: Int, _ count: Int) -> String {
        func padded(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - "\(value)".count)) + "\(value)" }
        return "-\(padded(number + 1))-of-\(padded(count)).gguf"
    }

    /// What the paths of all parts begin with; nil where this one's does not end as its number says.
    private static func stem(of path: String, number: Int, count: Int) -> String? {
        guard (0..<count).contains(number), path.hasSuffix(ending(number, count)) else { return nil }
        return String(path.dropLast(ending(number, count).count))
    }

    // MARK: Checks

    /// - Returns: nil where the key is not there.
    private static func integer(_ key: String, in file: GGUFFile) throws -> Int? {
        guard let value = file.metadata[key] else { return nil }
        guard let integer = value.integer, (0...Int(Int32.max)).contains(integer) else {
            throw GGUFError(
                file: file.path, reason: "\(key) is \(value.summary), but must be a number of parts or tensors")
        }
        return integer
    }

    private static func part(_ index: Int, _ path: String, of given: GGUFFile, _ count: Int) throws -> GGUFFile {
        let file: GGUFFile
        do {
            file = try GGUFFile(path: path)
        } catch var error as GGUFError {
            error.reason += " (part \(index + 1) of the \(count) that \(given.path) belongs to)"
            throw error
        }
        guard try integer(countKey, in: file) == count, try integer(numberKey, in: file) == index else {
            let own = try (integer(numberKey, in: file) ?? 0, integer(countKey, in: file) ?? 1)
            throw GGUFError(
                file: path, reason: "says that it is part \(own.0 + 1) of \(own.1), but its name and \(given.path) say "
                    + "part \(index + 1) of \(count)")
        }
        return file
    }

    /// Parts of one model name one architecture and the same number of tensors, and share none.
    private static func checked(_ files: [GGUFFile]) throws -> [GGUFFile] {
        let found = files.reduce(0) { $0 + $1.tensors.count }
        var holders: [String: String] = [:]
        for file in files {
            if let architecture = file.metadata["general.architecture"],
                architecture != files[0].metadata["general.architecture"]
            {
                throw GGUFError(
                    file: file.path,
                    reason: "is a part of another model: general.architecture is \(architecture.summary), in "
                        + "\(files[0].path) \(files[0].metadata["general.architecture"]?.summary ?? "missing")")
            }
            for tensor in file.tensors {
                if let other = holders.updateValue(file.path, forKey: tensor.name) {
                    throw GGUFError(file: file.path, reason: "tensor \(quoted(tensor.name)) is in \(other) too")
                }
            }
            if let expected = try integer(tensorCountKey, in: file), expected != found {
                throw GGUFError(
                    file: file.path, reason: "\(tensorCountKey) is \(expected), but the parts hold \(found) tensors")
            }
        }
        return files
    }
}
