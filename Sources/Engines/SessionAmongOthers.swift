import Inference

/// The session of a script among others of the same model, as its settings have it: after another one, beside another
/// one, in a new one from where all of a state is restored, and with states that are cut short or damaged before those
/// that are whole.
final class SessionAmongOthers: ScriptSession {
    private let open: () throws -> any ScriptSession
    private let settings: Settings
    private var session: any ScriptSession
    /// Which does the same, step by step, each a little earlier.
    private let other: (any ScriptSession)?
    /// Which has taken a damaged state, until it has gone on with it. Whatever it does, it must live.
    private var victim: (any ScriptSession)?

    /// - Throws: as `open`.
    init(_ script: Script, open: @escaping () throws -> any ScriptSession) throws {
        self.open = open
        settings = script.options.settings
        // What fails in it fails in this one too, and says there at which step.
        if settings[.otherSessions] == .name("before") { _ = try script.play(on: open) }
        other = settings[.otherSessions] == .name("beside") ? try open() : nil
        session = try open()
    }

    /// A session of a script's, among others if it says so.
    static func open(
        _ script: Script, by open: @escaping () throws -> any ScriptSession
    ) throws -> any ScriptSession {
        script.options.settings.all.contains(where: \.setting.isOfOtherSessions)
            ? try SessionAmongOthers(script, open: open) : try open()
    }

    private func both<Result>(_ step: (any ScriptSession) throws -> Result) throws -> Result {
        if let other { _ = try step(other) }
        return try step(session)
    }

    func encode(_ batch: Batch) throws -> StepResult { try both { try $0.encode(batch) } }
    func process(_ batch: Batch) throws -> StepResult {
        _ = try? victim?.process(batch)
        victim = nil
        return try both { try $0.process(batch) }
    }
    func remove(_ sequence: Int?, _ positions: Range<Int>) throws -> Bool {
        try both { try $0.remove(sequence, positions) }
    }
    func keep(_ sequence: Int) throws { try both { try $0.keep(sequence) } }
    func copy(_ source: Int, to destination: Int, _ positions: Range<Int>) throws -> Bool {
        try both { try $0.copy(source, to: destination, positions) }
    }
    func shift(_ sequence: Int, _ positions: Range<Int>, by delta: Int) throws {
        try both { try $0.shift(sequence, positions, by: delta) }
    }
    func divide(_ sequence: Int, _ positions: Range<Int>, by divisor: Int) throws {
        try both { try $0.divide(sequence, positions, by: divisor) }
    }
    func save(_ sequence: Int?) throws -> [UInt8] { try both { try $0.save(sequence) } }
    func restore(_ state: [UInt8], _ sequence: Int?) throws {
        if sequence == nil, settings[.restoresAnew].flag { session = try open() }
        if settings[.cutStates].flag {
            // Not of no bytes: that is llama.cpp's word for a failure, and for all of them.
            for count in Set([state.count / 2, state.count - 1]).sorted() where count > 0 {
                guard (try? session.restore(Array(state[..<count]), sequence)) == nil else {
                    throw Failure("restores a state of \(state.count) bytes from the first \(count)")
                }
            }
        }
        if settings[.damagedStates].number > 0 {
            let session = try open()
            let isTaken = (try? session.restore(state.damaged(settings[.damagedStates].number), sequence)) != nil
            victim = isTaken ? session : nil
        }
        try both { try $0.restore(state, sequence) }
    }
    func clear() throws { try both { try $0.clear() } }

    var fallbacks: [String] { session.fallbacks }
    var extents: [StepResult.Extent]? { session.extents }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}

extension [UInt8] {
    /// The same, with four bytes other than they are.
    /// - Parameter number: from 1; of the first four, 1 sets all bits, 2 adds one and 3 clears them, and so on.
    fileprivate func damaged(_ number: Int) -> [UInt8] {
        let width = 4
        let (place, change) = (number - 1).quotientAndRemainder(dividingBy: 3)
        let first = place * width % Swift.max(1, count)
        var result = self
        for position in first..<Swift.min(first + width, count) {
            switch change {
            case 0: result[position] = 0xFF
            case 1: if position == first { result[position] &+= 1 }
            default: result[position] = 0
            }
        }
        return result
    }
}
