import Devices
import Inference

// Each is written and read in one order, that of `WorkerProtocol.md`.

extension Script: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(placement: try payload.read(), options: try payload.read(), steps: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(placement, options, steps) }
}

// MARK: Where it runs

extension Placement: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(
            try payload.read(), layers: try payload.read(), tensors: try payload.read(), split: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(defaultDevice, layers, tensors, split) }
}

extension Placement.LayerRange: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(first: try payload.read(), last: try payload.read(), device: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(first, last, device) }
}

extension Placement.TensorRule: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(pattern: try payload.read(), device: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(pattern, device) }
}

extension Placement.Split: PayloadValue {}

// MARK: How

extension Script.Options: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(
            context: try payload.read(), sequences: try payload.read(), microBatch: try payload.read(),
            cacheType: try payload.read())
        settings = try payload.read()
        rounding = try payload.read()
        decisions = try payload.read()
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(
            context, sequences, microBatch, cacheType, settings, rounding, decisions)
    }
}

extension StateType: PayloadValue {}
extension Setting: PayloadValue {}

/// Pairs of names and values.
extension Settings: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init()
        for _ in 0..<(try payload.count()) {
            let setting: Setting = try payload.read()
            let start = payload.offset
            let value = Setting.Value(try payload.text())
            guard setting.isLegal(value) else {
                throw payload.error("\(setting.rawValue) must be \(setting.legalValues)", at: start)
            }
            self[setting] = value
        }
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(count)
        for (setting, value) in all { payload.write(setting, value.description) }
    }
}

extension Rounding: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(
            seed: UInt64(bitPattern: Int64(try payload.integer())), precision: try payload.read(),
            usesFlashAttention: try payload.read(), rows: try payload.read())
    }

    func write(to payload: inout PayloadWriter) {
        payload.append(integer: Int64(bitPattern: seed))
        payload.write(precision, usesFlashAttention, rows)
    }
}

extension Precision: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(storage: try payload.read(), accumulation: try payload.read())
        products = try Dictionary(reading: &payload)
        attention = try Dictionary(reading: &payload)
        functions = try Dictionary(reading: &payload)
        states = try payload.read()
        flushesSubnormals = try payload.read()
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(storage, accumulation)
        products.write(to: &payload)
        attention.write(to: &payload)
        functions.write(to: &payload)
        payload.write(states, flushesSubnormals)
    }
}

extension Precision.Arithmetic: PayloadValue {
    init(reading payload: inout PayloadReader) throws { self.init(try payload.read(), sums: try payload.read()) }
    func write(to payload: inout PayloadWriter) { payload.write(operands, sums) }
}

/// Pairs of names and values, in the order of the names.
extension Dictionary where Key: CodingKeyRepresentable, Value: PayloadValue {
    fileprivate init(reading payload: inout PayloadReader) throws {
        self.init()
        for _ in 0..<(try payload.count()) {
            let start = payload.offset
            let name = try payload.text()
            guard let key = Key(codingKey: TextKey(name)) else {
                throw payload.error("\(String(name.prefix(100)).debugDescription) is an unknown name", at: start)
            }
            let value: Value = try payload.read()
            self[key] = value
        }
    }

    fileprivate func write(to payload: inout PayloadWriter) {
        payload.write(count)
        for (name, value) in map({ ($0.codingKey.stringValue, $1) }).sorted(by: { $0.0 < $1.0 }) {
            payload.write(name, value)
        }
    }
}

extension Precision.Format: PayloadValue {}
extension Precision.Operands: PayloadValue {}
extension Precision.Sums: PayloadValue {}
extension Precision.RowCount: PayloadValue {}

// MARK: What is asked for

extension Step: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        switch try payload.read(Key.self) {
        case .encode: self = .encode(try payload.read())
        case .process: self = .process(try payload.read())
        case .remove: self = .remove(sequence: try payload.read(), from: try payload.read(), to: try payload.read())
        case .keep: self = .keep(sequence: try payload.read())
        case .copy:
            self = .copy(
                source: try payload.read(), destination: try payload.read(), from: try payload.read(),
                to: try payload.read())
        case .shift:
            self = .shift(
                sequence: try payload.read(), from: try payload.read(), to: try payload.read(), by: try payload.read())
        case .divide:
            self = .divide(
                sequence: try payload.read(), from: try payload.read(), to: try payload.read(), by: try payload.read())
        case .save: self = .save(sequence: try payload.read())
        case .restore: self = .restore(sequence: try payload.read())
        case .clear: self = .clear
        }
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(name)
        switch self {
        case .encode(let batch), .process(let batch): payload.write(batch)
        case .remove(let sequence, let from, let to): payload.write(sequence, from, to)
        case .keep(let sequence): payload.write(sequence)
        case .copy(let source, let destination, let from, let to): payload.write(source, destination, from, to)
        case .shift(let sequence, let from, let to, let number), .divide(let sequence, let from, let to, let number):
            payload.write(sequence, from, to, number)
        case .save(let sequence), .restore(let sequence): payload.write(sequence)
        case .clear: break
        }
    }
}

extension Step.Key: PayloadValue {}

extension Batch: PayloadValue {
    init(reading payload: inout PayloadReader) throws { self.init(try payload.read([Token].self)) }
    func write(to payload: inout PayloadWriter) { payload.write(tokens) }
}

extension Batch.Token: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(
            id: try payload.read(), position: try payload.read(), sequences: try payload.read(),
            wantsOutput: try payload.read(), order: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(id, position, sequences, wantsOutput, order) }
}

/// As its number.
extension DecisionOrder: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self = Self.allCases[try payload.integer(in: 0..<Self.allCases.count)]
    }

    func write(to payload: inout PayloadWriter) { payload.write(number) }
}

extension SequenceSet: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(bits: UInt32(try payload.integer(in: 0 ..< 1 << Self.capacity)))
    }

    func write(to payload: inout PayloadWriter) { payload.append(integer: Int64(bits)) }
}
