"""Sessions without caches: what each sequence holds is kept, and run from its beginning whenever an output is wanted.

That is what caches, batches, copies and restored states are there to spare, so that it says what they must give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy

from protocol import (
    Clear, Copy, Encode, Keep, Process, Remove, Restore, Rows, Save, Shift, Step, Token, Unsupported,
)

Source = tuple[int, ...]
"""The tokens of a sequence's encoder."""


class Authors(Protocol):
    """The authors' model: for some tokens and their positions, a row each."""

    is_bidirectional: bool
    depends_on_differences: bool

    def logits(self, ids: Sequence[int], positions: Sequence[int], source: Source) -> numpy.ndarray: ...

    def encoded(self, ids: Source) -> numpy.ndarray: ...

    def embeddings(self, ids: Sequence[int], positions: Sequence[int]) -> numpy.ndarray: ...

    def pooled(self, rows: numpy.ndarray) -> numpy.ndarray | None:
        """The one row that a sequence's rows become; None where each token has its own."""


@dataclass(frozen=True)
class Held:
    id: int
    position: int
    source: Source


@dataclass(frozen=True)
class History:
    """What one sequence holds."""

    tokens: tuple[Held, ...] = ()
    is_reproducible: bool = True
    """Whether each token was computed seeing just those that are before it now, where they are now."""

    def add(self, token: Held) -> History:
        return replace(self, tokens=(*self.tokens, token))

    def remove(self, start: int, end: int | None) -> History:
        """What is left has seen what is gone, unless that came later."""
        kept = [not (token.position >= start and (end is None or token.position < end)) for token in self.tokens]
        is_tail = all(kept[:sum(kept)])
        tokens = tuple(token for token, is_kept in zip(self.tokens, kept) if is_kept)
        return History(tokens, not tokens or self.is_reproducible and is_tail)

    def shift(self, start: int, by: int) -> History:
        """Only a whole sequence stays what it was."""
        tokens = tuple(
            replace(token, position=token.position + by) if token.position >= start else token
            for token in self.tokens)
        is_whole = all(token.position >= start for token in self.tokens)
        return History(tokens, self.is_reproducible and is_whole)


class Session:
    def __init__(self, authors: Authors) -> None:
        self.authors = authors
        self.histories: defaultdict[int, History] = defaultdict(History)
        self.sources: dict[int, Source] = {}
        self.saved: dict[int, History] | History = {}

    def perform(self, step: Step) -> Rows | None:
        """What the step gives."""
        histories = self.histories
        match step:
            case Encode(batch):
                return self._encode(batch)
            case Process(batch):
                return self._process_apart(batch) if self.authors.is_bidirectional else self._process(batch)
            case Remove(sequence, start, end):
                histories[sequence] = histories[sequence].remove(start, end)
            case Keep(sequence):
                self.histories = defaultdict(History, {sequence: histories[sequence]})
            case Copy(source, destination):
                histories[destination] = histories[source]
            case Shift(sequence, start, by):
                if not self.authors.depends_on_differences:
                    raise Unsupported("a shift of absolute positions")
                histories[sequence] = histories[sequence].shift(start, by)
            case Save(None):
                self.saved = dict(histories)
            case Save(sequence):
                self.saved = histories[sequence]
            case Restore(None):
                self.histories = defaultdict(History, self.saved)
            case Restore(sequence):
                histories[sequence] = self.saved
            case Clear():
                histories.clear()
        return None

    def _process(self, batch: list[Token]) -> Rows | None:
        """Of tokens that see what their sequences hold."""
        places: list[tuple[int, int]] = []
        for token in batch:
            for sequence in token.sequences:
                held = Held(token.id, token.position, self.sources.get(sequence, ()))
                self.histories[sequence] = self.histories[sequence].add(held)
            places.append((token.sequences[0], len(self.histories[token.sequences[0]].tokens) - 1))
        wanted = {key: place for key, (token, place) in enumerate(zip(batch, places)) if token.wants_output}
        logits = {sequence: self._logits(self.histories[sequence]) for sequence, _ in wanted.values()}
        return rows({key: logits[sequence][index] for key, (sequence, index) in wanted.items()})

    def _logits(self, history: History) -> numpy.ndarray:
        positions = [token.position for token in history.tokens]
        sources = {token.source for token in history.tokens}
        if not history.is_reproducible or positions != sorted(set(positions)):
            raise Unsupported("going on where something in the middle was taken out or moved")
        if len(sources) > 1:
            raise Unsupported("a sequence of several sources")
        return self.authors.logits([token.id for token in history.tokens], positions, sources.pop())

    def _process_apart(self, batch: list[Token]) -> Rows | None:
        """Of tokens that see all of their sequence in the batch, and nothing else."""
        given: dict[int, numpy.ndarray] = {}
        for sequence in sorted({sequence for token in batch for sequence in token.sequences}):
            members = [key for key, token in enumerate(batch) if sequence in token.sequences]
            ids, positions = zip(*((batch[key].id, batch[key].position) for key in members))
            values = self.authors.embeddings(ids, positions)
            pooled = self.authors.pooled(values)
            if pooled is not None:
                given[sequence] = pooled
            else:
                given |= {key: row for key, row in zip(members, values) if batch[key].wants_output}
        return rows(given, are_embeddings=True)

    def _encode(self, batch: list[Token]) -> Rows | None:
        """Of tokens that see all that have the same sequences."""
        given: dict[int, numpy.ndarray] = {}
        self.sources = {}
        for sequences in {token.sequences for token in batch}:
            members = [key for key, token in enumerate(batch) if token.sequences == sequences]
            source = tuple(batch[key].id for key in members)
            given |= dict(zip(members, self.authors.encoded(source)))
            self.sources |= dict.fromkeys(sequences, source)
        return rows(given, are_embeddings=True)


def rows(given: dict[int, numpy.ndarray], are_embeddings: bool = False) -> Rows | None:
    """- Returns: None of none."""
    if not given:
        return None
    keys = sorted(given)
    return Rows(keys, numpy.stack([given[key] for key in keys]), are_embeddings)
