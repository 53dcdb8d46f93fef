"""What is drawn: one function for each architecture, in the files of this folder, and what they share.

A strategy draws a `Configuration`: a small legal configuration of a transformers class, and how it is saved and
converted. What is known to differ stands beside the strategy that draws it, so that it is counted and not found again:

    @strategy("olmoe")                              draws
    @converter_refuses("olmoe", "why")              the converter raises, or makes a file that no engine loads
    @converter_drops("olmoe", "clip_qkv")           the converter leaves something out; the rest must be right
    @transformers_differs("nemotron_h", "Δt")       transformers is the odd one
    @llama_cpp_differs("t5", "tied logits")         llama.cpp is
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Callable

from hypothesis import strategies as st


@dataclass(frozen=True)
class Configuration:
    """A model before it has parameters: all that a corpus file needs to make it again."""

    model_class: str
    """The name of the transformers class, such as Qwen3ForCausalLM."""
    values: dict[str, Any]
    """The arguments of its configuration class; JSON."""
    tokens: int = 28
    """The length of the prompt."""
    tokenizer: str = "byte-pairs"
    """Which of `toy_tokenizers`."""
    converter: dict[str, bool] = field(default_factory=dict)
    """Options of the converter: fuse_qkv, fuse_gate_up_exps, no_mtp, sentence_transformers_dense_modules."""
    published: dict[str, Any] = field(default_factory=dict)
    """What published `config.json` files of this model say and its configuration class does not write; None removes."""
    pooling: str | None = None
    """cls, mean or last: saved as sentence-transformers save it."""
    source: int = 0
    """The length of what an encoder-decoder's encoder is given."""
    context: int = 0
    """How many of a draft's tokens are given as what its target made of them: the first ones."""
    target: dict[str, Any] = field(default_factory=dict)
    """The `config.json` of the model whose tokens a draft drafts; empty: it drafts none."""
    alphabet: list[int] = field(default_factory=list)
    """The tokens that prompts are made of, of which the first comes first; empty: all that have no meaning."""
    gain: float = 1.3
    """How much larger than its input a random matrix's output is: large where residuals would hide a block."""
    family: str = "transformers"
    """Whose code the model is: a key of `authors.FAMILIES`."""

    def with_values(self, **changes: Any) -> Configuration:
        """The same with other arguments."""
        return dataclasses.replace(self, values=self.values | changes)

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if value != DEFAULTS.get(name, ...)}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Configuration:
        return Configuration(**fields)

    def key(self) -> str:
        """One text for one configuration."""
        return json.dumps(self.to_json(), sort_keys=True)


DEFAULTS = {
    f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
    for f in dataclasses.fields(Configuration)
    if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
}

Draw = Callable[[st.SearchStrategy], Any]

STRATEGIES: dict[str, st.SearchStrategy[Configuration]] = {}


def strategy(architecture: str):
    """Registers a function of Hypothesis's `draw` as what draws this architecture's configurations."""

    def register(function: Callable[[Draw], Configuration]):
        STRATEGIES[architecture] = st.composite(function)()
        return function

    return register


@dataclass(frozen=True)
class Known:
    """Something known to differ, and the function that says whether it concerns a configuration."""

    what: str
    function: Callable

    def __str__(self) -> str:
        return self.what


DROPS: dict[str, list[Known]] = defaultdict(list)
PATCHES: dict[str, list[Known]] = defaultdict(list)
REFUSES: dict[str, list[Known]] = defaultdict(list)
LLAMA_CPP: dict[str, list[Known]] = defaultdict(list)


def _registers(table: dict[str, list[Known]]):
    def decorator(architecture: str, what: str):
        def register(function: Callable):
            table[architecture].append(Known(what, function))
            return function

        return register

    return decorator


converter_drops = _registers(DROPS)
"""Of a function Configuration -> Configuration | None: what the file really describes; None where nothing is dropped."""
transformers_differs = _registers(PATCHES)
"""Of a function (float64 model, Configuration) -> bool: changes the model, and says whether it did."""
converter_drops_parameters = transformers_differs
"""The same for what no configuration can express: takes the parameters that the file lacks out of the model."""
converter_refuses = _registers(REFUSES)
"""Of a predicate on Configuration."""
llama_cpp_differs = _registers(LLAMA_CPP)
"""Of a predicate on Configuration."""
ANY = "*"
"""The architecture of what llama.cpp does wrong in all of them."""


def converter_ignores(architecture: str, key: str, otherwise: Any) -> None:
    """Declares that files of an architecture say nothing of an argument, and mean `otherwise` whatever it was."""

    @converter_drops(architecture, key)
    def without(configuration: Configuration) -> Configuration | None:
        is_meant = configuration.values.get(key, otherwise) == otherwise
        return None if is_meant else configuration.with_values(**{key: otherwise})


