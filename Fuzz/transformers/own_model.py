"""A model on this machine, as `save_pretrained` wrote it: do the engines give what its own code gives, and if not,
which block is the first whose output is wrong?"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Iterator

import numpy as np
import torch
import transformers

import authors
from compare import Comparison, Difference
from converter import ConverterRefused
from program import Engine, EngineRefused
from usage import Usage

LIMIT = 1e-9
"""NMSE of a row: the file's parameters are float32, and those that the converter computed are rounded."""
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model")
RANDOM_TOKENS = 32


def run(options: argparse.Namespace, comparison: Comparison) -> int:
    """Prints what each engine gives; the exit status."""
    folder = options.model
    model = load(folder, options.code)
    tokens = tokens_of(options, folder, model.config)
    print(f"{folder}: {type(model).__name__}, {len(tokens)} tokens")
    with authors.float64(), BlockOutputs(model) as expected:
        rows = authors.rows_of(model, tokens, tokens).numpy()

    with tempfile.TemporaryDirectory(prefix="gguf-fuzz-") as scratch:
        file = Path(scratch) / "model.gguf"
        has_tokenizer = any((folder / name).exists() for name in TOKENIZERS)
        try:
            comparison.converter.convert(folder, file, {}, vocabulary=has_tokenizer)
        except ConverterRefused as error:
            print(f"converter  refuses: {error}")
            return 1
        engines = [(Engine.reference(), LIMIT)]
        if comparison.llama_cpp is not None:
            engines.append((comparison.llama_cpp, comparison.llama_cpp_limit))
        verdicts = [judge(comparison, engine, limit, file, tokens, rows, expected) for engine, limit in engines]
    return 0 if all(verdicts) else 1


def judge(comparison: Comparison, engine: Engine, limit: float, file: Path, tokens: list[int], rows: np.ndarray,
          expected: BlockOutputs) -> bool:
    """Whether an engine agrees; prints that it does, or where it stops to."""
    source = tokens if expected.model.config.is_encoder_decoder else []
    try:
        results = comparison.program.results(engine, file, tokens, source)
    except EngineRefused as error:
        print(f"{engine.name:<9}  refuses: {error}")
        return False
    found = results["logits"] if "logits" in results else results["embeddings"]
    if found.shape != rows.shape:
        print(f"{engine.name:<9}  differs: gives {found.shape}, not {rows.shape}")
        return False
    difference = Difference.of(found, rows)
    is_right = difference.nmse <= limit
    print(f"{engine.name:<9}  {'agrees' if is_right else 'differs'}: {difference}")
    if not is_right:
        print_blocks(comparison, engine, limit, file, tokens, source, expected)
    return is_right


def print_blocks(comparison: Comparison, engine: Engine, limit: float, file: Path, tokens: list[int],
                 source: list[int], expected: BlockOutputs) -> None:
    """Compares the residual stream after each block, up to the first that is wrong."""
    try:
        results = comparison.program.results(engine, file, tokens, source, ["--layers"])
    except EngineRefused as error:
        print(f"{engine.name:<9}  gives no outputs of blocks: {error}")
        return
    for block, rows in enumerate(expected.rows):
        found = results.get(f"layer.{block}")
        if found is None or found.shape != rows.shape:
            print(f"  block {block:<3} is not comparable")
            continue
        difference = Difference.of(found, rows)
        is_right = difference.nmse <= limit
        print(f"  block {block:<3} {difference}{'' if is_right else ': the first whose output is wrong'}")
        if not is_right:
            return
    print("  all blocks are right: what is wrong comes after the last")


class BlockOutputs:
    """Records what the blocks of a model give, while it is entered."""

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        self.model = model
        self.rows: list[np.ndarray] = []

    def __enter__(self) -> BlockOutputs:
        self._hooks = [block.register_forward_hook(self._record) for block in blocks_of(self.model)]
        return self

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()

    def _record(self, block: torch.nn.Module, inputs: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        self.rows.append(states.reshape(-1, states.shape[-1]).numpy().copy())


def blocks_of(model: transformers.PreTrainedModel) -> list[torch.nn.Module]:
    """The blocks of a model, of the decoder where it has two parts: its last list of as many modules as layers."""
    config = model.config.get_text_config(decoder=True)
    layers = getattr(config, "num_decoder_layers", None) or config.num_hidden_layers
    lists = [modules for modules in outer_lists(model) if len(modules) == layers]
    return list(lists[-1]) if lists else []


def outer_lists(module: torch.nn.Module) -> Iterator[torch.nn.ModuleList]:
    """The lists of modules that are not themselves in a list."""
    for child in module.children():
        if isinstance(child, torch.nn.ModuleList):
            yield child
        else:
            yield from outer_lists(child)


def load(folder: Path, code: Path | None) -> transformers.PreTrainedModel:
    """The float64 model of a folder.

    - Parameter code: a Python file that defines its class.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        name = config["architectures"][0]
    except OSError as error:
        raise Usage(f"--model {folder}: config.json cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Usage(f"--model {folder}: config.json names no class: {error}") from error
    module = transformers if code is None else imported(code)
    model_class = getattr(module, name, None)
    if model_class is None:
        raise Usage(f"--model {folder}: there is no class {name} in {code or 'transformers: --code says where it is'}")
    if code is not None:
        transformers.AutoConfig.register(config["model_type"], model_class.config_class, exist_ok=True)
    try:
        loaded = model_class.from_pretrained(folder, dtype=torch.float32).eval()
    except Exception as error:
        raise Usage(f"--model {folder}: cannot be loaded: {error}".splitlines()[0]) from error
    return authors.exact_model(model_class, loaded.config, authors.Transformers().parameters(loaded))


def imported(code: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(code.stem, code)
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:
        raise Usage(f"--code {code}: {type(error).__name__}: {error}".splitlines()[0]) from error
    return module


def tokens_of(options: argparse.Namespace, folder: Path, config: transformers.PreTrainedConfig) -> list[int]:
    """The prompt that was asked for, or a random one."""
    vocabulary = config.get_text_config().vocab_size
    if options.prompt is not None:
        try:
            tokens = transformers.AutoTokenizer.from_pretrained(folder)(options.prompt)["input_ids"]
        except Exception as error:
            raise Usage(f"--prompt: {folder} has no tokenizer that transformers can load") from error
    elif options.tokens is not None:
        try:
            tokens = [int(token) for token in options.tokens.split(",")]
        except ValueError as error:
            raise Usage(f"--tokens {options.tokens}: are no numbers separated by commas") from error
    else:
        tokens = np.random.default_rng(options.seed).integers(0, vocabulary, RANDOM_TOKENS).tolist()
    for token in tokens:
        if not 0 <= token < vocabulary:
            raise Usage(f"--tokens {token}: the vocabulary is of {vocabulary}")
    return tokens
