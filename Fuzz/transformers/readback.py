"""Which parameter of the authors' model each number of a converted file came from.

The converter renames, transposes, permutes, splits, stacks and reparametrises; writing that down again for each
architecture would repeat its code and its mistakes. Instead it is observed: a model whose parameters are their own
indices is converted, and the file then says where each of them went and what was done to it. Undone on another file
of the same configuration, this gives the parameters that the file really holds, its float32 rounding included.

The k-th parameter is 1 + k/2²¹, in [1, 2). Files hold parameters in one of three forms, whose images do not meet, so
that a number tells its parameter and its form:

    w          copied                                     in [1, 2)
    1 + w      norms that the authors centre on 0         in [2, 3)
    −exp(w)    the decay of state space models, A         in (−e², −e]

All three, rounded to float32, are further apart than half a step. A number that no parameter made may look like one
all the same, by chance: whatever a model's folder holds that is drawn at random must be among its parameters.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch

STEP = 2.0**-21
PARAMETERS_A_ROUND = 2**21
# What the parameters of other rounds are: 5, 6 and −exp(5) are in none of the three images.
OUT_OF_ROUND = 5.0
# Computed by the converter from the configuration alone. Some of their numbers look like parameters.
CONSTANTS = ("rope_freqs.", "rope_factors_long.", "rope_factors_short.")


def learned(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A model's parameters and saved buffers that are real numbers, by name; tied ones once."""
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_floating_point() and id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor
    return tensors


@dataclass(frozen=True)
class File:
    """A GGUF file in numbers."""

    metadata: dict[str, object]
    tensors: dict[str, numpy.ndarray]
    """In float64, axes outermost first. What is quantised means what the package `gguf` says; whole numbers are left
    out, which are no parameters."""

    @staticmethod
    def read(path: Path) -> File:
        # Not before a converter has had the chance to bring its own version of the package.
        from gguf import GGUFReader
        from gguf.quants import dequantize

        reader = GGUFReader(path)
        return File(
            metadata={name: field.contents() for name, field in reader.fields.items()},
            tensors={
                tensor.name: dequantize(tensor.data, tensor.tensor_type).astype(numpy.float64)
                for tensor in reader.tensors if tensor.tensor_type.name not in ("I8", "I16", "I32", "I64")})


@dataclass(frozen=True)
class Origin:
    """Where the numbers of a file's tensor came from: arrays of its shape."""

    parameters: numpy.ndarray  # numbers of parameters, -1 where there is none
    incremented: numpy.ndarray  # whether the file holds 1 + w
    exponentiated: numpy.ndarray  # whether the file holds −exp(w)

    @property
    def is_constant(self) -> bool:
        return not (self.parameters >= 0).any()

    @staticmethod
    def read(image: numpy.ndarray, count: int) -> Origin:
        """What one conversion tells: `image` is the tensor made of parameters that are their own indices.

        - Parameter count: how many parameters the round has. What would be a later one was not made of any.
        """
        incremented = (image >= 2) & (image < 3)
        exponentiated = (image <= 1 - numpy.e) & (image > -numpy.exp(2) * (1 + 2.0**-22))
        parameters = restored(image, incremented, exponentiated)
        found = (parameters >= 1 - STEP / 2) & (parameters < 1 + (count - 0.5) * STEP)
        indices = numpy.rint((numpy.where(found, parameters, 1) - 1) / STEP).astype(numpy.int64)
        return Origin(numpy.where(found, indices, -1), incremented, exponentiated)

    def or_else(self, other: Origin, first: int) -> Origin:
        """This, and what another round told whose first parameter was the model's `first`."""
        found = other.parameters >= 0
        return Origin(
            numpy.where(found, other.parameters + first, self.parameters),
            numpy.where(found, other.incremented, self.incremented),
            numpy.where(found, other.exponentiated, self.exponentiated))


