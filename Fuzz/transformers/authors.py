"""Models as their authors wrote them: built small, given random parameters, and run in float64.

    model = family(configuration).build(configuration, seed)       float32, as models are saved
    exact = family(configuration).exact(configuration, parameters) float64
    rows = family(configuration).answer(exact, configuration, tokens, source)
"""

from __future__ import annotations

import copy
import json
import math
import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Protocol, Sequence

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

import numpy as np
import torch
import transformers
from torch.overrides import TorchFunctionMode

from strategies import Configuration

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

Parameters = dict[str, torch.Tensor]


class Float64Mode(TorchFunctionMode):
    """Makes float64 of the float32 that models ask for by name: rotary tables, norms, routers, softmax, scans.

    And softplus exact: torch's is x itself above 20, which is off by 2e-9.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        def wider(value):
            return torch.float64 if value is torch.float32 else value

        if function is torch.Tensor.float:
            function = torch.Tensor.double
        if function in (torch.nn.functional.softplus, torch._C._nn.softplus) and len(args) == 1 and not kwargs:
            return torch.logaddexp(args[0], torch.zeros_like(args[0]))
        kwargs = {name: wider(value) for name, value in (kwargs or {}).items()}
        return function(*map(wider, args), **kwargs)


@contextmanager
def float64() -> Iterator[None]:
    """Whatever is built and computed inside is float64 and has no gradients."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), Float64Mode():
            yield
    finally:
        torch.set_default_dtype(torch.float32)


class Family(Protocol):
    """Code of authors: what `compare` asks of it."""

    gives_states: bool
    """Whether a row has not only logits, but after them a state that a draft goes on from."""

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        """A float32 model with random parameters."""

    def parameters(self, model: torch.nn.Module) -> Parameters:
        """All that the model's answers depend on, by name, in float64."""

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        """Writes what a published model's folder has, its tokenizer apart."""

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        """The float64 model of these parameters."""

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        """A row for each token: logits, hidden states of what has no head, or the one row of what pools."""


