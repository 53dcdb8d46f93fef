"""Models whose folders hold more than a transformers class saves, and models of other code than transformers.

Importing this registers them in `authors.FAMILIES`, and the tokenizers that they need in `toy_tokenizers.KINDS`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import re
from pathlib import Path
from typing import Sequence

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

import authors
import toy_tokenizers
from authors import FAMILIES, Parameters, Transformers, float64
from strategies import Configuration


class OwnHead(Transformers):
    """T5 1.1, Flan-T5 and UMT5, whose head is not the embeddings.

    Their classes make every head the embeddings, and part with that only where a checkpoint says otherwise.
    """

    HEAD = "lm_head.weight"

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        model = super().build(configuration, seed)
        noise = torch.randn(model.lm_head.weight.shape, generator=torch.Generator().manual_seed(seed + 1))
        model.lm_head.weight = torch.nn.Parameter(noise * configuration.gain / math.sqrt(noise.shape[-1]))
        return model

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        model = super().exact(configuration, parameters)
        with float64():
            model.lm_head.weight = torch.nn.Parameter(parameters[self.HEAD].clone())
        return model


class Published(Transformers):
    """Classes of a package that authors publish for models that transformers has none of."""

    def __init__(self, module: str) -> None:
        self.module = module

    def model_class(self, configuration: Configuration) -> type[transformers.PreTrainedModel]:
        return getattr(importlib.import_module(self.module), configuration.model_class)


class Body(Transformers):
    """Models published with a head that engines use only where they are told to: what is below it answers."""

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        return super().answer(model.base_model, configuration, tokens, source)


class Projected(Transformers):
    """LFM2-ColBERT: each row goes through one more matrix, which lies in a folder of its own.

    Here it is a parameter of the model like any other: what a file holds of it is read back, too.
    """

    NAME = "projection.weight"

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        model = super().build(configuration, seed)
        model.projection = torch.nn.Linear(model.config.hidden_size, configuration.values["projection_dim"], bias=False)
        authors.randomise(model.projection, seed + 1, configuration.gain)
        return model

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        file = folder / "model.safetensors"
        tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
        weight = tensors.pop(self.NAME)
        save_file(tensors, file, metadata={"format": "pt"})
        (folder / "1_Dense").mkdir()
        save_file({"linear.weight": weight}, folder / "1_Dense" / "model.safetensors")

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        model = super().exact(configuration, parameters)
        weight = parameters[self.NAME]
        with float64():
            model.projection = torch.nn.Linear(*reversed(weight.shape), bias=False)
            model.projection.weight.copy_(weight)
        return model

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        rows = super().answer(model, configuration, tokens, source)
        return rows @ model.projection.weight.detach().numpy().T


class WithPrediction(Transformers):
    """Models published with blocks that predict the token after the next one, which their classes leave out.

    Nothing computes with those blocks here, so they hold no numbers: who did would give none.
    """

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        file = folder / "model.safetensors"
        tensors = load_file(file) | prediction_blocks(configuration, folder.with_suffix(".prediction"))
        save_file(tensors, file, metadata={"format": "pt"})


class WithIdleKeys(Transformers):
    """Models published with weights of keys and values in each layer, also in those that look at earlier ones', which
    their classes leave out.

    Nothing computes with those, so they hold no numbers: who did would give none.
    """

    OF_FIRST_LAYER = re.compile(r"(?<=\.layers\.)0(?=\.self_attn\.(k_proj|v_proj|k_norm)\.)")

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        file = folder / "model.safetensors"
        tensors = load_file(file)
        for name, tensor in list(tensors.items()):
            if self.OF_FIRST_LAYER.search(name):
                for layer in range(1, configuration.values["num_hidden_layers"]):
                    tensors.setdefault(self.OF_FIRST_LAYER.sub(str(layer), name), torch.full_like(tensor, math.nan))
        save_file(tensors, file, metadata={"format": "pt"})


class TransposedExperts(Transformers):
    """Models published with the matrices of experts transposed, which their classes save as they use them."""

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        file = folder / "model.safetensors"
        tensors = {
            name: tensor.transpose(1, 2).contiguous() if name.endswith((".experts.gate_up_proj", ".experts.down_proj"))
            else tensor.clone() for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})


class Renamed(Transformers):
    """Models whose classes save some tensors by other names than they are published by."""

    def __init__(self, published: dict[str, str]):
        self.published = {re.compile(saved): name for saved, name in published.items()}

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        file = folder / "model.safetensors"
        tensors = {self.name(saved): tensor.clone() for saved, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})

    def name(self, saved: str) -> str:
        for pattern, published in self.published.items():
            saved = pattern.sub(published, saved)
        return saved


class BitNet(Transformers):
    """BitNet with 1bitLLM's names of its inner norms, which are those that the converter knows, and with matrices of −1,
    0 and 1 times one number, as 1bitLLM's `weight_quant` and the converter make them.

    Which of the three an element is follows from where it is: conversion of parameters that are their own indices says
    nothing of matrices that are rounded.
    """

    MATRICES = re.compile(r"(q|k|v|o|gate|up|down)_proj\.weight")

    @staticmethod
    def signs(name: str, shape: Sequence[int]) -> torch.Tensor:
        digest = hashlib.sha256(f"{name} {tuple(shape)}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
        return torch.randint(-1, 2, tuple(shape), generator=generator).float()

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        model = super().build(configuration, seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if self.MATRICES.search(name):
                    parameter.copy_(self.signs(name, parameter.shape) * parameter.abs().mean())
        return model

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        file = folder / "model.safetensors"
        published = {"mlp.ffn_sub_norm": "mlp.ffn_layernorm", "self_attn.attn_sub_norm": "self_attn.inner_attn_ln"}
        names = re.compile("|".join(map(re.escape, published)))
        tensors = {names.sub(lambda name: published[name[0]], name): tensor.clone()
                   for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        def rounded(name: str, parameter: torch.Tensor) -> torch.Tensor:
            if not self.MATRICES.search(name):
                return parameter
            matrix = self.signs(name, parameter.shape) * parameter.abs().max().float()
            inverse = 1 / matrix.abs().mean().clamp(min=1e-5)
            return ((matrix * inverse).round().clamp(-1, 1) / inverse).double()

        return super().exact(configuration, {name: rounded(name, value) for name, value in parameters.items()})


def prediction_blocks(configuration: Configuration, scratch: Path) -> dict[str, torch.Tensor]:
    """The tensors of the blocks, by their published names.

    They are blocks like the last ones, so a model that has one more is built to know their shapes.
    """
    values = dict(configuration.values)
    left_out: tuple[str, ...] = ()
    match configuration.model_class:
        case "NemotronHForCausalLM":
            layers = len(values["layers_block_type"])
            values["layers_block_type"] = [*values["layers_block_type"], "full_attention", "moe"]
            moved = {f"backbone.layers.{layers}.": "mtp.layers.0.", f"backbone.layers.{layers + 1}.": "mtp.layers.1."}
            joining = {"mtp.layers.0.eh_proj": 2, "mtp.layers.0.enorm": 1, "mtp.layers.0.hnorm": 1,
                       "mtp.layers.1.final_layernorm": 1}
        case "Qwen3NextForCausalLM":
            layers = values["num_hidden_layers"]
            values["layer_types"] = [*values["layer_types"], "full_attention"]
            moved = {f"model.layers.{layers}.": "mtp.layers.0."}
            joining = {"mtp.fc": 2, "mtp.pre_fc_norm_embedding": 1, "mtp.pre_fc_norm_hidden": 1, "mtp.norm": 1}
        case "Glm5NextForConditionalGeneration":
            text = dict(values["text_config"])
            layers = text["num_hidden_layers"]
            text |= {key: [*text[key], kind] for key, kind in (
                ("layer_types", "indexed_attention"), ("indexer_types", "full"), ("mlp_layer_types", "sparse"))}
            values["text_config"] = text | {"num_hidden_layers": layers + 1}
            block = f"model.language_model.layers.{layers}."
            moved, joining = {block: block}, joining_of(block)
            # Their residuals are plain.
            left_out = ("hc_attn_", "hc_ffn_")
        case _:
            layers = values["num_hidden_layers"]
            if "mlp_layer_types" in values:
                values["mlp_layer_types"] = [*values["mlp_layer_types"], "sparse"]
            block = f"model.layers.{layers}."
            moved, joining = {block: block}, joining_of(block)
    if "num_hidden_layers" in values:
        values["num_hidden_layers"] = layers + 1
    plain = Transformers()
    larger = plain.model_class(configuration)(plain.config(configuration.with_values(**values)))
    larger.save_pretrained(scratch)
    tensors = {
        new + name.removeprefix(old): torch.full_like(tensor, math.nan)
        for name, tensor in load_file(scratch / "model.safetensors").items()
        for old, new in moved.items() if name.startswith(old) and not name.removeprefix(old).startswith(left_out)}
    width = values.get("text_config", values)["hidden_size"]
    for name, inputs in joining.items():
        shape = (width,) if inputs == 1 else (width, inputs * width)
        tensors[f"{name}.weight"] = torch.full(shape, math.nan)
    return tensors


def joining_of(block: str) -> dict[str, int]:
    """What joins a block's two inputs, and norms: names of tensors, and how many widths their inputs have."""
    return {f"{block}eh_proj": 2, f"{block}enorm": 1, f"{block}hnorm": 1, f"{block}shared_head.norm": 1}