def restored(values: numpy.ndarray, incremented: numpy.ndarray, exponentiated: numpy.ndarray) -> numpy.ndarray:
    """The parameters that a file's numbers stand for."""
    with numpy.errstate(invalid="ignore", divide="ignore"):
        return numpy.where(exponentiated, numpy.log(-values), numpy.where(incremented, values - 1, values))


class Readback:
    """What the converter does with the parameters of one configuration."""

    def __init__(self, parameters: Mapping[str, torch.Tensor], convert: Callable[[], Path]):
        """Observes it.

        - `parameters`: of a model that may be overwritten, such as `learned(model)`.
        - `convert`: converts that model as it then is, in float32, and gives the file. It is called once for every two
          million parameters.
        """
        self.shapes = {name: tuple(tensor.shape) for name, tensor in parameters.items()}
        self.count = sum(tensor.numel() for tensor in parameters.values())
        self.origins: dict[str, Origin] = {}
        self.constants: dict[str, numpy.ndarray] = {}
        self.metadata: dict[str, object] = {}
        for first in range(0, self.count, PARAMETERS_A_ROUND):
            set_to_indices(parameters, first)
            self._observe(File.read(convert()), first)
        found = numpy.zeros(self.count, dtype=bool)
        for origin in self.origins.values():
            found[origin.parameters[origin.parameters >= 0]] = True
        self._found = found

    def _observe(self, file: File, first: int) -> None:
        self.metadata = file.metadata
        for name, image in file.tensors.items():
            if name.startswith(CONSTANTS):
                self.constants[name] = image
                continue
            origin = Origin.read(image, min(self.count - first, PARAMETERS_A_ROUND))
            if name in self.origins:
                origin = self.origins[name].or_else(origin, first)
            self.origins[name] = origin

    @property
    def lacking(self) -> list[str]:
        """Parameters that the file does not hold, or not wholly."""
        return [name for name, found in self._parts(self._found) if not found.all()]

    def recovered(self, path: Path) -> dict[str, torch.Tensor]:
        """Each parameter, in float64, as the file at `path` holds it; NaN where it does not.

        The file is one of the same configuration, converted in the same way.
        """
        return self.recovered_from(File.read(path).tensors)

    def recovered_from(self, tensors: Mapping[str, numpy.ndarray]) -> dict[str, torch.Tensor]:
        """The same, of a file's tensors."""
        parameters = numpy.full(self.count, numpy.nan)
        for name, origin in self.origins.items():
            values = restored(tensors[name], origin.incremented, origin.exponentiated)
            known = origin.parameters >= 0
            parameters[origin.parameters[known]] = values[known]
        return {
            name: torch.from_numpy(values.copy()).reshape(self.shapes[name])
            for name, values in self._parts(parameters)}

    def apply(self, path: Path, parameters: Mapping[str, torch.Tensor]) -> None:
        """Overwrites `parameters`, such as `learned(model)`, by what the file holds of them; the rest stays."""
        with torch.no_grad():
            for name, held in self.recovered(path).items():
                own = parameters[name]
                own.copy_(torch.where(held.isnan(), own.to(held.dtype), held))

    def _parts(self, flat: numpy.ndarray) -> list[tuple[str, numpy.ndarray]]:
        """What `flat`, a number for each parameter, has of each tensor."""
        parts = []
        first = 0
        for name, shape in self.shapes.items():
            count = int(numpy.prod(shape))
            parts.append((name, flat[first:first + count]))
            first += count
        return parts


def set_to_indices(parameters: Mapping[str, torch.Tensor], first: int) -> None:
    """Makes parameters their own indices, from that with index `first` on, as far as one round goes."""
    start = -first
    with torch.no_grad():
        for tensor in parameters.values():
            index = torch.arange(start, start + tensor.numel(), dtype=torch.float64)
            in_round = (index >= 0) & (index < PARAMETERS_A_ROUND)
            values = torch.where(in_round, 1 + index * STEP, OUT_OF_ROUND)
            tensor.copy_(values.reshape(tensor.shape))
            start += tensor.numel()
