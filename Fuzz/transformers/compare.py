"""One configuration: built, converted, run by the authors' code and by engines, and judged."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import torch

import authors
import toy_tokenizers
from converter import TARGET, Converter, ConverterRefused
from program import Engine, EngineRefused, Program
from readback import Readback, learned
from strategies import ANY, DROPS, LLAMA_CPP, PATCHES, REFUSES, Configuration, Known

Answer = np.ndarray | str
"""Rows, or why there are none."""
LIMIT = 1e-12
"""NMSE of a row: float64 on both sides, of parameters and results that are float32."""
LLAMA_CPP_LIMIT = 1e-6
"""NMSE of a row of an engine that computes in float32; above it the noise floor of the case decides."""


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

    @property
    def signature(self) -> tuple[str, ...]:
        """What two failures have in common that are the same: of what is refused, the words without numbers."""
        is_text = self.verdict in (Verdict.REFUSED, Verdict.ILLEGAL) or "NMSE" not in self.what
        return self.verdict.value, self.known, re.sub(r"\d+", "#", self.what) if is_text else ""


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
        # Tokens that can never be have the logit −∞.
        is_alike = np.isinf(found) & (found == expected)
        found, expected = np.where(is_alike, 0, found), np.where(is_alike, 0, expected)
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
        tokens = self._draw(self.configuration.tokens, 0)
        if alphabet := self.configuration.alphabet:
            tokens = [alphabet[0], *(alphabet[token % len(alphabet)] for token in tokens[1:])]
        # As scripts say it: embeddings have numbers below 0.
        context = self.configuration.context
        return [~token for token in tokens[:context]] + tokens[context:]

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
            return self._compare(case, Path(folder) / "model.gguf")

    def _compare(self, case: Case, file: Path) -> Outcome:
        configuration = case.configuration
        family = authors.family(configuration)
        try:
            model = family.build(configuration, case.seed)
        except Exception as error:
            return Outcome(Verdict.ILLEGAL, line(error))
        parameters = family.parameters(model)

        refusal = first(REFUSES[case.architecture], configuration)
        try:
            self._convert(model, configuration, file)
        except ConverterRefused as error:
            return Outcome(Verdict.REFUSED, str(error), refusal)
        answers = self._answers(file, case)
        if refusal and isinstance(answers.ours, str):
            return Outcome(Verdict.REFUSED, answers.ours, refusal)

        try:
            truth = Truth(case, self._held(model, configuration, parameters, file), self._factors(file))
            expected, _ = truth.answer(configuration)
        except Exception as error:
            return Outcome(Verdict.ILLEGAL, line(error))
        outcome = self._judge(expected, answers)
        if outcome.verdict in (Verdict.OURS, Verdict.ALIKE, Verdict.ALL):
            outcome = self._known(truth, answers) or outcome
        if outcome.verdict is Verdict.LLAMA_CPP:
            known = first(LLAMA_CPP[case.architecture] + LLAMA_CPP[ANY], configuration)
            outcome = dataclasses.replace(outcome, known=known)
        return outcome

    def _known(self, truth: Truth, answers: Answers) -> Outcome | None:
        """The outcome without what the converter drops and with transformers' own faults mended; None where that does
        not help."""
        case = truth.case
        without, drops = dropped(case.architecture, case.configuration)
        expected, patches = truth.answer(without, PATCHES[case.architecture])
        if not drops + patches:
            return None
        outcome = self._judge(expected, answers)
        if outcome.verdict is not Verdict.AGREE:
            return outcome if outcome.verdict is Verdict.LLAMA_CPP else None
        verdict = Verdict.DROPPED if drops else Verdict.TRANSFORMERS
        return dataclasses.replace(outcome, verdict=verdict, known="; ".join(drops + patches))

    def _convert(self, model: torch.nn.Module, configuration: Configuration, file: Path) -> Path:
        """Saves a model beside the file, and converts it."""
        folder = file.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        authors.family(configuration).save(model, configuration, folder)
        tokenized = folder
        if configuration.target:
            tokenized = folder / TARGET
            tokenized.mkdir()
            (tokenized / "config.json").write_text(json.dumps(configuration.target))
        toy_tokenizers.write(configuration.tokenizer, tokenized)
        self.converter.convert(folder, file, configuration.converter)
        return file

    def _held(self, model: torch.nn.Module, configuration: Configuration, parameters: authors.Parameters,
              file: Path) -> authors.Parameters:
        """The parameters as the file holds them: the converter rounds to float32 after some formulas.

        What the file lacks stays as it was.
        """
        probe = file.with_name("probe.gguf")
        readback = Readback(learned(model), lambda: self._convert(model, configuration, probe))
        held = dict(parameters)
        for name, values in readback.recovered(file).items():
            held[name] = torch.where(values.isnan(), parameters[name], values)
        return held

    def _factors(self, file: Path) -> np.ndarray | None:
        return self.converter.tensors(file).get("rope_freqs.weight")

    def _answers(self, file: Path, case: Case) -> Answers:
        gives_states = authors.family(case.configuration).gives_states

        def answer(engine: Engine) -> Answer:
            try:
                results = self.program.results(
                    engine, file, case.tokens, case.source, ["--embeddings"] if gives_states else [])
            except EngineRefused as refusal:
                return str(refusal)
            if gives_states:
                return np.concatenate([results["logits"], results["embeddings"]], axis=-1)
            return results["logits"] if "logits" in results else results["embeddings"]

        ours = answer(Engine.reference())
        if self.llama_cpp is None:
            return Answers(ours)
        return Answers(ours, answer(self.llama_cpp), lambda: self.program.is_noise(self.llama_cpp, file))

    def _judge(self, truth: np.ndarray, answers: Answers) -> Outcome:
        ours, llama_cpp, limit = answers.ours, answers.llama_cpp, self.llama_cpp_limit
        own = described("reference", ours, truth)
        worst = difference(ours, truth)
        is_right = worst <= LIMIT
        if llama_cpp is None:
            return Outcome(Verdict.AGREE, nmse=worst) if is_right else Outcome(Verdict.OURS, own)
        other = described("llama.cpp", llama_cpp, truth)
        is_other_right = difference(llama_cpp, truth) <= limit
        if is_right:
            if is_other_right or (not isinstance(llama_cpp, str) and answers.is_noise()):
                return Outcome(Verdict.AGREE, nmse=worst)
            return Outcome(Verdict.LLAMA_CPP, other, nmse=worst)
        if is_other_right:
            return Outcome(Verdict.OURS, own)
        if isinstance(ours, str):
            alike = isinstance(llama_cpp, str)
        else:
            alike = difference(llama_cpp, ours) <= limit
        return Outcome(Verdict.ALIKE if alike else Verdict.ALL, f"{own}; {other}")


@dataclass(frozen=True)
class Answers:
    """The engines' answers to one case."""

    ours: Answer
    llama_cpp: Answer | None = None
    """None where there is no llama.cpp."""
    is_noise: Callable[[], bool] = lambda: False
    """Whether correct arithmetic of llama.cpp's precision may differ from ours as much as it does."""


