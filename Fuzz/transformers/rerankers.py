"""Qwen3's rerankers: the model says yes or no of a query and a document, and the score is how sure it is.

Source: the model card of Qwen3-Reranker, which takes the softmax of the last token's logits of these two words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import numpy as np
import torch

import authors
import toy_tokenizers
from strategies import Configuration

RERANKER = "qwen3-reranker"


class Reranker(authors.Transformers):
    """A causal model like any other, which only its model card tells apart."""

    def save(self, model: torch.nn.Module, configuration: Configuration, folder: Path) -> None:
        super().save(model, configuration, folder)
        (folder / "README.md").write_text("# Qwen3-Reranker\n")

    def answer(self, model: torch.nn.Module, configuration: Configuration,
               tokens: Sequence[int], source: Sequence[int]) -> np.ndarray:
        with authors.float64():
            logits = authors.rows_of(model, tokens)[-1:]
            return logits[:, [toy_tokenizers.YES, toy_tokenizers.NO]].softmax(-1).numpy().copy()


authors.FAMILIES[RERANKER] = Reranker()
