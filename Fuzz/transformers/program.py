"""The program gguf-fuzz, asked for what engines make of a file."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np
from gguf import GGUFReader

TIME_LIMIT = 120
"""Seconds that one file may take."""


class EngineRefused(Exception):
    """An engine gave no results; this is the line that says why."""


@dataclass(frozen=True)
class Engine:
    """An engine and its device, as the options of `results write` name them."""

    name: str
    options: tuple[str, ...]

    @staticmethod
    def reference() -> Engine:
        return Engine("reference", ("--device", "reference"))

    @staticmethod
    def llama_cpp(prefix: Path) -> Engine:
        """float32 throughout: keys and values too, and no flash attention."""
        return Engine("llama.cpp", ("--engine", f"llama={prefix}", "--cache", "f32", "--flash-attention", "off"))


@dataclass(frozen=True)
class Program:
    """The program at a path."""

    path: Path

    def results(self, engine: Engine, model: Path, tokens: Sequence[int], source: Sequence[int] = (),
                more: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """The tensors of a results file: `logits` or `embeddings`, a row for each token.

        - Raises: EngineRefused.
        """
        output = results_of(engine, model)
        output.unlink(missing_ok=True)
        command = ["write", "--model", str(model), "--output", str(output), "--no-hash", f"--tokens={listed(tokens)}",
                   *engine.options, *more]
        if source:
            command += ["--encoder-tokens", listed(source)]
        run = self._run(command)
        if run.returncode != 0:
            lines = (run.stderr + run.stdout).strip().splitlines() or [f"ended with status {run.returncode}"]
            # Folders, of models and of llama.cpp's build, say nothing elsewhere.
            raise EngineRefused(re.sub(r"/\S+/", "", lines[-1]))
        return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(output).tensors}

    def is_noise(self, engine: Engine, model: Path) -> bool:
        """Whether correct arithmetic of the engine's precision may differ as much as it does from the results that
        the reference gave for this model: its roundings at random, and ties of experts."""
        reference = results_of(Engine.reference(), model)
        command = ["check", "--model", str(model), "--input", str(reference), "--no-hash", "--noise-floor"]
        try:
            return self._run([*command, *engine.options]).returncode == 0
        except EngineRefused:
            return False

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """- Raises: EngineRefused where it takes too long."""
        try:
            return subprocess.run(
                [str(self.path), "results", *command], capture_output=True, text=True, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            raise EngineRefused(f"gave no results within {TIME_LIMIT} seconds") from None


def results_of(engine: Engine, model: Path) -> Path:
    """Where the results of an engine are kept."""
    return model.with_suffix(f".{engine.name}.results.gguf")


def listed(tokens: Sequence[int]) -> str:
    return ",".join(map(str, tokens))
