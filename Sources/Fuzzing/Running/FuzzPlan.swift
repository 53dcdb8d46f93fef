import Architectures
import Engines
import Inference
import PropertyTesting

/// Which cases a seed stands for.
public struct FuzzPlan: Sendable {
    public var seed: UInt64
    public var architectures: [any Architecture.Type]
    public var checks: [Check]
    /// The devices under test.
    public var devices: [String]
    /// The devices that placements may name.
    public var placeable: [String]
    /// What the engines under test can all be asked for.
    public var traits: EngineTraits
    /// Whether what is seldom drawn is drawn more often.
    public var isSteered: Bool {
        get { steering != nil }
        set { steering = newValue ? steering ?? Steering() : nil }
    }
    private var steering: Steering?

    /// - Parameters:
    ///   - seed: of all that is drawn.
    ///   - architectures: at least one.
    ///   - checks: at least one.
    ///   - devices: those under test, at least one.
    ///   - placeable: those that placements may name.
    ///   - traits: what the engines under test can all be asked for.
    public init(
        seed: UInt64, architectures: [any Architecture.Type] = ArchitectureCatalog.all,
        checks: [Check] = Check.usual, devices: [String], placeable: [String],
        traits: EngineTraits = EngineTraits()
    ) {
        self.seed = seed
        self.architectures = architectures
        self.checks = checks
        self.devices = devices
        self.placeable = placeable
        self.traits = traits
    }

    /// Architectures take turns, so that each is seen soon.
    public func architecture(of index: UInt64) -> any Architecture.Type {
        architectures[Int(index % UInt64(architectures.count))]
    }

    func drawing(of index: UInt64) -> CaseDrawing {
        CaseDrawing(architecture(of: index), devices: devices, placeable: placeable, checks: checks, traits: traits)
    }

    /// Case `index`, and the choices that draw it. It depends on the plan and the index alone: not on the machine, nor
    /// on what else runs.
    /// - Throws: `MetadataError` or `GraphError` for a defect of an architecture's domains.
    public func draw(_ index: UInt64) throws -> (case: Case, recording: Choices.Recording) {
        try draw(index, attempt: 0)
    }

    /// The same, but mostly one of which none of the common findings would say that it is known.
    ///
    /// Else an architecture of which they cover most cases would hardly be tested. One case in five is drawn as it is,
    /// so that what no longer fails is noticed.
    func draw(_ index: UInt64, avoiding common: CommonFindings) throws -> (case: Case, recording: Choices.Recording) {
        var drawn = try draw(index)
        guard index / UInt64(architectures.count) % 5 != 0 else { return drawn }
        let findings = try common.findings(of: index)
        guard !findings.isEmpty else { return drawn }
        for attempt in 1...8 as ClosedRange<UInt64> {
            let traits = drawn.case.traits
            guard findings.contains(where: { $0.covers(drawn.case, traits) }) else { break }
            drawn = try draw(index, attempt: attempt)
        }
        return drawn
    }

    private func draw(_ index: UInt64, attempt: UInt64) throws -> (case: Case, recording: Choices.Recording) {
        guard let steering else { return try draw(index, candidate: attempt) }
        let candidates = try (0..<Steering.candidates).map {
            try draw(index, candidate: attempt * Steering.candidates + $0)
        }
        let count = UInt64(architectures.count)
        let choice = try steering.choice(
            among: candidates.map(\.case.features), architecture: index % count, turn: index / count
        ) { number in
            try draw(index % count + UInt64(number) * count, candidate: Self.sampled).case.features
        }
        return candidates[choice]
    }

    /// Beyond all attempts and candidates.
    private static let sampled: UInt64 = 0xFFFF

    private func draw(_ index: UInt64, candidate: UInt64) throws -> (case: Case, recording: Choices.Recording) {
        var choices = Choices(seed: seed, stream: index &+ candidate &<< 48)
        let drawn = try drawing(of: index).draw(&choices)
        return (drawn, choices.recording)
    }
}
