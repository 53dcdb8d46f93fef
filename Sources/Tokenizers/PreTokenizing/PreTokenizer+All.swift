// Every pre-tokenizer that llama.cpp 0.3.36 knows, with its patterns as llama.cpp applies them. They differ from the
// models' own `tokenizer.json` where llama.cpp's do: the cases of letters are not told apart beyond ASCII, and
// `\p{Han}` is a list of blocks.

private let contraction = "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
private let spaces = #"\s+(?!\S)|\s+"#
private let newlines = #"\s*[\r\n]+|"# + spaces
private let word = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
private let others = #" ?[^\s\p{L}\p{N}]+"#
/// Words that begin with capitals, then words that are nothing else.
private func casedWords(_ letters: String, suffix: String) -> String {
    let upper = "[\(letters)--[a-z]]", lower = "[\(letters)--[A-Z]]", prefix = #"[^\r\n\p{L}\p{N}]?"#
    return "\(prefix)\(upper)*\(lower)+\(suffix)|\(prefix)\(upper)+\(lower)*\(suffix)"
}

private let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|\#(others)|\#(spaces)"#
private let llama3 = #"\#(contraction)|\#(word)|\p{N}{1,3}|\#(others)[\r\n]*|\#(newlines)"#
private let qwen2 = #"\#(contraction)|\#(word)|\p{N}|\#(others)[\r\n]*|\#(newlines)"#
private let gpt4o =
    casedWords(#"\p{L}"#, suffix: "(?:\(contraction))?") + #"|\p{N}{1,3}|\#(others)[\r\n/]*|\#(newlines)"#
private let markedWords = #"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:\#(contraction))?"#
private let lines = #"[^\n]+|\n+"#
private let bloom = #" ?[^(\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"#

private let kana = #"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+"#
private let cjk = #"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"#
private let punctuatedWord = ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##
private let deepSeekWords = punctuatedWord + #"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"#
private let deepSeek3 = deepSeekWords + #"| ?[\p{P}\p{S}]+[\r\n]*|\#(newlines)"#

/// Letters of scripts with case, by range.
private let casedLetters = #"""
    [A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376
    \u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F
    \u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77
    \u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D
    \u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4
    \u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139
    \u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D
    \uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A
    \uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}
    \u{118A0}-\u{118DF}\u{1E900}-\u{1E943}]
    """#.filter { !$0.isWhitespace }

extension PreTokenizer {
    static let all: [PreTokenizer] = [
        PreTokenizer(
            Self.default,
            splits: [#"[\p{P}$+<=>^~|]+"#, .pattern(gpt2), #"\p{N}+"#, "[0-9]{3}"]),
        PreTokenizer(
            "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
            "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "exaone4", "trillion",
            "granite-docling",
            splits: [.pattern(gpt2)]),
        PreTokenizer(
            "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2",
            splits: [#"\p{N}"#, .pattern(gpt2)]),
        PreTokenizer("falcon", splits: [#"[\p{P}$+<=>^~|`]+"#, .pattern(gpt2), "[0-9]{3}"]),
        PreTokenizer(
            "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
            traits: [.ignoresMerges, .addsBeginning], splits: [.pattern(llama3)]),
        PreTokenizer("dbrx", "smaug-bpe", splits: [.pattern(llama3)]),
        PreTokenizer("chatglm-bpe", traits: .lacksBeginning, splits: [.pattern(llama3)]),
        PreTokenizer("glm4", "glm5", traits: [.lacksBeginning, .ignoresMerges], splits: [.pattern(llama3)]),
        PreTokenizer(
            "minicpm5", traits: .ignoresMerges,
            splits: [#"\p{N}{1,3}"#, #"\#(contraction)|\#(word)|\p{N}+|\#(others)[\r\n]*|\#(newlines)"#]),
        PreTokenizer(
            "jais-2",
            splits: [
                #"""
                \#(contraction)|\#(word)|\p{N}{1,3}|\#(others)[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\#
                \s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s
                """#
            ]),
        PreTokenizer(
            "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2",
            splits: [.pattern(qwen2)]),
        PreTokenizer(
            "qwen35",
            splits: [
                #"""
                \#(contraction)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\#(newlines)
                """#
            ]),
        PreTokenizer("laguna", splits: [.pattern(lines), .pattern(qwen2)]),
        PreTokenizer("ufakzeka", splits: [#"\#(word)|\p{N}|\#(others)[\r\n]*|\#(newlines)"#]),
        PreTokenizer(
            "bailingmoe", "bailingmoe2", "llada-moe",
            splits: [#"\#(contraction)|\#(word)|\p{N}|\#(others)[\r\n]*|\s*[\r\n]|\#(spaces)"#]),
        PreTokenizer(
            "seed-coder",
            splits: [#"\#(contraction)|\#(word)|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\#(newlines)"#]),
        PreTokenizer(
            "exaone-moe",
            splits: [
                #"""
                \#(contraction)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|\#(others)[\r\n/]?|\#
                \s*[\r\n]|\#(spaces)
                """#
            ]),
        PreTokenizer("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2", splits: [.pattern(gpt4o)]),
        PreTokenizer(
            "granite-embed-multi-97m", traits: .ignoresMerges,
            splits: [
                .pattern(
                    casedWords(#"\p{L}\p{M}"#, suffix: "(?:\(contraction))?")
                        + #"|\p{N}{1,3}|\#(others)[\r\n/]*|\#(newlines)"#)
            ]),
        PreTokenizer(
            "tekken", traits: [.ignoresMerges, .addsBeginning],
            splits: [.pattern(casedWords(#"\p{L}"#, suffix: "") + #"|\p{N}|\#(others)[\r\n/]*|\#(newlines)"#)]),
        PreTokenizer(
            "tiny_aya", "cohere2moe",
            splits: [.groups(#"\p{N}"#, .trailing), #"\#(markedWords)|\p{N}{1,3}|\#(others)[\r\n/]*|\#(newlines)"#]),
        PreTokenizer(
            "kimi-k2",
            splits: [
                #"""
                \p{Han}+|[^\r\n\p{L}\p{N}]?[\p{L}--[\p{Han}]]+(?:\#(contraction))?|\p{N}{1,3}|\#
                \#(others)[\r\n]*|\#(newlines)
                """#
            ]),
        PreTokenizer("superbpe", splits: [#"\p{N}+"#, .groups(#"\d"#, .leading)]),
        PreTokenizer(
            "deepseek-llm",
            splits: [
                #"[\r\n]"#, .pattern(#"\s?\#(casedLetters)+"#),
                #"\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+"#, #"\s+$"#, .pattern(cjk),
                #"\p{N}+"#,
            ]),
        PreTokenizer("deepseek-coder", splits: [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, .pattern(cjk), #"\p{N}"#]),
        PreTokenizer(
            "deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm",
            splits: [#"\p{N}{1,3}"#, .pattern(kana), .pattern(deepSeek3)]),
        PreTokenizer(
            "spark2_5",
            splits: [
                #"\p{N}{1,3}"#, .pattern(kana), .pattern(deepSeekWords + #"| ?[\p{P}\p{S}]+|[\r\n]|\#(spaces)"#),
                #"\p{N}"#,
            ]),
        PreTokenizer(
            "afmoe",
            splits: [
                .groups(#"\p{N}"#, .trailing),
                #"""
                [\u4E00-\u9FFF\u3400-\u4DBF\u8C48-\uFAFF\u3040-\u309F\u30A0-\u30FF\uFF65-\uFF9F\u2F00-\u2FDF\#
                \u0E40-\u0E7F\u0E80-\u0EFF\u1780-\u17FF\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF\uAC00-\uD7AF\#
                \u1100-\u11FF]+
                """#,
                .pattern(deepSeek3),
            ]),
        PreTokenizer(
            "youtu", traits: .ignoresMerges,
            splits: [
                #"""
                [\uAC00-\uD7A3\u3131-\u318E]+|[\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\#
                \u3001-\u303F\uFE30-\uFE4F]+|[\u3105-\u312F]+|\#(kana)
                """#,
                #"\#(markedWords)|\p{N}|\#(others)[\r\n/]*|\#(newlines)"#,
            ]),
        PreTokenizer("poro-chat", "bloom", "gpt3-finnish", splits: [.pattern(bloom)]),
        PreTokenizer("viking", splits: [.pattern(bloom), #"\p{N}"#]),
        PreTokenizer(
            "chameleon", traits: .addsBeginning,
            splits: [
                "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", #"[\t\n]|    |  "#, #"\p{N}"#, #"[\p{P}!-/:-@\[-`{-~]"#,
                .pattern(gpt2),
            ]),
        PreTokenizer(
            "gemma4", "granite-embed-multi-311m",
            traits: [.mergesCharacters, .escapesSpaces, .keepsNewlines, .forcesBeginning], splits: [.pattern(lines)]),
        PreTokenizer("sarvam-moe", traits: [.mergesCharacters, .escapesSpaces], splits: [.pattern(lines)]),
        PreTokenizer("whitespace", traits: [.mergesCharacters, .keepsCase], splits: [#"\S+"#]),
    ]
}