def converter_ignores_rope(architecture: str, *keys: str) -> None:
    """The same of options of the rotary embedding's scaling, which some classes say for each type of layer."""

    def without(parameters: dict[str, Any]) -> dict[str, Any]:
        return {key: without(value) if isinstance(value, dict) else value
                for key, value in parameters.items() if key not in keys}

    @converter_drops(architecture, ", ".join(keys) + " of rope_parameters")
    def ignored(configuration: Configuration) -> Configuration | None:
        parameters = configuration.values.get("rope_parameters", {})
        left = without(parameters)
        return None if left == parameters else configuration.with_values(rope_parameters=left)


def ropes(configuration: Configuration) -> list[dict[str, Any]]:
    """The rotary embeddings of a configuration: one, or one for each type of layer."""
    parameters = configuration.values.get("rope_parameters", {})
    return [parameters] if "rope_type" in parameters else [value for value in parameters.values() if value]


@llama_cpp_differs(ANY, "YaRN's beta_fast, beta_slow and attention_factor, which the file says, are not read")
def yarn_options(configuration: Configuration) -> bool:
    return any(
        (rope.get("beta_fast", 32.0), rope.get("beta_slow", 1.0)) != (32.0, 1.0) or "attention_factor" in rope
        for rope in ropes(configuration) if rope["rope_type"] == "yarn")


def llama_cpp_refuses_bias(architecture: str) -> None:
    """Declares that llama.cpp knows no biases of this architecture's attention."""

    @llama_cpp_differs(architecture, "attention_bias: refused as tensors too many")
    def has_bias(configuration: Configuration) -> bool:
        return configuration.values.get("attention_bias", False)


# --- Shared draws. Numbers are exact in float32, since a file's metadata are: 0.1 would differ by its rounding.

VOCABULARY = st.sampled_from([320, 321, 337])
"""At least as many as the toy tokenizers have."""
PROMPTS = st.sampled_from([28, 1, 2, 17, 40])
"""Lengths of prompts: longer than windows, and as short as they can be."""
EPSILONS = st.sampled_from([2.0**-17, 2.0**-20, 2.0**-10, 2.0**-7])
THETAS = st.sampled_from([10000.0, 500000.0, 1000000.0, 1234.5])


def rarely(draw: Draw) -> bool:
    """Once in eight: for what is known to be dropped or refused, which hides what else may be wrong."""
    return draw(st.integers(0, 7)) == 7


def integers(low: int, high: int, multiple: int = 1) -> st.SearchStrategy[int]:
    """Multiples of a number from `low` to `high`, both included."""
    return st.integers(-(-low // multiple), high // multiple).map(lambda n: n * multiple)


@st.composite
def heads(draw: Draw, most: int = 6) -> tuple[int, int]:
    """Heads of queries and of keys and values: one, grouped, as many."""
    groups = draw(st.integers(1, 3))
    return groups * draw(st.integers(1, max(1, most // groups))), groups


@st.composite
def rope(draw: Draw, head_size: int, kinds: tuple[str, ...] = ("default", "linear", "yarn", "llama3"),
         context: int = 256) -> dict[str, Any]:
    """Rotary embedding and how it is scaled, as `rope_parameters` say it.

    The original context is so short that scaled, unscaled and mixed frequencies are all there. YaRN's `truncate`,
    `mscale` and `mscale_all_dim` are options that the converter is known to ignore.
    """
    kind = draw(st.sampled_from(kinds))
    parameters = {"rope_type": kind, "rope_theta": draw(THETAS)}
    if kind == "default":
        return parameters
    parameters["factor"] = draw(st.sampled_from([2.0, 4.0, 8.0, 1.5]))
    if kind == "linear":
        return parameters
    parameters["original_max_position_embeddings"] = draw(st.sampled_from([32, 64, 128]))
    if kind == "llama3":
        parameters["low_freq_factor"] = draw(st.sampled_from([1.0, 0.5, 2.0]))
        parameters["high_freq_factor"] = draw(st.sampled_from([4.0, 8.0, 3.0]))
    elif kind == "yarn":
        if draw(st.booleans()):
            parameters["beta_fast"] = draw(st.sampled_from([32.0, 16.0, 4.0, 1.0]))
            parameters["beta_slow"] = draw(st.sampled_from([1.0, 0.5, 0.25]))
        if draw(st.booleans()):
            parameters["attention_factor"] = draw(st.sampled_from([1.0, 0.75, 1.25]))
        if rarely(draw):
            parameters["truncate"] = False
        if rarely(draw):
            parameters |= {"mscale": 0.75, "mscale_all_dim": draw(st.sampled_from([0.75, 0.5]))}
    elif kind == "longrope":
        factors = st.lists(st.sampled_from([1.0, 1.25, 2.0, 3.5]), min_size=head_size // 2, max_size=head_size // 2)
        parameters["short_factor"] = draw(factors)
        parameters["long_factor"] = draw(factors)
    return parameters


def load() -> dict[str, st.SearchStrategy[Configuration]]:
    """The strategies of all architectures: importing the files of this folder registers them."""
    import importlib
    import pkgutil

    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return STRATEGIES
