import GGUF
import Inference
import PropertyTesting

extension Damage {
    /// Draws what is done to a model's file, or recovers it (`like`): mostly one thing, and at times nothing, where it
    /// may be states that are damaged.
    /// - Parameters:
    ///   - choices: what is drawn from.
    ///   - draft: the file.
    ///   - target: what is done, where that is given.
    /// - Throws: `Unreachable` where nothing draws the target.
    static func draw(_ choices: inout Choices, _ draft: FileDraft, like target: [Damage]?) throws -> [Damage] {
        if choices.boolean(1, in: 6, like: target?.isEmpty) { return [] }
        var draft = draft
        let usually = choices.chance(1, in: 3) ? 4 : 1
        return try choices.list(count: 1...8, usually: usually, like: target) { choices, target in
            let damage = try draw(&choices, DraftLayout(draft), among: Kind.allCases, like: target)
            _ = try damage.apply(to: &draft)
            return damage
        }
    }

    /// - Parameters:
    ///   - choices: what is drawn from.
    ///   - layout: of the file.
    ///   - kinds: of damages that may be drawn, one of which the file can have.
    ///   - target: what is done, where that is given.
    /// - Throws: `Unreachable` where nothing draws the target.
    static func draw(
        _ choices: inout Choices, _ layout: DraftLayout, among kinds: [Kind], like target: Damage?
    ) throws -> Damage {
        let stage = layout.draft.stage
        let kinds = kinds.filter { kind in
            let declaration = kind.declaration
            return declaration.stage >= stage && !declaration.possiblePlaces(layout).isEmpty
        }
        let kind = try choices.element(of: kinds, like: target?.kind)
        let declaration = kind.declaration
        let place: Place
        switch declaration.possiblePlaces(layout) {
        case .listed(let places): place = try choices.element(of: places, like: target?.place)
        case .bytes(let range):
            place = Place(
                nil, try choices.integer(
                    in: range.lowerBound...range.upperBound - 1, like: target.map { $0.element ?? -1 }))
        }
        let value = try choices.element(of: declaration.values(layout, place), like: target.map(\.value))
        return Damage(kind, place, value)
    }
}
