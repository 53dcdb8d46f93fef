"""One configuration: built, converted, run by the authors' code and by engines, and judged."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch

import authors
import toy_tokenizers
from converter import Converter, ConverterRefused
from program import Engine, EngineRefused, Program
from readback import Readback, learned
from strategies import DROPS, LLAMA_CPP, PATCHES, REFUSES, Configuration, Known

LIMIT = 1e-12
"""NMSE of a row: float64 on both sides, of parameters and results that are float32."""
LLAMA_CPP_LIMIT = 1e-6
"""NMSE of a row of an engine that computes in float32."""


class Verdict(Enum):
    """What three answers say of each other."""

    AGREE = "agree"
    DROPPED = "converter drops"
    """What the configuration says is not in the file; the authors' code without it agrees."""
    REFUSED = "converter refuses"
    """It raised, or what it wrote contradicts itself."""
    TRANSFORMERS = "transformers differs"
    LLAMA_CPP = "llama.cpp differs"
    OURS = "ours differs"
    ALIKE = "both differ alike"
    """Ours and llama.cpp agree with each other and not with the authors."""
    ALL = "all differ"
    ILLEGAL = "transformers refuses"
    """The strategy drew what the class does not take."""


@dataclass(frozen=True)
class Outcome:
    """A verdict and the reasons for it."""

    verdict: Verdict
    what: str = ""
    """One line: the largest difference, or what was refused."""
    known: str = ""
    """What it is known as; empty for what is not known."""
    nmse: float | None = None
    """The worst row of the authors' code and ours, where they agree."""

    @property
    def is_failure(self) -> bool:
        return self.verdict is not Verdict.AGREE and not self.known


@dataclass(frozen=True)
class Difference:
    """The worst row of two answers."""

    row: int
    nmse: float

    @staticmethod
    def of(found: np.ndarray, expected: np.ndarray) -> Difference:
        """A row that is not a number differs without bound, and so do answers of different shapes."""
        if found.shape != expected.shape:
            return Difference(0, np.inf)
        found = found.astype(np.float64)
        with np.errstate(all="ignore"):
            rows = ((found - expected) ** 2).sum(-1) / (expected**2).sum(-1)
        rows = np.nan_to_num(rows, nan=np.inf)
        return Difference(int(rows.argmax()), float(rows.max()))

    def __str__(self) -> str:
        return f"NMSE {self.nmse:.1e} in row {self.row}"


@dataclass(frozen=True)
class Case:
    """A configuration of an architecture, and the seed of its parameters and tokens."""

    architecture: str
    configuration: Configuration
    seed: int

    @property
    def tokens(self) -> list[int]:
        return self._draw(self.configuration.tokens, 0)

    @property
    def source(self) -> list[int]:
        return self._draw(self.configuration.source, 1)

    def _draw(self, count: int, stream: int) -> list[int]:
        generator = np.random.default_rng([self.seed, stream])
        return generator.integers(toy_tokenizers.SPECIALS, toy_tokenizers.SIZE, count).tolist()

    def to_json(self) -> dict[str, Any]:
        return {"architecture": self.architecture, "seed": self.seed, "configuration": self.configuration.to_json()}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Case:
        return Case(fields["architecture"], Configuration.from_json(fields["configuration"]), fields["seed"])