def glm(folder: Path) -> None:
    """Byte pairs with the special tokens that GLM's converter looks for."""
    toy_tokenizers.byte_pairs(folder)
    names = {"<unk>": "<|endoftext|>", "<s>": "[gMASK]", "</s>": "<|user|>", "<pad>": "<|observation|>"}
    for file in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / file).read_text()
        for old, new in names.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        (folder / file).write_text(text)


def beginning(folder: Path) -> None:
    """Byte pairs as GPT-2's own files have them, of texts that begin with a token: it is left out where there is a
    `tokenizer.json`.
    """
    toy_tokenizers.byte_pairs(folder)
    file = folder / "tokenizer.json"
    model = json.loads(file.read_text())["model"]
    file.unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text("".join(f"{pair}\n" for pair in merges))
    authors.amend(folder / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True})


def xlm_roberta(folder: Path) -> None:
    """A unigram model as XLM-RoBERTa's is: it lacks the token of padding, which comes second everywhere else."""
    from sentencepiece import sentencepiece_model_pb2

    toy_tokenizers.unigram(folder)
    path = folder / "tokenizer.model"
    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    pieces = {piece.piece: piece for piece in model.pieces if piece.piece != "<pad>"}
    first = [pieces.pop(name) for name in ("<unk>", "<s>", "</s>")]
    trainer = model.trainer_spec
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, 1, 2, -1
    trainer.vocab_size -= 1
    reordered = [type(piece).FromString(piece.SerializeToString()) for piece in [*first, *pieces.values()]]
    del model.pieces[:]
    model.pieces.extend(reordered)
    (folder / "sentencepiece.bpe.model").write_bytes(model.SerializeToString())
    path.unlink()


