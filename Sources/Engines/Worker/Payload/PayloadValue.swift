import Foundation

/// What a payload of the worker protocol is made of; `WorkerProtocol.md` says how each is laid out.
protocol PayloadValue {
    /// - Throws: `ProtocolError` where the bytes are none of these.
    init(reading payload: inout PayloadReader) throws
    func write(to payload: inout PayloadWriter)
}

extension Int: PayloadValue {
    init(reading payload: inout PayloadReader) throws { self = try payload.integer() }
    func write(to payload: inout PayloadWriter) { payload.append(integer: Int64(self)) }
}

extension Bool: PayloadValue {
    init(reading payload: inout PayloadReader) throws { self = try payload.flag() }
    func write(to payload: inout PayloadWriter) { payload.append(byte: self ? 1 : 0) }
}

extension String: PayloadValue {
    init(reading payload: inout PayloadReader) throws { self = try payload.text() }
    func write(to payload: inout PayloadWriter) { payload.append(text: self) }
}

extension Optional: PayloadValue where Wrapped: PayloadValue {
    init(reading payload: inout PayloadReader) throws { self = try payload.flag() ? Wrapped(reading: &payload) : nil }

    func write(to payload: inout PayloadWriter) {
        payload.write(self != nil)
        self?.write(to: &payload)
    }
}

extension Array: PayloadValue where Element: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self = try payload.list(payload.count(), Element.init(reading:))
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(count)
        for element in self { element.write(to: &payload) }
    }
}

/// What has a name is written by it.
extension PayloadValue where Self: RawRepresentable, RawValue == String {
    init(reading payload: inout PayloadReader) throws {
        let start = payload.offset
        let name = try payload.text()
        guard let value = Self(rawValue: name) else {
            throw payload.error("\(String(name.prefix(100)).debugDescription) is an unknown name", at: start)
        }
        self = value
    }

    func write(to payload: inout PayloadWriter) { rawValue.write(to: &payload) }
}
