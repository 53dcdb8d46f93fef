import PropertyTesting

/// Characters that tokenizers tell apart, in rows of like ones.
enum Alphabet {
    static let rows: [[Unicode.Scalar]] = [
        "abcxyz", "ABCXYZ", "aAbBsStTdDmM", "0123456789", " ", ".,!?;:-_#%&*@", "'", "$+<=>^`|~", "()[]{}\\/\"",
        "\n", "\r",
        "\t\u{B}\u{C}", "éÉñßÀÖøþµ", "e\u{301}a\u{308}\u{327}", "\u{300}\u{951}\u{20DD}\u{FE0F}",
        "\u{A0}\u{2003}\u{3000}\u{2028}\u{85}\u{1680}", "٣٤५Ⅷ½²", "ЖжѢΩωΣς", "ǅʰªºʔƻǀ", "中文字一龥鿿豈",
        "ひらがなカタカナー・", "가각힣ㄱㆎ", "ㄅㄯ", "！…“”‘’—：；，、〿︰﹏。।۔،", "ไทยເປັນກာꩠꧠ", "कि खी நி", "עברית العربية",
        "𐐀𐐨𞤀𠀀𪛟𞄀", "😀👩\u{200D}🏳🌈", "\u{200B}\u{200D}\u{FEFF}\u{AD}\u{FFFD}\u{E000}\u{F0000}",
        "\u{378}\u{1E900}\u{1C89}\u{A7CB}", "\u{0}\u{1}\u{1C}\u{7F}\u{80}", "®©°±×÷€№", "ﬁＡａ０！￥",
        "\u{130}\u{131}\u{212A}\u{17F}", "ACGTacgtN", "▁",
    ].map { Array($0.unicodeScalars) }

    /// What pre-tokenizers have a rule for.
    static let phrases = [
        "'s", "'t", "'RE", "'Ve", "'ll", "    ", "\n\n", "\r\n", "1234567", "\u{1F469}\u{200D}\u{1F467}",
        "<dna>ACGTACGT</dna>",
        "<sentinel:12>", "IMGIMGABCIZ", "<0x41>", "<s>", "</s>", "<unk>", "<|endoftext|>", "<mask>", "[MASK]",
        "<|im_end|>",
    ]

    /// What is no UTF-8: bytes that are none, too long a form, surrogates, beyond the last scalar, cut short.
    static let broken: [[UInt8]] = [
        [0x80], [0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE4, 0xB8], [0xF0, 0x9F, 0x98],
        [0xC3], [0xFE, 0x80, 0x80, 0x80, 0x80, 0x80],
    ]

    /// A few characters of a row.
    static func draw(_ choices: inout Choices, usually: Int = 3) -> String {
        let row = choices.element(of: rows)
        let scalars = choices.list(count: 1...12, usually: usually) { $0.element(of: row) }
        return String(String.UnicodeScalarView(scalars))
    }
}
