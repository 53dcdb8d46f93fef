#!/usr/bin/env python3
"""Compares the tokens of `gguf-fuzz tokenize` with llama.cpp's.

    CI/tokenizers.py [--program PROGRAM] [--seed N] [--texts N] [FOLDER]

For a small vocabulary of every kind that it writes itself, byte-pair ones with every pre-tokenizer, and for every
file of a folder: random texts, with and without the tokens that mark beginning and end, control tokens parsed and
not. Where x.gguf.inp and x.gguf.out lie beside x.gguf, their texts too. llama.cpp runs in a process for each
vocabulary, since it ends its process where an assertion fails.

Exit status: 0 all agree, 1 one does not, 2 usage.
Needs: pip install llama-cpp-python gguf
"""

import argparse
import ctypes
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf

os.environ["GGML_NO_BACKTRACE"] = "1"
import llama_cpp

from processes import in_process

# What the patterns of pre-tokenizers tell apart, by rows; a text draws a row, then some of it.
ALPHABET = [
    "abcxyz", "ABCXYZ", "aAbBsStTdDmM", "'", "'s't're'veX'll'd'S'T'RE'Ve'M'LL'D", "0123456789", "1234567", "٣٤५Ⅷ½²",
    " ", "    ", "\n", "\n\n\r\n", "\r", "\t\v\f", "\u00a0\u2003\u3000\u2028\u0085\u1680", ".,!?;:-_#%&*@", "$+<=>^`|~",
    "()[]{}\\/\"", "éÉñßÀÖøþµ", "e\u0301a\u0308\u0327", "ЖжѢΩωΣς", "ǅʰªºʔƻǀ", "中文字一龥鿿豈", "ひらがなカタカナー・", "가각힣ㄱㆎ가",
    "ㄅㄯ", "！…“”‘’—：；，、〿︰﹏。।۔،", "ไทยເປັນກာꩠꧠ", "कि खी நி", "עברית العربية", "𐐀𐐨𞤀𠀀𪛟𞄀", "😀👩\u200d👩\u200d👧🏳️\u200d🌈",
    "\u200b\u200d\ufeff\u00ad\ufffd\ue000\U000f0000", "\u0378\U0001e900\u1c89\ua7cb", "\u0000\u0001\u001c\u007f\u0080",
    "\u0300\u0951\u20dd\ufe0f", "®©°±×÷€№", "ﬁＡａ０！￥", "\u0130\u0131\u212a\u017f", "<dna>ACGTACGTacgN</dna>", "▁",
    "<sentinel:12>IMGIMGABCIZ", "<s></s><|endoftext|><mask><|im_end|>[MASK]<extra_id_0><unk>",
]
# Of a text, in characters.
LENGTH = 600


def draw_text(stream, specials):
    pieces = []
    while sum(map(len, pieces)) < LENGTH:
        kind = stream.random()
        if kind < 0.04 and specials:
            pieces.append(stream.choice(specials))
        elif kind < 0.08:
            code = stream.choice([0x250, 0x3000, 0x10000, 0x30000])
            pieces.append(chr(stream.randrange(code)) * stream.choice([1, 1, 3]))
        else:
            row = stream.choice(ALPHABET)
            if stream.random() < 0.25:
                pieces.append(row)
            else:
                pieces += stream.choices(row, k=stream.choice([1, 1, 2, 3, 5, 9]))
        if stream.random() < 0.3:
            pieces.append(" ")
    return "".join(pieces).encode("utf-8", "ignore").decode()


# Vocabularies.


