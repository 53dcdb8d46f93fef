"""RWKV-7 as its author wrote it: the package rwkv. transformers has no class of it.

Parameters have the names of the author's checkpoints; folders have those of flash-linear-attention's, which published
models have that the converter takes.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Sequence
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

from authors import FAMILIES, Parameters, float64
from strategies import Configuration

LOW_RANK = {"w": "decay_low_rank_dim", "a": "a_low_rank_dim", "v": "v_low_rank_dim", "g": "gate_low_rank_dim"}
"""What is made through a narrow layer, decay, in-context learning rate, mix of values and gate, and its width."""
RENAMED = {
    "emb": "model.embeddings", "head": "lm_head", "ln_out": "model.norm", "ln0": "pre_norm", "ln1": "attn_norm",
    "ln2": "ffn_norm", "receptance": "r_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj", "ln_x": "g_norm",
}


@functools.cache
def authors_code() -> ModuleType:
    """The author's module, which is compiled by TorchScript otherwise, where no mode makes float64 of float32."""
    os.environ |= {"RWKV_V7_ON": "1", "RWKV_JIT_ON": "0", "RWKV_CUDA_ON": "0"}

    def as_it_is(function):
        return function

    with mock.patch.multiple(torch.jit, ScriptModule=torch.nn.Module, script_method=as_it_is, script=as_it_is):
        with redirect_stdout(io.StringIO()):
            import rwkv.model
    return rwkv.model


class Checkpoint(torch.nn.Module):
    """Parameters by their names, and nothing that computes."""

    def __init__(self, tensors: Parameters) -> None:
        super().__init__()
        self.tensors = tensors

    def state_dict(self, keep_vars: bool = False) -> Parameters:
        return dict(self.tensors)


class Rwkv7:
    """A family of `authors`: its configuration's values are those of flash-linear-attention's RWKV7Config."""

    gives_states = False

    def build(self, configuration: Configuration, seed: int) -> Checkpoint:
        return Checkpoint(random_parameters(configuration.values, torch.Generator().manual_seed(seed)))

    def parameters(self, model: Checkpoint) -> Parameters:
        return {name: tensor.double() for name, tensor in model.tensors.items()}

    def save(self, model: Checkpoint, configuration: Configuration, folder: Path) -> None:
        forget_other_conversions()
        tensors = dict(published(name, tensor) for name, tensor in model.tensors.items())
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = {"architectures": ["RWKV7ForCausalLM"], "model_type": "rwkv7", **configuration.values}
        (folder / "config.json").write_text(json.dumps(config, indent=2))

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        with tempfile.TemporaryDirectory(prefix="gguf-fuzz-") as folder:
            torch.save(parameters, Path(folder) / "model.pth")
            with float64(), redirect_stdout(io.StringIO()):
                return authors_code().RWKV_x070(f"{folder}/model", "cpu fp32")

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        with float64():
            rows, _ = model.forward_seq(list(tokens), model.generate_zero_state(), True)
            return rows.numpy().copy()


def forget_other_conversions() -> None:
    """The converter gathers vectors of a block until all are there, in what all conversions of a process share."""
    if "conversion.rwkv" in sys.modules:
        sys.modules["conversion.rwkv"].Rwkv7Model.lerp_weights.clear()


def random_parameters(values: dict[str, int], generator: torch.Generator) -> Parameters:
    """Such that decays, rates and gates are neither shut nor open."""
    width, head_size = values["hidden_size"], values["head_dim"]

    def normal(*shape: int, mean: float = 0.0, deviation: float = 0.25) -> torch.Tensor:
        return mean + deviation * torch.randn(*shape, generator=generator)

    def matrix(*shape: int) -> torch.Tensor:
        return normal(*shape, deviation=shape[-1] ** -0.5)

    def norm(name: str) -> Parameters:
        return {f"{name}.weight": normal(width, mean=1.0), f"{name}.bias": normal(width)}

    parameters = {"emb.weight": normal(values["vocab_size"], width, deviation=1.0),
                  "head.weight": matrix(values["vocab_size"], width)} | norm("ln_out") | norm("blocks.0.ln0")
    for layer in range(values["num_hidden_layers"]):
        block = f"blocks.{layer}"
        attention = f"{block}.att"
        parameters |= norm(f"{block}.ln1") | norm(f"{block}.ln2") | norm(f"{attention}.ln_x")
        for mixed in "rwkvag":
            parameters[f"{attention}.x_{mixed}"] = torch.rand(1, 1, width, generator=generator)
        for kind, key in LOW_RANK.items():
            if kind == "v" and layer == 0:
                continue
            if kind != "g":
                parameters[f"{attention}.{kind}0"] = normal(1, 1, width, deviation=1.0)
            parameters[f"{attention}.{kind}1"] = matrix(values[key], width).T.contiguous()
            parameters[f"{attention}.{kind}2"] = matrix(width, values[key]).T.contiguous()
        parameters |= {
            f"{attention}.k_k": normal(1, 1, width, mean=0.8), f"{attention}.k_a": normal(1, 1, width, mean=1.0),
            f"{attention}.r_k": normal(width // head_size, head_size)}
        for name in ("receptance", "key", "value", "output"):
            parameters[f"{attention}.{name}.weight"] = matrix(width, width)
        parameters |= {
            f"{block}.ffn.x_k": torch.rand(1, 1, width, generator=generator),
            f"{block}.ffn.key.weight": matrix(values["intermediate_size"], width),
            f"{block}.ffn.value.weight": matrix(width, values["intermediate_size"])}
    return parameters


def published(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    """A parameter by its published name, and as it lies there."""
    if not name.startswith("blocks."):
        module, kind = name.rsplit(".", 1)
        return f"{RENAMED[module]}.{kind}", tensor
    _, layer, *parts = name.split(".")
    block = f"model.layers.{layer}"
    match parts:
        case ["att", matrix] if matrix[0] in LOW_RANK and matrix[1:] in ("0", "1", "2"):
            place = {"0": "2.bias", "1": "0.weight", "2": "2.weight"}[matrix[1]]
            laid = tensor.flatten() if matrix[1] == "0" else tensor.T.contiguous()
            return f"{block}.attn.{matrix[0]}_lora.lora.{place}", laid
        case ["att", vector]:
            return f"{block}.attn.{vector}", tensor
        case ["att", module, kind]:
            return f"{block}.attn.{RENAMED[module]}.{kind}", tensor
        case ["ffn", *rest]:
            return f"{block}.ffn.{'.'.join(rest)}", tensor
        case [norm, kind]:
            return f"{block}.{RENAMED[norm]}.{kind}", tensor
    raise ValueError(name)


FAMILIES["rwkv7"] = Rwkv7()
