"""From a file's metadata to the authors' model that they mean: one function for each architecture.

Each reads the keys of its architecture and says which configuration of which transformers class this is. It cannot be
wrong unnoticed: the converter is run on that configuration, and `Metadata.check` compares what it writes with what the
file says. What transformers cannot express is `Unsupported`, with the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy
import torch

from protocol import Refused, Unsupported
from strategies import Configuration

REQUIRED = object()
SHOWN_BY_SHAPES = {"vocab_size", "feed_forward_length", "expert_feed_forward_length"}
"""Keys that say nothing which the tensors' shapes do not: a file may lack them."""
INFORMATIVE = {"rope.scaling.finetuned", "rope.dimension_count", "expert_gating_func", "decoder_start_token_id"}
"""Keys that the converter writes though their value is the only one that the architecture knows, or their default."""


class Positions(Enum):
    """What the authors' code knows of positions."""

    GIVEN = "it is given them"
    COUNTED = "it counts tokens, and depends on differences of positions only"
    UNUSED = "it has none"


@dataclass(frozen=True)
class Expression:
    """A model of the authors that is what a file's metadata mean."""

    configuration: Configuration
    positions: Positions = Positions.GIVEN
    depends_on_differences: bool = True
    """Whether a sequence whose positions are all moved alike gives the same."""
    is_bidirectional: bool = False
    """Whether tokens see all of their batch, and nothing else."""
    counts_window: bool = False
    """Whether some layer looks a number of tokens back, whatever their positions."""
    unused: tuple[str, ...] = ()
    """Beginnings of the names of parameters on which no output depends: files lack them."""
    unused_tensors: tuple[str, ...] = ()
    """And of tensors of the file."""
    adjust: Callable[[torch.nn.Module], None] = lambda model: None
    """What no configuration can say."""


class Metadata:
    """The keys of a file, and what its architecture's function took them for."""

    def __init__(self, keys: Mapping[str, Any], tensors: Mapping[str, numpy.ndarray]) -> None:
        self.keys = keys
        self.tensors = tensors
        self.architecture = str(keys["general.architecture"])
        self._meanings: dict[str, Any] = {}
        self._unconverted: set[str] = set()
        self.layers = int(self.get("block_count"))

    def __contains__(self, key: str) -> bool:
        return self._full(key) in self.keys

    def get(self, key: str, absent: Any = REQUIRED, is_converted: bool = True) -> Any:
        """A key's value, or what it means that it is absent.

        - Parameter is_converted: false where the converter writes it in no file or one value in all, so that it shows
          nothing.
        """
        value = self.keys.get(self._full(key), absent)
        if value is REQUIRED:
            raise Unsupported(f"{key} is missing")
        self._meanings[key] = value
        if not is_converted:
            self._unconverted.add(key)
        return value

    def each(self, key: str, absent: Any = REQUIRED, is_converted: bool = True) -> list[Any]:
        """A value for each layer."""
        value = self.get(key, absent, is_converted)
        return list(value) if isinstance(value, list) else [value] * self.layers

    def one(self, key: str, absent: Any = REQUIRED, is_converted: bool = True) -> Any:
        """The value of all layers."""
        return alike(self.each(key, absent, is_converted), key)

    def means(self, key: str, value: Any) -> Any:
        """Says in the converter's terms what a key means."""
        self._meanings[key] = value
        return value

    def expect(self, key: str, *allowed: Any, absent: Any) -> Any:
        """The same of a key whose other values transformers cannot express."""
        value = self.one(key, absent, is_converted=False)
        if value not in allowed:
            raise Unsupported(f"{key} {value}")
        return value

    def has(self, *names: str) -> bool:
        """Whether there is a tensor of one of these names, in whatever block."""
        return any(tensor.endswith(name) for tensor in self.tensors for name in names)

    def layers_with(self, name: str) -> list[bool]:
        """Which blocks have a tensor of this name."""
        return [f"blk.{layer}.{name}" in self.tensors for layer in range(self.layers)]

    def check(self, converted: Mapping[str, Any]) -> None:
        """Compares with what the converter wrote of the configuration that was found.

        - Raises: Unsupported, with a key that does not mean the same.
        """
        prefix = self.architecture + "."
        theirs = {key.removeprefix(prefix): value for key, value in converted.items() if key.startswith(prefix)}
        ours = {key.removeprefix(prefix): value for key, value in self.keys.items() if key.startswith(prefix)}
        for key in sorted(ours.keys() | theirs.keys()):
            if key in self._unconverted or key in SHOWN_BY_SHAPES | INFORMATIVE and key not in ours:
                continue
            if key not in theirs and key in self._meanings:
                continue
            meaning = self._meanings.get(key, ours.get(key))
            if key not in theirs or not is_same(meaning, theirs[key]):
                raise Unsupported(f"{key}: {meaning} is {theirs.get(key)} in the converter's file")

    def _full(self, key: str) -> str:
        return key if key.startswith("tokenizer.") else f"{self.architecture}.{key}"


def is_same(one: Any, other: Any) -> bool:
    """Whether values mean the same: float32 or float64, one for all layers or one for each."""
    if isinstance(one, list) or isinstance(other, list):
        ones = one if isinstance(one, list) else [one] * len(other)
        others = other if isinstance(other, list) else [other] * len(ones)
        return len(ones) == len(others) and all(map(is_same, ones, others))
    if isinstance(one, float) and isinstance(other, float):
        return numpy.float32(one) == numpy.float32(other)
    return one == other


def alike(values: Iterable[Any], what: str) -> Any:
    """The one value that all are; transformers has no field for several."""
    unique = set(values)
    if len(unique) > 1:
        raise Unsupported(f"{what} that differs from layer to layer")
    return unique.pop()


