import Devices
import Foundation
import ModelGraph

/// What ends a run, and what does not come out twice the same.
extension FaultCatalogue {
    static let process: [Fault] = [
        when("crash-on-nine-tokens", "attention aborts on micro-batches of more than eight tokens", tokens: 9, .crash) { call in
            guard case .attention = call.site.op, call.site.shape[0] > 8 else { return }
            FileHandle.standardError.write(Data("assertion failed: tokens <= 8, in attention\n".utf8))
            abort()
        },
        when("trap-on-row-tail", "a product of rows that are no multiple of 32 traps", .crash) { call in
            guard case .matmul = call.site.op else { return }
            precondition(call.site.shape(0).last % 32 == 0, "assertion failed: columns % 32 == 0, in matmul")
        },
        when("trap-on-logits-of-three", "taking three output rows or more traps", tokens: 3, .crash) { call in
            guard case .rows = call.site.op, call.site.isInput(1, .outputs) else { return }
            precondition(call.site.shape[0] < 3, "assertion failed: outputs < 3, in rows")
        },
        when("hang-on-two-sequences", "a mask of tokens of different sequences is never done", tokens: 2, .hang) { call in
            guard case .mask = call.site.op, Set(call.operands[1].values).count > 1 else { return }
            while true { Thread.sleep(forTimeInterval: 0.1) }
        },
        when("memory-without-end", "a product of three tokens or more allocates for ever", tokens: 3, .memory) { call in
            guard case .matmul = call.site.op, call.site.shape[0] > 2, call.site.shape.rank == 2 else { return }
            var kept: [[UInt8]] = []
            while true { kept.append(Array(repeating: 1, count: 1 << 24)) }
        },
        when("error-on-five-tokens", "a norm of five tokens or more fails", tokens: 5, .error) { call in
            guard case .norm = call.site.op, call.site.shape.rank == 2, call.site.shape[0] > 4 else { return }
            throw DeviceError(device: "faulty", reason: "norm: no pipeline for \(call.site.shape[0]) rows")
        },
        Fault("nan-on-seven-tokens", "micro-batches of seven tokens give NaN", tokens: 7) { site in
            guard case .rows = site.op, site.isInput(1, .tokens), site.shape[0] == 7 else { return nil }
            return .result { y, _ in y[0] = .nan }
        },
        Fault("race-once-in-fifty", "a norm reads its first row too early, once in fifty runs", symptom: .flakiness) { site in
            guard case .norm = site.op else { return nil }
            return .around { call in
                if call.ordinal % 50 == 49 { call.operands[0].values[0] += 1 }
                try call.run()
            }
        },
        Fault("uninitialised-tail", "every other time, the last of an odd number of outputs holds what lay there", symptom: .flakiness) { site in
            guard case .matmul = site.op, site.shape.last > 1, site.shape.last % 2 == 1 else { return nil }
            return .around { call in
                try call.run()
                if call.ordinal % 2 == 1 { call.result.mapRows { $0[$0.count - 1] = 1 } }
            }
        },
    ]

    /// A fault that does something before a node runs.
    private static func when(
        _ name: String, _ about: String, tokens: Int = 1, _ symptom: Fault.Symptom, _ act: @escaping @Sendable (Call) throws -> Void
    ) -> Fault {
        Fault(name, about, tokens: tokens, symptom: symptom) { site in
            switch site.op {
            case .attention, .matmul, .rows, .mask, .norm:
                .around { call in
                    try act(call)
                    try call.run()
                }
            default: nil
            }
        }
    }
}
