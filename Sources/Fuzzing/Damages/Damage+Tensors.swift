import GGUF
import Inference

/// Other tensors, in a file that is whole.
extension Damage.Declaration {
    private static func ofTensors(
        _ words: String, values: @escaping (FileDraft.Tensor, FileDraft) -> [MetadataValue?] = { _, _ in [nil] },
        meaning: @escaping (FileDraft.Tensor, FileDraft, MetadataValue?) -> Damage.Meaning,
        apply: @escaping (inout FileDraft, Int, MetadataValue?) -> Void
    ) -> Self {
        func index(_ draft: FileDraft, _ place: Damage.Place) -> Int? {
            draft.tensors.firstIndex { $0.name == place.subject }
        }
        return structure(
            words, { $0.draft.tensors.map { Damage.Place($0.name) } },
            values: { layout, place in
                index(layout.draft, place).map { values(layout.draft.tensors[$0], layout.draft) } ?? []
            },
            meaning: { layout, damage in
                index(layout.draft, damage.place)
                    .map { meaning(layout.draft.tensors[$0], layout.draft, damage.value) } ?? .anything
            },
            apply: { draft, damage in
                if let index = index(draft, damage.place) { apply(&draft, index, damage.value) }
            })
    }

    static var tensorMissing: Self {
        ofTensors(
            "without tensor",
            meaning: { tensor, draft, _ in draft.optionalTensors.contains(tensor.name) ? .anything : .nothing },
            apply: { draft, index, _ in draft.tensors.remove(at: index) })
    }

    static var tensorTwice: Self {
        ofTensors("twice tensor", meaning: { _, _, _ in .nothing }) { draft, index, _ in
            draft.tensors.append(draft.tensors[index])
        }
    }

    static var tensorAdded: Self {
        let unknown = "extra.weight"
        // That a model may have, in another shape mostly.
        let names = [unknown, "output.weight", "output.bias", "rope_freqs.weight", "blk.0.attn_q.bias", "blk.99.x"]
        return structure(
            "with tensor",
            { layout in
                let present = Set(layout.draft.tensors.map(\.name))
                return present.isEmpty ? [] : names.filter { !present.contains($0) }.map { Damage.Place($0) }
            },
            meaning: { _, damage in damage.subject == unknown ? .nothing : .anything },
            apply: { draft, damage in
                guard let origin = draft.tensors.first?.origin, let name = damage.subject else { return }
                draft.tensors.append(.init(name: name, dimensions: [32], type: .f32, origin: origin))
            })
    }

    static var tensorsReversed: Self {
        structure("tensors from the last to the first", meaning: { _, _ in .same }) { draft, _ in
            draft.tensors.reverse()
        }
    }

    static var tensorName: Self {
        // ggml has room for 63 characters.
        let names = ["", "x"] + [63, 64, 1000].map { String(repeating: "x", count: $0) }
        return ofTensors(
            "other name of", values: { _, _ in names.map { .string($0) } }, meaning: { _, _, _ in .nothing },
            apply: { draft, index, name in name?.string.map { draft.tensors[index].name = $0 } })
    }

    static var tensorShape: Self {
        ofTensors(
            "other shape of",
            values: { tensor, _ in
                tensor.otherShapes.map { .array(.uint64($0.map { UInt64($0) })) }
            },
            meaning: { tensor, _, shape in
                shape?.dimensions.map(\.significant) == tensor.dimensions.significant ? .sameOrNothing : .nothing
            },
            apply: { draft, index, shape in shape?.dimensions.map { draft.tensors[index].dimensions = $0 } })
    }

    static var dataType: Self {
        ofTensors(
            "other type of data of",
            values: { tensor, draft in
                TensorType.allCases.filter { type in
                    type != tensor.type && (tensor.dimensions.first ?? 1).isMultiple(of: type.blockSize)
                        && (draft.byteOrder == .little || type.hasKnownByteOrder)
                }.map { .string($0.name) }
            },
            meaning: { _, _, _ in .anything },
            apply: { draft, index, name in
                name?.string.flatMap(TensorType.init(name:)).map { draft.tensors[index].type = $0 }
            })
    }

    static var gap: Self {
        ofTensors("gap before", meaning: { _, _, _ in .same }) { draft, index, _ in draft.tensors[index].gap += 1 }
    }

    static var byteOrder: Self {
        structure(
            "big-endian",
            { layout in
                layout.draft.byteOrder == .little && layout.draft.tensors.allSatisfy(\.type.hasKnownByteOrder)
                    ? [.file] : []
            },
            meaning: { _, _ in .same }, apply: { draft, _ in draft.byteOrder = .big })
    }
}

extension FileDraft.Tensor {
    /// Of which there can be data of the tensor's type: a row more or less, transposed, in one dimension, in another
    /// number of dimensions.
    fileprivate var otherShapes: [[Int]] {
        guard let last = dimensions.last else { return [[1]] }
        let shapes = [
            dimensions.dropLast() + [last + 1], dimensions.dropLast() + [last - 1], dimensions.reversed(),
            [dimensions.reduce(1, *)], dimensions + [1], dimensions + [2], [1] + dimensions, dimensions.dropLast(),
        ]
        return shapes.uniqued.filter { shape in
            shape != dimensions && shape.allSatisfy { $0 >= 0 }
                && shape.count <= TensorDescription.maximumDimensionCount && (shape.first ?? 1).isMultiple(of: type.blockSize)
        }
    }
}

extension TensorType {
    /// Whether there is data of this type in both byte orders.
    fileprivate var hasKnownByteOrder: Bool {
        (try? swapBytes(UnsafeMutableRawBufferPointer(start: nil, count: 0))) != nil
    }
}

extension MetadataValue {
    fileprivate var dimensions: [Int]? { elements?.compactMap(\.integer) }
}

extension [Int] {
    /// Without those at the end that are one.
    fileprivate var significant: [Int] { Array(reversed().drop { $0 == 1 }.reversed()) }
}
