"""The authors' code as an engine: what runs a file's model is transformers, in float64.

A file's parameters get to the model's without a table of names: see `readback`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError

import expressible
# Register themselves.
import families
import from_metadata.dense
import from_metadata.encoders
import from_metadata.experts
import from_metadata.recurrent
import toy_tokenizers
from authors import family, float64
from converter import Converter, ConverterRefused
from from_metadata import Expression, Metadata, Positions, expression
from protocol import Rows, Script, Unsupported
from readback import File, Readback, learned
from session import Session, Source
from strategies import Configuration


class AuthorsEngine:
    """`protocol.Engine`."""

    def __init__(self, checkout: Path) -> None:
        """- Parameter checkout: of llama.cpp, whose converter it is that files are taken to come from."""
        self.converter = Converter(checkout)
        self.scratch = tempfile.TemporaryDirectory()
        self.readback: tuple[str, Readback] | None = None

    def describe(self) -> dict[str, Any]:
        precision = {"storage": "float64", "accumulation": "float64"}
        return {
            "engine": "transformers", "version": transformers.__version__,
            "devices": [{"name": "transformers:cpu", "summary": "the authors' code, float64", "precision": precision}],
            "absences": [], "refusesOnlyInvalid": False,
            "traits": {
                "cacheTypes": ["f32"], "settings": [], "splits": [], "admitsGaps": True,
                "contextUnit": 1, "boundsSizes": False,
                "models": expressible.traits(),
            },
        }

    def load(self, path: str) -> AuthorsModel:
        try:
            file = File.read(Path(path))
        except NotImplementedError as error:
            raise Unsupported(f"weights that the gguf package does not read: {error}") from error
        metadata = Metadata(file.metadata, file.tensors)
        expressed = expression(metadata)
        try:
            readback = self._readback(expressed.configuration)
        except (StrictDataclassError, ValueError) as error:
            raise Unsupported(f"a configuration that transformers refuses: {last_line(error)}") from error
        except ConverterRefused as error:
            raise Unsupported(f"a configuration that the converter refuses: {error}") from error
        metadata.check(readback.metadata)
        used = {name: values for name, values in file.tensors.items() if not name.startswith(expressed.unused_tensors)}
        parameters = readback.recovered_from(fitted(used, readback))
        for name, values in parameters.items():
            if values.isnan().any() and not name.startswith(expressed.unused):
                raise Unsupported(f"a file without {name}")
        model = family(expressed.configuration).exact(expressed.configuration, parameters)
        expressed.adjust(model)
        return AuthorsModel(model, expressed)

    def _readback(self, configuration: Configuration) -> Readback:
        """The last one is kept: a case loads the same shape several times."""
        key = configuration.key()
        if self.readback is None or self.readback[0] != key:
            model = family(configuration).build(configuration, seed=1)
            with tempfile.TemporaryDirectory(dir=self.scratch.name) as folder:
                convert = lambda: self._converted(model, configuration, Path(folder))
                self.readback = key, Readback(learned(model), convert)
        return self.readback[1]

    def _converted(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> Path:
        path = folder / "model.gguf"
        family(configuration).save(model, configuration, folder)
        # Some of its classes look at the tokenizer all the same.
        toy_tokenizers.write(configuration.tokenizer, folder)
        self.converter.convert(folder, path, configuration.converter, vocabulary=False)
        return path


class AuthorsModel:
    """`protocol.Model` and `session.Authors`."""

    def __init__(self, model: torch.nn.Module, expressed: Expression) -> None:
        self.model = model
        self.expressed = expressed
        self.is_bidirectional = expressed.is_bidirectional
        self.depends_on_differences = expressed.depends_on_differences

    def run(self, script: Script, begin: Callable[[int], None]) -> list[Rows | None]:
        if script.cache_type != "f32":
            raise Unsupported(f"caches of {script.cache_type}")
        session = Session(self)
        results = []
        for number, step in enumerate(script.steps):
            begin(number)
            results.append(session.perform(step))
        return results

    def logits(self, ids: Sequence[int], positions: Sequence[int], source: Source) -> numpy.ndarray:
        inputs = self._inputs(ids, positions)
        with float64():
            if self.model.config.is_encoder_decoder:
                if not source:
                    raise Unsupported("a sequence without a source")
                inputs = {"input_ids": torch.tensor([source]), "decoder_input_ids": inputs["input_ids"]}
            return self.model(**inputs).logits[0].numpy()

    def encoded(self, ids: Source) -> numpy.ndarray:
        with float64():
            return self.model.get_encoder()(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()

    def embeddings(self, ids: Sequence[int], positions: Sequence[int]) -> numpy.ndarray:
        with float64():
            return self.model(**self._inputs(ids, positions)).last_hidden_state[0].numpy()

    def pooled(self, rows: numpy.ndarray) -> numpy.ndarray | None:
        match self.expressed.configuration.pooling:
            case "mean": return rows.mean(0)
            case "cls": return rows[0]
            case "last": return rows[-1]
        return None

    def _inputs(self, ids: Sequence[int], positions: Sequence[int]) -> dict[str, torch.Tensor]:
        """A mask of ones says that gaps between positions do not part sequences."""
        have_gaps = any(after != before + 1 for before, after in zip(positions, positions[1:]))
        if positions and positions[0] != 0 and not self.expressed.depends_on_differences:
            raise Unsupported("absolute positions that begin later")
        if have_gaps and (self.expressed.counts_window or self.expressed.positions is Positions.COUNTED):
            raise Unsupported("gaps between positions")
        inputs = {"input_ids": torch.tensor([ids])}
        if self.expressed.positions is Positions.GIVEN:
            inputs["position_ids"] = torch.tensor([positions])
            inputs["attention_mask"] = torch.ones(1, len(ids), dtype=torch.long)
        return inputs


def fitted(tensors: Mapping[str, numpy.ndarray], readback: Readback) -> dict[str, numpy.ndarray]:
    """A file's tensors as the converter would have written them: not fused, a head that is tied as one of its own, and
    zeros for what is added and that it lacks.

    - Raises: Unsupported where there are others than the converter writes, or of other shapes.
    """
    shapes = {name: origin.parameters.shape for name, origin in readback.origins.items()}
    result: dict[str, numpy.ndarray] = {}
    for name, values in tensors.items():
        result |= {name: values} if name in shapes else parted(name, values, shapes)
    if "output.weight" in shapes:
        result.setdefault("output.weight", tensors["token_embd.weight"])
    for name in shapes.keys() - result.keys():
        if not name.endswith((".bias", "token_types.weight")):
            raise Unsupported(f"a file without {name}")
        result[name] = numpy.zeros(shapes[name])
    for name, values in result.items():
        if numpy.squeeze(values).shape != tuple(size for size in shapes[name] if size > 1):
            raise Unsupported(f"{name} of shape {values.shape}, where the converter writes {shapes[name]}")
        result[name] = values.reshape(shapes[name])
    return result


FUSED = {"attn_qkv": (0, ("attn_q", "attn_k", "attn_v")), "ffn_gate_up_exps": (1, ("ffn_gate_exps", "ffn_up_exps"))}
"""Along which axis these lie."""


def parted(name: str, values: numpy.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, numpy.ndarray]:
    for fused, (axis, parts) in FUSED.items():
        names = [name.replace(f".{fused}.", f".{part}.") for part in parts]
        if f".{fused}." in name and all(part in shapes for part in names):
            ends = numpy.cumsum([shapes[part][axis] for part in names])
            if ends[-1] == values.shape[axis]:
                return dict(zip(names, numpy.split(values, ends[:-1], axis=axis)))
    keys = name.replace(".attn_kv_b.", ".attn_k_b.")
    if keys != name and keys in shapes:
        heads, latent, size = shapes[keys]
        both = values.reshape(heads, -1, latent)
        return {
            keys: both[:, :size].transpose(0, 2, 1), name.replace(".attn_kv_b.", ".attn_v_b."): both[:, size:]}
    raise Unsupported(f"tensor {name}")


def last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
