import Inference

extension CaseSearch {
    /// Takes adapters out, and matrices and blocks out of them, and makes their numbers plainer.
    mutating func simplifyAdapters() {
        cut { $0.adapters?.count ?? 0 } _: { subject, part in
            var result = subject
            result.adapters?.removeSubrange(part)
            if result.adapters?.isEmpty ?? false { result.adapters = nil }
            return result
        }
        for number in (best.adapters ?? []).indices {
            cut { $0.adapters?[number].matrices.count ?? 0 } _: { subject, part in
                guard case .lora(var lora)? = subject.adapters?[number], part.count < lora.tensors.count else {
                    return nil
                }
                lora.tensors.removeSubrange(part)
                var result = subject
                result.adapters?[number] = .lora(lora)
                return result
            }
            for simplify in Adapter.simplifications {
                edit { subject in
                    if let adapter = subject.adapters?[number] { subject.adapters?[number] = simplify(adapter) }
                }
            }
        }
    }
}

extension Adapter {
    fileprivate var matrices: [String] {
        if case .lora(let lora) = self { lora.tensors } else { [] }
    }

    /// Each makes one thing of it as plain as can be.
    fileprivate static var simplifications: [(Adapter) -> Adapter] {
        func ofLoRA(_ change: @escaping (inout LoRA) -> Void) -> (Adapter) -> Adapter {
            { adapter in
                guard case .lora(var lora) = adapter else { return adapter }
                change(&lora)
                return .lora(lora)
            }
        }
        func ofControlVector(_ change: @escaping (inout ControlVector) -> Void) -> (Adapter) -> Adapter {
            { adapter in
                guard case .controlVector(var vector) = adapter else { return adapter }
                change(&vector)
                return .controlVector(vector)
            }
        }
        return [
            ofLoRA { $0.type = .f32 }, ofLoRA { $0.rank = 1 }, ofLoRA { $0.alpha = 1 }, ofLoRA { $0.scale = 1 },
            ofLoRA { $0.seed = 0 }, ofControlVector { $0.last = $0.first }, ofControlVector { $0.first = $0.last },
            ofControlVector { $0.scale = 1 }, ofControlVector { $0.seed = 0 },
        ]
    }
}
