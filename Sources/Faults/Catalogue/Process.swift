import Devices
import Foundation
import ModelGraph

/// What ends a run, and what does not come out twice the same.
extension FaultCatalogue {
    static let process: [Fault] = [
        Fault(
            "crash-on-nine-tokens", "attention aborts on micro-batches of more than eight tokens", tokens: 9,
            symptom: .crash
        ) { site in
            guard case .attention = site.op, site.shape[0] > 8 else { return nil }
            return .around { _ in
                FileHandle.standardError.write(Data("assertion failed: tokens <= 8, in attention\n".utf8))
                abort()
            }
        },
        Fault("trap-on-row-tail", "a product of rows that are no multiple of 32 traps", symptom: .crash) { site in
            guard case .matmul = site.op, site.shape(0).last % 32 != 0 else { return nil }
            return .around { _ in fatalError("assertion failed: columns % 32 == 0, in matmul") }
        },
        Fault("trap-on-three-outputs", "taking three output rows or more traps", tokens: 3, symptom: .crash) { site in
            guard case .rows = site.op, site.isInput(1, .outputs), site.shape[0] > 2 else { return nil }
            return .around { _ in fatalError("assertion failed: outputs < 3, in rows") }
        },
        Fault(
            "hang-on-two-sequences", "a mask for tokens of different sequences is never done", tokens: 2, symptom: .hang
        ) { site in
            guard case .mask = site.op, site.shape[0] > 1 else { return nil }
            return .around { call in
                while Set(call.operands[1].values).count > 1 { Thread.sleep(forTimeInterval: 0.1) }
                try call.run()
            }
        },
        Fault(
            "memory-without-end", "a product of three tokens or more allocates for ever", tokens: 3, symptom: .memory
        ) { site in
            guard case .matmul = site.op, site.shape[0] > 2, site.shape.rank == 2 else { return nil }
            return .around { _ in
                var kept: [Data] = []
                while true { kept.append(Data(repeating: 1, count: 1 << 24)) }
            }
        },
        Fault("error-on-five-tokens", "a norm of five tokens or more fails", tokens: 5, symptom: .error) { site in
            guard case .norm = site.op, site.shape.rank == 2, site.shape[0] > 4 else { return nil }
            return .around { _ in
                throw DeviceError(device: "faulty", reason: "norm: no pipeline for \(site.shape[0]) rows")
            }
        },
        Fault("nan-on-seven-tokens", "micro-batches of seven tokens give NaN", tokens: 7) { site in
            guard case .rows = site.op, site.isInput(1, .tokens), site.shape[0] == 7 else { return nil }
            return .result { y, _ in y[0] = .nan }
        },
        Fault(
            "race-once-in-fifty", "a norm reads its first element too early, once in fifty runs", symptom: .flakiness
        ) { site in
            guard case .norm = site.op else { return nil }
            return .around { call in
                if call.ordinal % 50 == 49 { call.operands[0][0] += 1 }
                try call.run()
            }
        },
        Fault(
            "uninitialised-tail", "every other time, the last of an odd number of outputs holds what lay there",
            symptom: .flakiness
        ) { site in
            guard case .matmul = site.op, site.shape.last > 1, site.shape.last % 2 == 1 else { return nil }
            return .around { call in
                try call.run()
                if call.ordinal % 2 == 1 { call.result.mapRows { $0[$0.count - 1] = 1 } }
            }
        },
    ]
}
