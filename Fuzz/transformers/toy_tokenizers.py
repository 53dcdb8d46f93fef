"""Toy tokenizers of every kind that a converter reads: nothing is tokenized, but a file must have one.

Each has at most 320 tokens, of which the first four are special.
"""

from __future__ import annotations

import json
import string
from itertools import islice, product
from pathlib import Path
from typing import Callable

SIZE = 320
SPECIALS = 4
"""Tokens below are special: prompts have none of them."""
NO, YES = 260, 262
"""Tokens of byte pairs."""
WORDS = ["".join(letters) for letters in product(string.ascii_lowercase, repeat=2)]


def byte_pairs(folder: Path, specials: tuple[str, str, str, str] = ("<unk>", "<s>", "</s>", "<pad>")) -> None:
    """GPT-2's kind: all bytes, and merges; among them the two words that rerankers choose between."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("n", "o"), ("y", "e"), ("ye", "s"), *map(tuple, WORDS)][:SIZE - SPECIALS - len(alphabet)]
    words = [*specials, *alphabet, *map("".join, merges)]
    tokenizer = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(words[:SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("unk_token", "bos_token", "eos_token", "pad_token"), specials))
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | names
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def glm(folder: Path) -> None:
    """Byte pairs with the names that GLM's converter looks for."""
    byte_pairs(folder, ("<|endoftext|>", "<|user|>", "</s>", "<pad>"))


def sentence_pieces(folder: Path, is_unigram: bool = False) -> None:
    """SentencePiece's model file: by scores of merges, with bytes for what is unknown; or of a unigram language model."""
    from sentencepiece import sentencepiece_model_pb2

    NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
    model = sentencepiece_model_pb2.ModelProto()

    def add(piece: str, score: float, kind: int) -> None:
        model.pieces.add(piece=piece, score=score, type=kind)

    for piece in ("<pad>", "</s>", "<s>"):
        add(piece, 0.0, CONTROL)
    add("<unk>", 0.0, UNKNOWN)
    if not is_unigram:
        for byte in range(256):
            add(f"<0x{byte:02X}>", 0.0, BYTE)
    pieces = ["\u2581", *string.ascii_lowercase, *WORDS]
    for rank, piece in enumerate(islice(pieces, SIZE - len(model.pieces))):
        add(piece, -float(rank), NORMAL)
    trainer = model.trainer_spec
    trainer.model_type = 1 if is_unigram else 2
    trainer.vocab_size = SIZE
    trainer.byte_fallback = not is_unigram
    trainer.pad_id, trainer.eos_id, trainer.bos_id, trainer.unk_id = range(4)
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = normalizer.escape_whitespaces = True
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())


def unigram(folder: Path) -> None:
    sentence_pieces(folder, is_unigram=True)


def word_pieces(folder: Path) -> None:
    """BERT's kind."""
    from tokenizers import BertWordPieceTokenizer

    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *("##" + c for c in characters), *WORDS][:SIZE]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    BertWordPieceTokenizer(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def rwkv(folder: Path) -> None:
    """RWKV's list: a number, a literal of Python, a length."""
    lines = (f"{byte + 1} {bytes([byte])!r} 1\n" for byte in range(256))
    (folder / "rwkv_vocab_v20230424.txt").write_text("".join(lines))


KINDS: dict[str, Callable[[Path], None]] = {
    "byte-pairs": byte_pairs, "sentencepiece": sentence_pieces, "unigram": unigram, "word-pieces": word_pieces,
    "rwkv": rwkv, "glm": glm,
}


def write(kind: str, folder: Path) -> None:
    """Puts a tokenizer of a kind into a model's folder."""
    KINDS[kind](folder)
