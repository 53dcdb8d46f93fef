"""What a person sees: a line on the way, and at the end failures and one table."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from compare import Case, Outcome, Verdict
from strategies import Configuration

COLUMNS = (
    ("agree", (Verdict.AGREE,)),
    ("drops", (Verdict.DROPPED,)),
    ("refuses", (Verdict.REFUSED,)),
    ("HF alone", (Verdict.TRANSFORMERS, Verdict.ILLEGAL)),
    ("llama.cpp", (Verdict.LLAMA_CPP,)),
    ("ours", (Verdict.OURS,)),
    ("alike", (Verdict.ALIKE,)),
    ("all", (Verdict.ALL,)),
)
LEGEND = """\
agree: all answers are the same; drops, refuses: the converter leaves out or refuses what the configuration says
HF alone, llama.cpp, ours: the one that differs; alike: ours and llama.cpp differ from the authors in the same way
worst: the largest NMSE of a row, of the authors' code and ours, where they agree; n!: of which so many are not known"""


@dataclass(frozen=True)
class Failure:
    """A shrunk failure."""

    case: Case
    outcome: Outcome
    path: Path
    runs: int
    """How many configurations were run to shrink it."""


@dataclass
class Tally:
    """What has become of one architecture's cases."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def worst(self) -> float | None:
        return max((outcome.nmse for outcome in self.outcomes if outcome.nmse is not None), default=None)

    def row(self) -> list[str]:
        cells = [str(len(self.outcomes))]
        for _, verdicts in COLUMNS:
            found = [outcome for outcome in self.outcomes if outcome.verdict in verdicts]
            new = sum(outcome.is_failure for outcome in found)
            cells.append((str(len(found)) if found else "·") + (f" {new}!" if new else ""))
        return [*cells, "·" if self.worst is None else f"{self.worst:.1e}"]


class Tallies:
    """Those of all architectures."""

    def __init__(self) -> None:
        self.of: dict[str, Tally] = defaultdict(Tally)

    @property
    def cases(self) -> int:
        return sum(len(tally.outcomes) for tally in self.of.values())

    @property
    def failed(self) -> int:
        return sum(outcome.is_failure for tally in self.of.values() for outcome in tally.outcomes)

    def failures(self) -> list[Failure]:
        return [failure for tally in self.of.values() for failure in tally.failures]

    def known(self) -> Counter[str]:
        return Counter(
            f"{name}: {outcome.verdict.value}: {outcome.known}"
            for name, tally in self.of.items() for outcome in tally.outcomes if outcome.known)

    def table(self) -> str:
        rows = [["architecture", "cases", *(title for title, _ in COLUMNS), "worst"]]
        rows += [[name, *tally.row()] for name, tally in self.of.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.rjust(width) if column else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows)


def in_short(configuration: Configuration, simplest: Configuration) -> str:
    """What distinguishes a configuration from the simplest of its architecture."""
    values = simplest.values
    differing = [f"{name} {value}" for name, value in configuration.values.items() if values.get(name, ...) != value]
    for name, value in configuration.to_json().items():
        if name not in ("model_class", "values") and getattr(simplest, name) != value:
            differing.append(f"{name} {value}")
    return ", ".join([configuration.model_class, *differing])


class Progress:
    """A line on standard error: live on a terminal, every ten seconds elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.is_terminal = sys.stderr.isatty()
        self.start = time.monotonic()
        self.last = self.start

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def show(self, tallies: Tallies, doing: str) -> None:
        if not self.is_terminal and time.monotonic() - self.last < 10:
            return
        self.last = time.monotonic()
        text = f"{tallies.cases} of {self.total} cases, {tallies.failed} failed, {self.seconds:.0f} s: {doing}"
        print(f"\r\x1b[K{text[:100]}" if self.is_terminal else text, end="" if self.is_terminal else "\n",
              file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
