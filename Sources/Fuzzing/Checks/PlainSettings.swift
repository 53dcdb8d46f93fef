import Engines
import Inference

extension Script {
    /// The same, with every setting as it is by itself, but for those that change the numbers and those that the cache
    /// leaves no choice of.
    func withPlainSettings(_ traits: SessionTraits) -> Script {
        var plain = self
        plain.options.settings = Settings()
        for setting in Setting.allCases {
            let value = setting.isOfNumbers ? options.settings[setting] : setting.plain
            plain.options.settings[setting] = setting.declaration.allows(value, traits, plain.options)
                ? value : options.settings[setting]
        }
        return plain
    }
}
