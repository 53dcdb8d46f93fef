"""Hypothesis, asked for one example of a number, and for the simplest that fails like it.

Case i of a seed is an example of its own seed: it does not depend on how many others are drawn.
"""

from __future__ import annotations

import hashlib
from typing import Callable

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.strategies import SearchStrategy, integers

from compare import Case, Outcome
from strategies import Configuration

SHRINKS = 100
"""Configurations that are run to find a simpler one."""


def number(*parts: object) -> int:
    """The same for the same parts, everywhere."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def explore(strategy: SearchStrategy[Configuration], start: int, test: Callable[[Configuration], None],
            shrinks: bool = False) -> None:
    """Runs a test on the simplest example and a random one; where one raises and `shrinks`, on simpler ones."""
    phases = [Phase.generate, Phase.shrink] if shrinks else [Phase.generate]
    options = settings(max_examples=2, database=None, deadline=None, phases=phases, report_multiple_bugs=False,
                       suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet, print_blob=False)

    # Hypothesis runs nothing twice, and would draw of the first choice never again what the simplest example had: so
    # the first choice is a number that says nothing.
    @options
    @seed(start)
    @given(integers(0, 2**60), strategy)
    def check(_: int, configuration: Configuration) -> None:
        test(configuration)

    check()


def drawn(strategy: SearchStrategy[Configuration], start: int) -> Configuration:
    """The random example of a start."""
    examples: list[Configuration] = []
    explore(strategy, start, examples.append)
    return examples[-1]


def simplest(strategy: SearchStrategy[Configuration]) -> Configuration:
    examples: list[Configuration] = []
    explore(strategy, 0, examples.append)
    return examples[0]


def case(architecture: str, strategy: SearchStrategy[Configuration], run: int, index: int) -> Case:
    """Case `index` of seed `run`."""
    start = number(architecture, run, index)
    return Case(architecture, drawn(strategy, start), start)


class Failing(Exception):
    """What Hypothesis shrinks."""


def shrunk(strategy: SearchStrategy[Configuration], failing: Case, outcome: Outcome,
           run: Callable[[Case], Outcome]) -> tuple[Case, Outcome, int]:
    """The simplest case with the same signature, its outcome, and how many were run.

    - Parameters:
      - failing: as `case` drew it.
      - run: judges a case.
    """
    outcomes = {failing.configuration.key(): outcome}
    best = failing

    def test(configuration: Configuration) -> None:
        nonlocal best
        key = configuration.key()
        candidate = Case(failing.architecture, configuration, failing.seed)
        if key not in outcomes:
            if len(outcomes) > SHRINKS:
                return
            outcomes[key] = run(candidate)
        if outcomes[key].signature == outcome.signature:
            best = candidate
            raise Failing

    try:
        explore(strategy, failing.seed, test, shrinks=True)
    except Failing:
        pass
    return best, outcomes[best.configuration.key()], len(outcomes)