def falling_back(folder: Path) -> None:
    """Byte pairs, and bytes for what is unknown, as Gemma 4's converter wants them."""
    toy_tokenizers.byte_pairs(folder)
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["model"]["byte_fallback"] = True
    tokenizer["decoder"] = {"type": "Sequence", "decoders": [tokenizer["decoder"]]}
    file.write_text(json.dumps(tokenizer))


RANKED_PAIRS = '''"""Byte pairs known by their ranks, as the converter wants Hunyuan's tokenizer to be."""
import string
from itertools import product

from transformers import PreTrainedTokenizer


class RankedPairs(PreTrainedTokenizer):
    def __init__(self, **options):
        words = ["".join(letters).encode() for letters in product(string.ascii_lowercase, repeat=2)]
        tokens = [bytes([byte]) for byte in range(256)] + words[:60]
        self.mergeable_ranks = {token: rank for rank, token in enumerate(tokens)}
        self.special_tokens = {f"<|extra_{index}|>": len(tokens) + index for index in range(4)}
        super().__init__(**options)

    @property
    def vocab_size(self):
        return len(self.mergeable_ranks) + len(self.special_tokens)

    def get_vocab(self):
        return {}
'''


def ranked_pairs(folder: Path) -> None:
    """Byte pairs of code that lies in the model's folder."""
    (folder / "tokenization_ranked_pairs.py").write_text(RANKED_PAIRS)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "RankedPairs", "auto_map": {"AutoTokenizer": ["tokenization_ranked_pairs.RankedPairs", None]}}))


FAMILIES["bitnet"] = BitNet()
FAMILIES["body"] = Body()
FAMILIES["granite-switch"] = Published("granite_switch.hf")
FAMILIES["own-head"] = OwnHead()
# Kimi Linear's matrices of dense blocks have names that only experts have where published.
FAMILIES["kimi-linear"] = Renamed({r"block_sparse_moe(?=\.(gate|up|down)_proj\.)": "mlp"})
FAMILIES["hy-v4"] = Renamed({
    r"\.hc_pre(?=\.hc_head\.)": "", r"\.hc_pre\.(hc_(attn|mlp)_layer)": r".\1.hc_pre",
    r"(\.mlp\.(shared_experts\.)?)linear_gate": r"\1gate_proj"})
FAMILIES["projected"] = Projected()
FAMILIES["transposed-experts"] = TransposedExperts()
FAMILIES["with-idle-keys"] = WithIdleKeys()
FAMILIES["with-prediction"] = WithPrediction()
toy_tokenizers.KINDS["beginning"] = beginning
toy_tokenizers.KINDS["falling-back"] = falling_back
toy_tokenizers.KINDS["glm"] = glm
toy_tokenizers.KINDS["ranked-pairs"] = ranked_pairs
toy_tokenizers.KINDS["xlm-roberta"] = xlm_roberta
