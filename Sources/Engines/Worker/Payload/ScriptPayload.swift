import Devices
import Inference

// Each is written and read in one order, that of `Protocol.md`.

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
        flashAttention = try payload.read()
        threads = try payload.read()
        unifiedCache = try payload.read()
        rounding = try payload.read()
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(context, sequences, microBatch, cacheType, flashAttention, threads, unifiedCache, rounding)
    }
}

extension StateType: PayloadValue {}

extension Rounding: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(
            seed: UInt64(bitPattern: Int64(try payload.integer())), precision: try payload.read(),
            usesFlashAttention: try payload.read())
    }

    func write(to payload: inout PayloadWriter) {
        payload.append(integer: Int64(bitPattern: seed))
        payload.write(precision, usesFlashAttention)
    }
}

extension Precision: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(
            storage: try payload.read(), accumulation: try payload.read(), activations: try payload.read(),
            products: try payload.read(), gelu: try payload.read(), attention: try payload.read(),
            fullAttention: try payload.read(), flashAttention: try payload.read())
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(storage, accumulation, activations, products, gelu, attention, fullAttention, flashAttention)
    }
}

extension Precision.Format: PayloadValue {}
extension Precision.Activations: PayloadValue {}

// MARK: What is asked for

extension Step: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        switch try payload.read(Key.self) {
        case .encode: self = .encode(try payload.read())
        case .process: self = .process(try payload.read())
        case .remove: self = .remove(sequence: try payload.read(), from: try payload.read(), to: try payload.read())
        case .keep: self = .keep(sequence: try payload.read())
        case .copy: self = .copy(source: try payload.read(), destination: try payload.read())
        case .shift: self = .shift(sequence: try payload.read(), from: try payload.read(), by: try payload.read())
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
        case .copy(let source, let destination): payload.write(source, destination)
        case .shift(let sequence, let from, let delta): payload.write(sequence, from, delta)
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
            wantsOutput: try payload.read())
    }

    func write(to payload: inout PayloadWriter) { payload.write(id, position, sequences, wantsOutput) }
}

extension SequenceSet: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(bits: UInt32(try payload.integer(in: 0 ..< 1 << Self.capacity)))
    }

    func write(to payload: inout PayloadWriter) { payload.append(integer: Int64(bits)) }
}