def byte_texts():
    """GPT-2's visible stand-in for each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    texts, following = {}, 0x100
    for byte in range(256):
        if byte in plain:
            texts[byte] = chr(byte)
        else:
            texts[byte] = chr(following)
            following += 1
    return texts


def trained(stream, symbols, count):
    """Merges of neighbours picked at random in a text, with no regard to pieces, so that each cut shows."""
    merges = []
    while len(merges) < count:
        at = stream.randrange(len(symbols) - 1)
        left, right = symbols[at], symbols[at + 1]
        both = left + right
        # llama.cpp ends where a space, or a newline within a word, is in reach of merges.
        if (left, right) in merges or len(both) > 12 or " " in both or "\n" in both.strip("\n"):
            continue
        merges.append((left, right))
        joined, index = [], 0
        while index < len(symbols):
            if symbols[index : index + 2] == [left, right]:
                joined.append(left + right)
                index += 2
            else:
                joined.append(symbols[index])
                index += 1
        symbols = joined
    return merges


NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPECIALS = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<mask>", CONTROL), ("<|endoftext|>", NORMAL),
            ("<extra_id_0>", USER), ("  ", USER), ("<|im_end|>", CONTROL), ("[MASK]", USER)]
BYTES = [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]


def write(path, model, tokens, merges=None, scores=None, **keys):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    seen = {}
    for text, kind in tokens:
        seen.setdefault(text, kind)
    writer.add_token_list(list(seen))
    writer.add_token_types(list(seen.values()))
    if scores:
        writer.add_token_scores([scores(text) for text in seen])
    if merges is not None:
        writer.add_token_merges([" ".join(pair) for pair in merges])
    ids = {text: index for index, text in enumerate(seen)}
    for name, value in keys.items():
        key = name if name.startswith("general") else f"tokenizer.ggml.{name}"
        key = key.replace("__", ".")
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, bytes):
            writer.add_precompiled_charsmap(value)
        elif name.endswith("_id"):
            writer.add_uint32(key, ids[value])
        else:
            writer.add_string(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def charsmap(rules):
    """A double array of replacements: as CharacterMap.swift describes it."""
    trie = {}
    pool = b""
    for source, target in rules.items():
        node = trie
        for byte in source.encode():
            node = node.setdefault(byte, {})
        node[None] = len(pool)
        pool += target.encode() + b"\0"
    units, used = [0] * 256, {0}

    def place(index, node):
        """Children of the unit at `index`."""
        labels = [0 if byte is None else byte for byte in node]
        base = 1
        while any((base ^ label) in used for label in labels) or (index ^ base) >= 1 << 21:
            base += 1
        while len(units) < (base | 255) + 1:
            units.append(0)
        units[index] |= (index ^ base if index else base) << 10
        used.update(base ^ label for label in labels)
        for byte, child in node.items():
            if byte is None:
                units[index] |= 1 << 8
                units[base] = child
            else:
                units[base ^ byte] = byte
        for byte, child in node.items():
            if byte is not None:
                place(base ^ byte, child)

    place(0, trie)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + pool


def write_vocabularies(folder, seed, pre_tokenizers):
    stream = random.Random(seed)
    sample = "".join(draw_text(stream, []) for _ in range(20))
    byte_text = byte_texts()
    encoded = [byte_text[byte] for byte in sample.encode()]
    merges = trained(stream, encoded, 700)
    byte_level = [(text, NORMAL) for text in byte_text.values()] + [(a + b, NORMAL) for a, b in merges] + SPECIALS
    whole = [("".join(encoded[at : at + stream.randrange(2, 9)]), NORMAL) for at in range(0, len(encoded), 7)]
    roles = dict(bos_token_id="<s>", eos_token_id="</s>", unknown_token_id="<unk>")
    # llama.cpp ends a token at a NUL.
    sample = sample.replace("\0", "")
    characters = trained(stream, list(sample.replace(" ", "▁")), 700)
    single = [(text, NORMAL) for text in sorted(set(sample) - {" ", "\n"}) if stream.random() < 0.7]
    words = [(a + b, NORMAL) for a, b in characters] + single
    score = lambda text: -random.Random(text).randrange(40) / 4

    raw = ("gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace")
    for pre in pre_tokenizers:
        if pre in raw:
            continue
        write(folder / f"{pre}.gguf", "gpt2", byte_level + whole, merges, pre=pre, **roles)
    for pre in raw[:3]:
        tokens = BYTES + words + SPECIALS + [("\n\n", NORMAL)]
        write(folder / f"{pre}.gguf", "gpt2", tokens, characters, pre=pre, **roles)
    write(folder / "model-gemma4.gguf", "gemma4", BYTES + words + SPECIALS, characters, add_bos_token=False, **roles)
    write(folder / "model-whitespace.gguf", "whitespace", BYTES + words, characters, pre="whitespace")
    write(folder / "model-whitespace-lower.gguf", "whitespace", BYTES + words, characters, pre="whitespace",
          normalizer__lowercase=True)
    kmers = [("".join(stream.choices("ACGT", k=6)) + "\ue000", NORMAL) for _ in range(50)] + [("ACGTAC\ue000", NORMAL)]
    dna = [("<dna>", NORMAL), ("</dna>", NORMAL), ("<oov>", NORMAL)] + kmers
    write(folder / "model-hybriddna.gguf", "hybriddna", byte_level + dna, merges, pre="qwen2", **roles)
    write(folder / "no-merges-kimi.gguf", "gpt2", byte_level + whole, pre="kimi-k2", **roles)
    write(folder / "eos.gguf", "gpt2", byte_level, merges, pre="gpt-2", add_bos_token=True, add_eos_token=True, **roles)
    write(folder / "mask.gguf", "gpt2", byte_level, merges, pre="jina-v2-code", **roles)
    named = dict(general__name="Modern-BERT")
    write(folder / "named-modern-bert.gguf", "gpt2", byte_level, merges, pre="modern-bert", **named, **roles)

    for name, keys in {"llama": {}, "no-prefix": dict(add_space_prefix=False, add_bos_token=False, add_eos_token=True),
                       "phi3": dict(general__name="Phi-3 mini")}.items():
        write(folder / f"model-llama-{name}.gguf", "llama", SPECIALS + BYTES + words, scores=score, **roles, **keys)
    write(folder / "model-llama-flat.gguf", "llama", SPECIALS + BYTES + words, **roles)

    heads = [("▁" + text.strip("▁"), NORMAL) for text, _ in words if stream.random() < 0.6 and text.strip("▁")]
    lower = [(text.lower(), NORMAL) for text, _ in words + heads]
    bert = [(text, CONTROL) for text in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")] + lower + words + heads
    for name, keys in {"bert": {}, "cased": dict(normalizer__lowercase=False),
                       "accents": dict(normalizer__strip_accents=False)}.items():
        write(folder / f"model-bert-{name}.gguf", "bert", bert, bos_token_id="[CLS]", unknown_token_id="[UNK]",
              seperator_token_id="[SEP]", **keys)

    rules = charsmap({
        "ﬁ": "fi", "Ａ": "A", "０": "0", "\u3000": " ", "\t": " ", "\n": " ", "e\u0301": "é", "½": "1/2", "\u200b": "",
        "…": "...",
    })
    for name, keys in {"t5": dict(add_space_prefix=True, remove_extra_whitespaces=True), "plain": {},
                       "prefix": dict(add_space_prefix=True), "merged": dict(remove_extra_whitespaces=True)}.items():
        write(folder / f"model-t5-{name}.gguf", "t5", SPECIALS + words + [("▁", NORMAL)], scores=score,
              precompiled_charsmap=rules, **roles, **keys)

    def escaped(data):
        return "".join(chr(byte) if 0x20 < byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in data)
    pieces = {escaped(bytes([byte])) for byte in range(256)} | {r"\n\n", r"\t", r"\\", r"\'s"}
    pieces |= {escaped(sample[at : at + stream.randrange(1, 5)].encode()) for at in range(0, len(sample), 3)}
    # llama.cpp never returns where the beginning of a token is there and no token is; so every byte is one.
    write(folder / "model-rwkv.gguf", "rwkv", [(text, NORMAL) for text in sorted(pieces)] + SPECIALS)
    write(folder / "model-plamo2.gguf", "plamo2", SPECIALS + BYTES + words, scores=score, **roles)
    write(folder / "model-test.gguf", "test", SPECIALS + words, **roles)


# The two sides.


def llama_ids(path, texts, flags):
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
    if not model:
        raise RuntimeError("cannot be loaded")
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    result = []
    for text in texts:
        data = text.encode()
        for add, parse in flags:
            ids = (llama_cpp.llama_token * (len(data) * 2 + 16))()
            count = llama_cpp.llama_tokenize(vocabulary, data, len(data), ids, len(ids), add, parse)
            result.append(list(ids[:count]))
    return result


def our_ids(program, path, text, add, parse):
    options = ["--add-special"] * add + ["--parse-special"] * parse
    command = [program, "tokenize", "--model", path, "--file", "-", *options]
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    if done.returncode:
        return done.stderr.decode().strip()
    return [int(word) for word in done.stdout.split()]


def special_texts(path):
    reader = gguf.GGUFReader(path)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    key = "tokenizer.ggml.token_type"
    types = reader.fields[key].contents() if key in reader.fields else []
    found = [text for text, kind in zip(tokens, types) if kind in (UNKNOWN, CONTROL, USER)]
    return found[:40] + [text for text in tokens if text in ("</s>", "<|endoftext|>")]


def expected_texts(path):
    """The texts and ids beside a vocabulary."""
    texts, ids = Path(f"{path}.inp"), Path(f"{path}.out")
    if not texts.exists() or not ids.exists():
        return []
    pairs = zip(texts.read_text().split("\n__ggml_vocab_test__\n"), ids.read_text().splitlines())
    return [(text, [int(word) for word in line.split()]) for text, line in pairs]


def compare(program, path, seed, count):
    """The number of comparisons, and what differs."""
    stream = random.Random(f"{seed} {path.name}")
    texts = [draw_text(stream, special_texts(path)) for _ in range(count)]
    flags = [(False, False), (True, False), (False, True), (True, True)]
    status, expected = in_process(lambda: llama_ids(path, texts, flags))
    differences, comparisons = [], 0
    if status != 0:
        return 0, ["llama.cpp ends"]
    for index, text in enumerate(texts):
        for offset, (add, parse) in enumerate(flags):
            found, wanted = our_ids(program, path, text, add, parse), expected[index * len(flags) + offset]
            comparisons += 1
            if found != wanted:
                differences.append(f"text {index}, add {add}, parse {parse}: {explain(found, wanted)}")
    for text, wanted in expected_texts(path):
        found = our_ids(program, path, text, False, False)
        comparisons += 1
        if found != wanted:
            differences.append(f"{text!r}: {explain(found, wanted)}")
    return comparisons, differences


def explain(found, wanted):
    if isinstance(found, str):
        return found
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    return f"from token {at} on {found[at : at + 6]}, llama.cpp {wanted[at : at + 6]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--program", default=".build/release/gguf-fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=2, help="random texts for each vocabulary (default: 2)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to leave the vocabularies that it writes")
    arguments = parser.parse_args()
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))

    total, failures = 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        # The program itself says which pre-tokenizers it knows.
        unknown = folder / "unknown.gguf"
        write(unknown, "gpt2", SPECIALS, [], pre="no such")
        refusal = our_ids(arguments.program, unknown, "", False, False)
        unknown.unlink()
        write_vocabularies(folder, arguments.seed, re.search("known: (.*)", refusal)[1].split(", "))
        paths = sorted(folder.glob("*.gguf")) + sorted(arguments.folder.glob("*.gguf") if arguments.folder else [])
        for path in paths:
            comparisons, differences = compare(arguments.program, path, arguments.seed, arguments.texts)
            total += comparisons
            failures += len(differences)
            for difference in differences[:3]:
                print(f"{path.name}: {difference}")
    print(f"tokenizers: {len(paths)} vocabularies, {total} texts, {failures} differ; seed {arguments.seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