class Transformers:
    """Classes of the package transformers."""

    gives_states = False

    def model_class(self, configuration: Configuration) -> type[transformers.PreTrainedModel]:
        return getattr(transformers, configuration.model_class)

    def config(self, configuration: Configuration) -> transformers.PreTrainedConfig:
        """The class's configuration; it changes what it is given, so it is given a copy."""
        return self.model_class(configuration).config_class(**copy.deepcopy(configuration.values))

    def build(self, configuration: Configuration, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        config = self.config(configuration)
        config.dtype = torch.float32
        model = self.model_class(configuration)(config).float().eval()
        randomise(model, seed, configuration.gain)
        return model

    def parameters(self, model: torch.nn.Module) -> Parameters:
        state = model.state_dict()
        return {name: value.double() if value.is_floating_point() else value for name, value in state.items()}

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        model.save_pretrained(folder)
        amend(folder / "config.json", configuration.published)
        if configuration.pooling is not None:
            save_pooling(configuration.pooling, model.config.hidden_size, folder)

    def exact(self, configuration: Configuration, parameters: Parameters) -> torch.nn.Module:
        return exact_model(self.model_class(configuration), self.config(configuration), parameters)

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        with float64():
            return pooled(rows_of(model, tokens, source), configuration.pooling).numpy().copy()


def exact_model(model_class: type[transformers.PreTrainedModel], config: transformers.PreTrainedConfig,
                parameters: Parameters) -> transformers.PreTrainedModel:
    """A model in float64, by the plain formulas: no fused attention, no kernels."""
    with float64():
        config.dtype = torch.float64
        config._attn_implementation = "eager"
        if hasattr(config, "_experts_implementation"):
            config._experts_implementation = "eager"
        model = model_class(config).double().eval()
        load_parameters(model, parameters)
    return model


def rows_of(model: transformers.PreTrainedModel, tokens: Sequence[int], source: Sequence[int] = ()) -> torch.Tensor:
    """Logits, or the hidden states of a model without a head: a row for each token.

    - Parameter source: what the encoder of an encoder-decoder is given.
    """
    inputs = {"input_ids": torch.tensor([list(tokens)])}
    if model.config.is_encoder_decoder:
        inputs = {"input_ids": torch.tensor([list(source)]), "decoder_input_ids": inputs["input_ids"]}
    if hasattr(model.config.get_text_config(), "use_cache"):
        inputs["use_cache"] = False
    output = model(**inputs)
    rows = output.logits if "logits" in output else output.last_hidden_state
    if rows.dtype != torch.float64:
        raise TypeError(f"{type(model).__name__} answered in {rows.dtype}")
    return rows.reshape(-1, rows.shape[-1])


FAMILIES: dict[str, Family] = {"transformers": Transformers()}


def family(configuration: Configuration) -> Family:
    return FAMILIES[configuration.family]


SPECIAL = (
    # Pattern of names, scale of the noise, and whether it is added to what the model was made with.
    (r"correction_bias|expert_bias", 0.3, False),
    (r"sinks|relative_attention_bias", 1.0, False),
    (r"A_log", 0.3, True),
)
"""How parameters are drawn that are neither norms, biases, embeddings, nor matrices."""
EMBEDDINGS = r"embed|\.wte|\.wpe|shared\.weight"
SAVED_BUFFERS = r"correction_bias|expert_bias"
"""What models learn without gradients."""


def randomise(model: torch.nn.Module, seed: int, gain: float) -> None:
    """Gives every parameter random values, so that none is without effect.

    Models are made with norms of ones, biases of zeros, and equal decays: leaving one out would change nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    buffers = [(name, buffer) for name, buffer in model.named_buffers() if re.search(SAVED_BUFFERS, name)]
    with torch.no_grad():
        for name, parameter in [*model.named_parameters(), *buffers]:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(randomised(name, parameter, noise, gain))


def randomised(name: str, parameter: torch.Tensor, noise: torch.Tensor, gain: float) -> torch.Tensor:
    """Random values of a parameter, made of noise of variance 1."""
    for pattern, scale, is_added in SPECIAL:
        if re.search(pattern, name):
            return scale * noise + (parameter if is_added else 0)
    if parameter.dim() <= 1:
        return parameter + 0.25 * noise
    if re.search(EMBEDDINGS, name):
        return 0.7 * noise
    return noise * gain / math.sqrt(parameter.shape[-1])


def load_parameters(model: torch.nn.Module, parameters: Parameters) -> None:
    """Sets all that the model has; a name that the model lacks belongs to what its configuration leaves out.

    - Raises: KeyError where one is missing.
    """
    state = model.state_dict(keep_vars=True)
    unique = {id(value): name for name, value in reversed(state.items())}
    for name in unique.values():
        state[name].copy_(parameters[name])


def pooled(rows: torch.Tensor, pooling: str | None) -> torch.Tensor:
    match pooling:
        case "mean":
            return rows.mean(0, keepdim=True)
        case "cls":
            return rows[:1]
        case "last":
            return rows[-1:]
        case _:
            return rows


def amend(path: Path, changes: dict) -> None:
    """Sets keys of a JSON file; None removes one."""
    if changes:
        contents = json.loads(path.read_text()) | changes
        removed = {key for key, value in changes.items() if value is None}
        path.write_text(json.dumps({key: value for key, value in contents.items() if key not in removed}, indent=2))


def save_pooling(pooling: str, width: int, folder: Path) -> None:
    """The files by which sentence-transformers say that rows become one."""
    kinds = {"cls": "cls_token", "mean": "mean_tokens", "last": "lasttoken"}
    (folder / "1_Pooling").mkdir()
    config = {"word_embedding_dimension": width}
    config |= {f"pooling_mode_{name}": kind == pooling for kind, name in kinds.items()}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    (folder / "modules.json").write_text(json.dumps([
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(modules)]))


def round_frequencies(model: torch.nn.Module, factors: np.ndarray) -> None:
    """Divides rotary frequencies by a file's factors, which are float32, where they are the model's own.

    Factors that are wrong are not taken over: that is to be found.
    """
    for module in model.modules():
        theta = (getattr(getattr(module, "config", None), "rope_parameters", None) or {}).get("rope_theta")
        for name, frequencies in module.named_buffers(recurse=False):
            if not name.endswith("inv_freq") or theta is None or len(frequencies) != len(factors):
                continue
            unscaled = theta ** -(np.arange(len(factors)) / len(factors))
            rounded = unscaled / factors.astype(np.float64)
            if np.allclose(rounded, frequencies.numpy(), rtol=1e-5, atol=0):
                frequencies.copy_(torch.from_numpy(rounded))
