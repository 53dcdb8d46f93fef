/// A type that cannot be decoded or encoded, or buffers that do not fit together.
public struct CodecError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
}

/// Conversions between the types and plain numbers, bit-equal to the reference Python package.
extension TensorType {
    public var canDecode: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16, .i8, .i16, .i32, .i64, .q8_0, .q4_0: true
        default: false
        }
    }

    public var canEncode: Bool { canDecode }

    /// Decodes a whole number of blocks.
    /// - Parameters:
    ///   - order: of the bytes of each number, scales of blocks included.
    ///   - output: as many elements as `bytes` hold.
    public func decode<Real: BinaryFloatingPoint>(
        _ bytes: UnsafeRawBufferPointer, order: ByteOrder = .little, into output: UnsafeMutableBufferPointer<Real>
    ) throws {
        guard canDecode else { throw CodecError(description: "\(name) cannot be decoded") }
        guard byteCount(elements: output.count) == bytes.count else {
            throw CodecError(description: "\(bytes.count) bytes of \(name) are not \(output.count) elements")
        }
        guard let source = bytes.baseAddress, let target = output.baseAddress else { return }
        let swap = order == .big
        let blocks = output.count / blockSize
        switch self {
        case .f64:
            for i in 0..<blocks { target[i] = Real(Double(bitPattern: source.word(i * 8, swap))) }
        case .f32:
            for i in 0..<blocks { target[i] = Real(Float(bitPattern: source.word(i * 4, swap))) }
        case .f16:
            for i in 0..<blocks { target[i] = Real(HalfPrecision.float(source.word(i * 2, swap))) }
        case .bf16:
            for i in 0..<blocks { target[i] = Real(HalfPrecision.brainFloat(source.word(i * 2, swap))) }
        case .i8:
            for i in 0..<blocks { target[i] = Real(source.load(fromByteOffset: i, as: Int8.self)) }
        case .i16:
            for i in 0..<blocks { target[i] = Real(source.word(i * 2, swap) as Int16) }
        case .i32:
            for i in 0..<blocks { target[i] = Real(source.word(i * 4, swap) as Int32) }
        case .i64:
            for i in 0..<blocks { target[i] = Real(source.word(i * 8, swap) as Int64) }
        case .q8_0:
            for block in 0..<blocks {
                let start = source + block * 34
                let scale = HalfPrecision.float(start.word(0, swap))
                let row = target + block * 32
                for i in 0..<32 {
                    row[i] = Real(Float(start.load(fromByteOffset: 2 + i, as: Int8.self)) * scale)
                }
            }
        case .q4_0:
            for block in 0..<blocks {
                let start = source + block * 18
                let scale = HalfPrecision.float(start.word(0, swap))
                let row = target + block * 32
                for i in 0..<16 {
                    let pair = Int(start.load(fromByteOffset: 2 + i, as: UInt8.self))
                    row[i] = Real(scale * Float((pair & 15) - 8))
                    row[i + 16] = Real(scale * Float((pair >> 4) - 8))
                }
            }
        default:
            throw CodecError(description: "\(name) cannot be decoded")
        }
    }

    /// Encodes a whole number of blocks in little-endian order. Integers are truncated and clamped.
    public func encode(
        _ values: UnsafeBufferPointer<Float>, into output: UnsafeMutableRawBufferPointer
    ) throws {
        guard canEncode else { throw CodecError(description: "\(name) cannot be encoded") }
        guard byteCount(elements: values.count) == output.count else {
            throw CodecError(description: "\(values.count) elements are not \(output.count) bytes of \(name)")
        }
        guard let source = values.baseAddress, let target = output.baseAddress else { return }
        let blocks = values.count / blockSize
        switch self {
        case .f64:
            for i in 0..<blocks { target.store(Double(source[i]).bitPattern, i * 8) }
        case .f32:
            for i in 0..<blocks { target.store(source[i].bitPattern, i * 4) }
        case .f16:
            for i in 0..<blocks { target.store(HalfPrecision.bits(source[i]), i * 2) }
        case .bf16:
            for i in 0..<blocks { target.store(HalfPrecision.brainBits(source[i]), i * 2) }
        case .i8:
            for i in 0..<blocks { target.store(Int8(clamping: source[i]), i) }
        case .i16:
            for i in 0..<blocks { target.store(Int16(clamping: source[i]), i * 2) }
        case .i32:
            for i in 0..<blocks { target.store(Int32(clamping: source[i]), i * 4) }
        case .i64:
            for i in 0..<blocks { target.store(Int64(clamping: source[i]), i * 8) }
        case .q8_0:
            for block in 0..<blocks { Self.encodeQ8_0(source + block * 32, target + block * 34) }
        case .q4_0:
            for block in 0..<blocks { Self.encodeQ4_0(source + block * 32, target + block * 18) }
        default:
            throw CodecError(description: "\(name) cannot be encoded")
        }
    }

    /// Scale: greatest magnitude / 127; elements rounded to nearest, ties away from zero.
    private static func encodeQ8_0(_ row: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer) {
        var greatest: Float = 0
        for i in 0..<32 { greatest = max(greatest, abs(row[i])) }
        let scale = greatest / 127
        let inverse = scale == 0 ? 0 : 1 / scale
        target.store(HalfPrecision.bits(scale), 0)
        for i in 0..<32 {
            target.store(Int8(clamping: (row[i] * inverse).rounded(.toNearestOrAwayFromZero)), 2 + i)
        }
    }

    /// Scale: the element of greatest magnitude / −8, so that it becomes 0 of 0 ... 15; the others are
    /// rounded by truncating `x / scale + 8.5`.
    private static func encodeQ4_0(_ row: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer) {
        var extreme: Float = 0
        for i in 0..<32 where abs(row[i]) > abs(extreme) { extreme = row[i] }
        let scale = extreme / -8
        let inverse = scale == 0 ? 0 : 1 / scale
        target.store(HalfPrecision.bits(scale), 0)
        for i in 0..<16 {
            let low = min(15, UInt8(clamping: row[i] * inverse + 8.5))
            let high = min(15, UInt8(clamping: row[i + 16] * inverse + 8.5))
            target.store(low | high << 4, 2 + i)
        }
    }
}

extension FixedWidthInteger {
    /// Truncated towards zero and clamped; NaN becomes 0.
    fileprivate init(clamping value: Float) {
        if let exact = Self(exactly: value.rounded(.towardZero)) {
            self = exact
        } else {
            self = value.isNaN ? 0 : value < 0 ? .min : .max
        }
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    fileprivate func word<Word: FixedWidthInteger>(_ offset: Int, _ swap: Bool) -> Word {
        let word = loadUnaligned(fromByteOffset: offset, as: Word.self)
        return swap ? Word(bigEndian: word) : Word(littleEndian: word)
    }
}

extension UnsafeMutableRawPointer {
    @inline(__always)
    fileprivate func store<Word: FixedWidthInteger>(_ word: Word, _ offset: Int) {
        storeBytes(of: word.littleEndian, toByteOffset: offset, as: Word.self)
    }
}