class Truth:
    """The authors' answers to one case, of the parameters that its file holds."""

    def __init__(self, case: Case, parameters: authors.Parameters, factors: np.ndarray | None) -> None:
        """- Parameter factors: of rotary frequencies, as the file holds them."""
        self.case = case
        self.parameters = parameters
        self.factors = factors

    def answer(self, configuration: Configuration, patches: Sequence[Known] = ()) -> tuple[np.ndarray, list[str]]:
        """Rows, and which of the patches changed the model.

        - Parameter configuration: the case's, or what is left of it.
        """
        family = authors.family(configuration)
        model = family.exact(configuration, self.parameters)
        with authors.float64():
            if self.factors is not None:
                authors.round_frequencies(model, self.factors)
            applied = [patch.what for patch in patches if patch.function(model, configuration)]
        return family.answer(model, configuration, self.case.tokens, self.case.source), applied


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


def difference(found: Answer, expected: np.ndarray) -> float:
    """The worst row's; without bound where there are no rows."""
    return np.inf if isinstance(found, str) else Difference.of(found, expected).nmse


def described(name: str, found: Answer, expected: np.ndarray) -> str:
    if isinstance(found, str):
        return f"{name}: {found}"
    if found.shape != expected.shape:
        return f"{name}: gives {found.shape[0]} × {found.shape[-1]}, not {expected.shape[0]} × {expected.shape[-1]}"
    return f"{name}: {Difference.of(found, expected)}"


def line(error: BaseException) -> str:
    """An exception as one line: its last."""
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *(text.strip() for text in lines[-1:])])