Architecture = Callable[[Metadata], Expression]
ARCHITECTURES: dict[str, Architecture] = {}


def architecture(*names: str) -> Callable[[Architecture], Architecture]:
    """Registers a function under the names of its architectures."""

    def register(function: Architecture) -> Architecture:
        ARCHITECTURES.update(dict.fromkeys(names, function))
        return function

    return register


def expression(metadata: Metadata) -> Expression:
    """- Raises: Unsupported; Refused where keys are of no use to anybody."""
    if metadata.architecture not in ARCHITECTURES:
        raise Unsupported(f"architecture {metadata.architecture}")
    try:
        return ARCHITECTURES[metadata.architecture](metadata)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise Refused(f"metadata that make no sense: {error}") from error


# --- What many have


def sizes(m: Metadata, is_causal: bool = True, **more: Any) -> dict[str, Any]:
    """Fields of nearly every configuration class."""
    m.expect("attention.causal", is_causal, absent=is_causal)
    m.expect("nextn_predict_layers", 0, absent=0)
    return {
        "vocab_size": m.get("vocab_size"), "hidden_size": m.get("embedding_length"), "num_hidden_layers": m.layers,
        "max_position_embeddings": m.get("context_length", is_converted=False),
        "tie_word_embeddings": "output.weight" not in m.tensors,
        "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
    } | more


def attention(m: Metadata, **more: Any) -> dict[str, Any]:
    """Grouped heads of one size."""
    width, heads = m.get("embedding_length"), m.one("attention.head_count")
    size = m.get("attention.key_length", width // heads)
    if m.get("attention.value_length", width // heads) != size:
        raise Unsupported("heads of keys and values of two sizes")
    return {
        "num_attention_heads": heads, "num_key_value_heads": m.one("attention.head_count_kv", heads), "head_dim": size,
    } | more


def decoder(m: Metadata, **more: Any) -> dict[str, Any]:
    """A block of grouped attention and one feed-forward network, normed by root mean squares."""
    if "intermediate_size" not in more:
        more["intermediate_size"] = m.one("feed_forward_length")
    normed_and_rotated = {"rms_norm_eps": m.get("attention.layer_norm_rms_epsilon"), "rope_parameters": rope(m)}
    return sizes(m) | attention(m) | normed_and_rotated | more


def rope(m: Metadata, base: str = "rope.freq_base", rotated: str | None = "attention.key_length") -> dict[str, Any]:
    """`rope_parameters` of a rotation of whole heads.

    - Parameter rotated: the key that says how many elements that are; None where they are not to be checked.
    """
    if rotated is not None:
        width, heads = m.get("embedding_length"), m.one("attention.head_count")
        size = m.get(rotated, width // heads)
        if m.get("rope.dimension_count", size) != size:
            raise Unsupported("rope.dimension_count: a part of the head")
    if m.has("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"):
        raise Unsupported("rope_freqs: factors of each frequency")
    parameters = {"rope_type": "default", "rope_theta": m.get(base, 10000.0)}
    kind = m.get("rope.scaling.type", "linear")
    factor = 1.0 if kind == "none" else m.get("rope.scaling.factor", 1.0) or 1.0
    if kind in ("none", "linear") and factor == 1:
        return parameters
    if kind == "linear":
        return parameters | {"rope_type": "linear", "factor": factor}
    if kind != "yarn" or factor < 1:
        raise Unsupported(f"rope.scaling.type {kind} by {factor}")
    m.expect("rope.scaling.yarn_ext_factor", 1.0, absent=1.0)
    context = m.get("context_length", is_converted=False)
    parameters |= {
        "rope_type": "yarn", "factor": factor,
        "original_max_position_embeddings": m.get("rope.scaling.original_context_length", context),
        "beta_fast": m.get("rope.scaling.yarn_beta_fast", 32.0), "beta_slow": m.get("rope.scaling.yarn_beta_slow", 1.0),
    }
    if "rope.scaling.yarn_attn_factor" in m:
        parameters["attention_factor"] = m.get("rope.scaling.yarn_attn_factor")
    return parameters


def magnified(m: Metadata, *, windows: bool = True) -> Callable[[torch.nn.Module], None]:
    """Multiplies what is rotated by `rope.scaling.attn_factor`, which transformers computes and nobody sets.

    - Parameter windows: whether layers with a window are concerned.
    """
    factor = m.get("rope.scaling.attn_factor", 1.0)

    def adjust(model: torch.nn.Module) -> None:
        for module in model.modules():
            for name, value in list(vars(module).items()):
                if name.endswith("attention_scaling") and (windows or not name.startswith("sliding_")):
                    setattr(module, name, value * factor)

    return adjust


def windowed_layers(m: Metadata, period: int) -> list[bool]:
    """Which layers have a window: flags, or of every so many layers all but the last; of a period of 0, all."""
    pattern = m.get("attention.sliding_window_pattern", period)
    if not isinstance(pattern, list):
        pattern = [pattern == 0 or layer % pattern < pattern - 1 for layer in range(m.layers)]
    return m.means("attention.sliding_window_pattern", pattern)


def layer_types(windowed: list[bool], name: str = "sliding_attention") -> list[str]:
    return [name if flag else "full_attention" for flag in windowed]


def mixture(m: Metadata, count: str = "num_experts") -> dict[str, Any]:
    """Experts without groups. - Parameter count: the name of the field."""
    m.expect("expert_group_count", 0, 1, absent=0)
    return {count: m.get("expert_count"), "num_experts_per_tok": m.one("expert_used_count")}


def expert_size(m: Metadata) -> int:
    """Hidden units of an expert, by default an equal share for each that is used."""
    return m.one("expert_feed_forward_length", m.get("feed_forward_length", 0) // m.one("expert_used_count"))
