"""What drafts are given of the models whose tokens they draft: random numbers that gguf-fuzz draws of a token's number.

They are those of `Batch.Token` in Sources/Inference/Session, drawn as `WeightGenerator` beside it says, of a normal
distribution of mean 0 and deviation 1.
"""

from __future__ import annotations

import numpy as np
import torch

STEP = 0x9E3779B97F4A7C15
"""Between the counters of two elements."""
SCALE = 110 * 2.0**-22
"""Of one deviation: `step(1)`."""


def embeddings(numbers: list[int], width: int) -> torch.Tensor:
    """What a target made of the tokens of these numbers, which are below 0 in scripts: `[1, numbers, width]`."""
    return rows("embeddings", numbers, width)


def states(tokens: list[int], width: int) -> torch.Tensor:
    """What is given beside tokens: `[1, tokens, width]`."""
    return rows("states", tokens, width)


def rows(name: str, seeds: list[int], width: int) -> torch.Tensor:
    elements = [normal(seed, name, width) for seed in seeds]
    return torch.from_numpy(np.stack(elements) if elements else np.zeros((0, width)))[None]


def normal(seed: int, name: str, count: int) -> np.ndarray:
    """Float32 elements, as float64."""
    counters = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(STEP) + np.uint64(key(seed, name))
    bits = mixed(counters)
    fields = sum((bits >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
    return ((fields.astype(np.float64) - 131070) * SCALE).astype(np.float32).astype(np.float64)


def key(seed: int, name: str) -> int:
    digest = 0xCBF29CE484222325
    for byte in name.encode():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return int(mixed(np.uint64([seed]) ^ mixed(np.uint64([digest])))[0])


def mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