class Comparison:
    """What compares: a converter, the program, and a llama.cpp if there is one."""

    def __init__(self, converter: Converter, program: Program, llama_cpp: Engine | None = None,
                 llama_cpp_limit: float = LLAMA_CPP_LIMIT) -> None:
        self.converter = converter
        self.program = program
        self.llama_cpp = llama_cpp
        self.llama_cpp_limit = llama_cpp_limit

    def __call__(self, case: Case) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="gguf-fuzz-") as folder:
            return self._compare(case, Path(folder))

    def _compare(self, case: Case, folder: Path) -> Outcome:
        architecture, configuration = case.architecture, case.configuration
        family = authors.family(configuration)
        try:
            model = family.build(configuration, case.seed)
        except Exception as error:
            return Outcome(Verdict.ILLEGAL, line(error))
        parameters = family.parameters(model)

        file = folder / "model.gguf"
        refusal = first(REFUSES[architecture], configuration)
        try:
            self._convert(model, configuration, file)
        except ConverterRefused as error:
            return Outcome(Verdict.REFUSED, str(error), refusal)
        try:
            ours = self._answer(Engine.reference(), file, case)
        except EngineRefused as error:
            if refusal:
                return Outcome(Verdict.REFUSED, str(error), refusal)
            ours = str(error)
        llama_cpp = None
        if self.llama_cpp is not None:
            try:
                llama_cpp = self._answer(self.llama_cpp, file, case)
            except EngineRefused as error:
                llama_cpp = str(error)

        rounded = self._rounded(model, configuration, parameters, folder / "probe.gguf", file)
        factors = self.converter.tensors(file).get("rope_freqs.weight")

        def expected(of: Configuration, patches: list[Known]) -> tuple[np.ndarray, list[str]]:
            exact = authors.family(of).exact(of, rounded)
            with authors.float64():
                if factors is not None:
                    authors.round_frequencies(exact, factors)
                applied = [patch.what for patch in patches if patch.function(exact, of)]
            return authors.family(of).answer(exact, of, case.tokens, case.source), applied

        truth, _ = expected(configuration, [])
        verdict, known = Verdict.DROPPED, []
        if isinstance(ours, np.ndarray) and Difference.of(ours, truth).nmse > LIMIT:
            described, known = dropped(architecture, configuration)
            other, patches = expected(described, PATCHES[architecture])
            if (known or patches) and Difference.of(ours, other).nmse <= LIMIT:
                truth = other
                verdict = Verdict.DROPPED if known else Verdict.TRANSFORMERS
                known += patches
            else:
                known = []
        outcome = self._judge(truth, ours, llama_cpp)
        if outcome.verdict is Verdict.LLAMA_CPP:
            return Outcome(outcome.verdict, outcome.what, first(LLAMA_CPP[architecture], configuration), outcome.nmse)
        if outcome.verdict is Verdict.AGREE and known:
            return Outcome(verdict, "", "; ".join(known), outcome.nmse)
        return outcome

    def _convert(self, model: torch.nn.Module, configuration: Configuration, file: Path) -> Path:
        """Saves a model beside the file, and converts it."""
        folder = file.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        authors.family(configuration).save(model, configuration, folder)
        toy_tokenizers.write(configuration.tokenizer, folder)
        self.converter.convert(folder, file, configuration.converter)
        return file

    def _rounded(self, model: torch.nn.Module, configuration: Configuration, parameters: authors.Parameters,
                 probe: Path, file: Path) -> authors.Parameters:
        """The parameters as the file holds them, which the converter may have rounded to float32 after a formula."""
        readback = Readback(learned(model), lambda: self._convert(model, configuration, probe))
        rounded = dict(parameters)
        for name, values in readback.recovered(file).items():
            rounded[name] = torch.where(values.isnan(), parameters[name], values)
        return rounded

    def _answer(self, engine: Engine, file: Path, case: Case) -> np.ndarray:
        results = self.program.results(engine, file, case.tokens, case.source)
        return results["logits"] if "logits" in results else results["embeddings"]

    def _judge(self, truth: np.ndarray, ours: np.ndarray | str, llama_cpp: np.ndarray | str | None) -> Outcome:
        """- Parameters: rows, or why there are none; None for an engine that was not asked."""
        limit = self.llama_cpp_limit
        own = described("reference", ours, truth)
        is_right = not isinstance(ours, str) and Difference.of(ours, truth).nmse <= LIMIT
        if llama_cpp is None:
            return Outcome(Verdict.AGREE, nmse=Difference.of(ours, truth).nmse) if is_right else Outcome(
                Verdict.OURS, own)
        other = described("llama.cpp", llama_cpp, truth)
        is_other_right = not isinstance(llama_cpp, str) and Difference.of(llama_cpp, truth).nmse <= limit
        if is_right:
            verdict = Verdict.AGREE if is_other_right else Verdict.LLAMA_CPP
            return Outcome(verdict, "" if is_other_right else other, nmse=Difference.of(ours, truth).nmse)
        if is_other_right:
            return Outcome(Verdict.OURS, own)
        if isinstance(ours, str) or isinstance(llama_cpp, str):
            alike = isinstance(ours, str) and isinstance(llama_cpp, str)
        else:
            alike = Difference.of(llama_cpp, ours).nmse <= limit
        return Outcome(Verdict.ALIKE if alike else Verdict.ALL, f"{own}; {other}")


def dropped(architecture: str, configuration: Configuration) -> tuple[Configuration, list[str]]:
    """What a file of a configuration really describes, and what the converter is known to have left out of it."""
    known = []
    for drop in DROPS[architecture]:
        without = drop.function(configuration)
        if without is not None:
            configuration = without
            known.append(drop.what)
    return configuration, known


def first(table: list[Known], configuration: Configuration) -> str:
    """What a configuration's failure is known as."""
    return next((known.what for known in table if known.function(configuration)), "")


def described(name: str, found: np.ndarray | str, truth: np.ndarray) -> str:
    if isinstance(found, str):
        return f"{name}: {found}"
    if found.shape != truth.shape:
        return f"{name}: gives {found.shape[0]} × {found.shape[-1]}, not {truth.shape[0]} × {truth.shape[-1]}"
    return f"{name}: {Difference.of(found, truth)}"


def line(error: BaseException) -> str:
    """An exception as one line: its last."""
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[-1:]])
