import GGUF
import Inference

/// One thing that is done to a model's file.
public struct Damage: Hashable, Sendable, Codable {
    /// What is changed. What that means, and where it can be, each kind declares once: see `Declaration`.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        // A number of the header, or the first byte of a text in it, and nothing else.
        case magic, version, tensorCount, keyCount
        case keyLength, keyText, valueType, boolean, stringLength, stringText
        case elementType, elementCount, elementLength, elementText
        case nameLength, nameText, dimensionCount, dimension, tensorType, offset
        // Metadata, in a file that is whole.
        case keyMissing, keyTwice, keysReversed, keyAdded, valueOfOtherType, otherValue, alignment, split
        // Tensors, in a file that is whole.
        case tensorMissing, tensorTwice, tensorAdded, tensorsReversed, tensorName, tensorShape, dataType, gap
        case byteOrder
        // The tokenizer, which toys get for it.
        case tokenizerModel, tokenizerPattern, tokenizerLength, tokenizerType, tokenizerElement
        case specialToken, characterTable
        // Bytes, whatever they mean.
        case headerCut, dataCut, tail, headerBit, dataBit, headerZeros, headerRemoval, headerInsertion
    }

    /// What a kind of damage is of.
    public struct Place: Hashable, Sendable {
        /// A key or a tensor; nil: the file.
        public var subject: String?
        /// Of an array an element, of a shape a dimension, of bytes the first.
        public var element: Int?

        init(_ subject: String?, _ element: Int? = nil) {
            self.subject = subject
            self.element = element
        }

        static let file = Place(nil)

        var description: String {
            [subject.map { $0.isEmpty ? "\"\"" : $0 }, element.map { "\($0)" }].compactMap { $0 }
                .joined(separator: " ")
        }
    }

    /// What a damaged file is, and so what an engine may do with it.
    enum Meaning {
        /// No model. An engine that refuses only what is invalid refuses this; another one may take it for the
        /// undamaged model, and for no other.
        case nothing
        /// The undamaged model for whoever does not look at what is damaged; else it is refused.
        case sameOrNothing
        /// Another model perhaps, or none.
        case anything
        /// The undamaged model, which no engine refuses that refuses only what is invalid.
        case same

        /// Of a file with several damages, one may make up for another.
        func and(_ other: Meaning) -> Meaning {
            switch (self, other) {
            case (.same, _): other
            case (_, .same): self
            case (.sameOrNothing, .sameOrNothing): .sameOrNothing
            default: .anything
            }
        }
    }

    public var kind: Kind
    public var subject: String?
    public var element: Int?
    /// What is there now; nil where the kind says it all.
    public var value: MetadataValue?

    init(_ kind: Kind, _ place: Place = .file, _ value: MetadataValue? = nil) {
        self.kind = kind
        subject = place.subject
        element = place.element
        self.value = value
    }

    var place: Place { Place(subject, element) }

    /// As a person reads it: `offset of token_embd.weight 96`.
    var words: String {
        let place = place.description
        return [kind.declaration.words, place.isEmpty ? nil : place, value?.summary].compactMap { $0 }
            .joined(separator: " ")
    }

    /// As reports count it.
    static func feature(of kind: Kind) -> String { "damage \(kind.rawValue)" }
}

extension Damage {
    /// What a kind of damage is, all in one place.
    struct Declaration {
        /// In what order kinds are done to a file: what comes later takes the file as it is then.
        enum Stage: Int, Comparable {
            case structure, numbers, bytes
            static func < (a: Stage, b: Stage) -> Bool { a.rawValue < b.rawValue }
        }

        enum Places {
            /// The simplest first.
            case listed([Place])
            /// Bytes of the file.
            case bytes(Range<Int>)

            var isEmpty: Bool {
                switch self {
                case .listed(let places): places.isEmpty
                case .bytes(let range): range.isEmpty
                }
            }

            func contains(_ place: Place) -> Bool {
                switch self {
                case .listed(let places): places.contains(place)
                case .bytes(let range): place.subject == nil && place.element.map(range.contains) ?? false
                }
            }
        }

        /// Before what it is of.
        var words: String
        var stage: Stage
        /// Where in a file it may be: where it can be made anything else.
        var places: (DraftLayout) -> Places
        /// What it can make of a place, the simplest first: what is there already is not among them.
        var values: (DraftLayout, Place) -> [MetadataValue?] = { _, _ in [nil] }
        /// What the file is then.
        var meaning: (DraftLayout, Damage) -> Meaning
        /// - Precondition: place and value are among those above.
        var apply: (inout FileDraft, Damage) -> Void

        /// Where in a file it can be.
        func possiblePlaces(_ layout: DraftLayout) -> Places {
            guard case .listed(let places) = places(layout) else { return places(layout) }
            return .listed(places.filter { !values(layout, $0).isEmpty })
        }
    }

    /// - Throws: `ModelError` for what cannot be done to this file.
    func apply(to draft: inout FileDraft) throws -> Meaning {
        let declaration = kind.declaration
        let layout = DraftLayout(draft)
        let stage = draft.stage
        guard declaration.stage >= stage else {
            throw ModelError(subject: kind.rawValue, reason: "comes after what is done to the \(stage)")
        }
        guard declaration.possiblePlaces(layout).contains(place) else {
            throw ModelError(subject: kind.rawValue, reason: "\(place.description): is no such place in this file")
        }
        guard declaration.values(layout, place).contains(value) || isNumber(layout) else {
            throw ModelError(
                subject: kind.rawValue, reason: "\(value?.summary ?? "no value"): is nothing that it can be")
        }
        let meaning = declaration.meaning(layout, self)
        declaration.apply(&draft, self)
        return meaning
    }

    /// Whether it makes a number another, be it any.
    private func isNumber(_ layout: DraftLayout) -> Bool {
        guard kind.declaration.stage == .numbers, case .uint64(let number)? = value else { return false }
        return layout.number(.init(kind: kind, place: place))?.value != number
    }
}

extension FileDraft {
    /// The last stage of which something has been done to it.
    var stage: Damage.Declaration.Stage { !edits.isEmpty ? .bytes : !overrides.isEmpty ? .numbers : .structure }
}

/// A damaged file, and what it is.
struct DamagedFile {
    let bytes: [UInt8]
    let meaning: Damage.Meaning
    /// What is damaged of a file that is no model.
    let defect: Damage?

    /// - Throws: `ModelError` for a damage that cannot be done to this model's file; what the source throws.
    init(_ source: any TensorSource, optionalTensors: [String], _ damages: [Damage]) throws {
        var draft = FileDraft(source, optionalTensors: optionalTensors)
        let meanings = try damages.map { try $0.apply(to: &draft) }
        meaning = meanings.reduce(.same) { $0.and($1) }
        defect = meaning == .nothing ? zip(damages, meanings).first { $1 == .nothing }?.0 : nil
        bytes = try draft.bytes()
    }
}
