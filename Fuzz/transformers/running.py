"""All cases of some architectures, in several processes: what comes of them is the same however many there are."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import queue
import signal
import tempfile
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Iterator

import corpus
import drawing
from compare import Comparison, Outcome
from report import LEGEND, Failure, Progress, Tallies, in_short
from strategies import STRATEGIES
from usage import Broken

Event = Outcome | Failure | Exception | str
"""What a process tells of an architecture; a text says what it is doing."""


def print_cases(names: list[str], options: argparse.Namespace) -> None:
    """Prints the cases as JSON, a line each."""
    for name in names:
        for index in range(options.examples):
            print(json.dumps(drawing.case(name, STRATEGIES[name], options.seed, index).to_json()))


def run(names: list[str], options: argparse.Namespace, comparison: Comparison) -> int:
    """Prints failures and a table, of what there is where it is interrupted; the exit status."""
    tallies = Tallies()
    progress = Progress(len(names) * options.examples)
    was_interrupted = False
    with tempfile.TemporaryDirectory(prefix="gguf-fuzz-") as folder:
        # Whatever happens to the processes, their files are below this folder, which goes.
        tempfile.tempdir = folder
        context = multiprocessing.get_context("fork")
        waiting, events = context.Queue(), context.Queue()
        jobs = min(options.jobs, len(names))
        for name in [*names, *[None] * jobs]:
            waiting.put(name)
        workers = [context.Process(target=work, args=(options, comparison, waiting, events), daemon=True)
                   for _ in range(jobs)]
        for worker in workers:
            worker.start()
        try:
            collect(workers, events, tallies, progress)
        except KeyboardInterrupt:
            was_interrupted = True
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()
            tempfile.tempdir = None
    progress.clear()
    tallies.of = {name: tallies.of[name] for name in names if name in tallies.of}
    conclude(tallies, progress.seconds, options.seed)
    if was_interrupted:
        return 130
    return 1 if tallies.failed else 0


def work(options: argparse.Namespace, comparison: Comparison, waiting: Queue, events: Queue) -> None:
    """One process: takes architectures, and tells what comes of them until none is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in iter(waiting.get, None):
        try:
            for event in examine(name, options, comparison):
                events.put((name, event))
        except Exception as error:
            events.put((name, error))
            return
    events.put(None)


def examine(name: str, options: argparse.Namespace, comparison: Comparison) -> Iterator[Event]:
    """The outcomes of one architecture's cases, and then its failures, shrunk and kept."""
    strategy = STRATEGIES[name]
    failing = {}
    for index in range(options.examples):
        case = drawing.case(name, strategy, options.seed, index)
        outcome = comparison(case)
        yield outcome
        # Of two known things in one case each is also met alone.
        is_kept = options.keep_known and outcome.known and ";" not in outcome.known
        if outcome.is_failure or is_kept:
            failing.setdefault(outcome.signature, (case, outcome))
    for case, outcome in failing.values():
        yield f"shrinking: {outcome.verdict.value}"
        smallest, why, runs = drawing.shrunk(strategy, case, outcome, comparison)
        path = corpus.keep(options.corpus, smallest, why)
        if outcome.is_failure:
            yield Failure(smallest, why, path, runs)


def collect(workers: list[Process], events: Queue, tallies: Tallies, progress: Progress) -> None:
    """Listens to the processes until all are through.

    - Raises: Broken where one cannot go on.
    """
    running, doing = len(workers), ""
    while running:
        progress.show(tallies, doing)
        try:
            event = events.get(timeout=1)
        except queue.Empty:
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise Broken("a process ended before its cases did") from None
            continue
        if event is None:
            running -= 1
            continue
        name, what = event
        doing = name
        match what:
            case Outcome():
                tallies.of[name].outcomes.append(what)
            case Failure():
                tallies.of[name].failures.append(what)
            case str():
                doing = f"{name}, {what}"
            case Exception():
                raise Broken(f"{name}: {type(what).__name__}: {what}")


def conclude(tallies: Tallies, seconds: float, seed: int) -> None:
    """Prints failures, what is known, and the table."""
    for index, failure in enumerate(tallies.failures(), 1):
        case, outcome = failure.case, failure.outcome
        print(f"{index}. {case.architecture}: {outcome.verdict.value}")
        print(f"   {outcome.what}")
        print(f"   {in_short(case.configuration, drawing.simplest(STRATEGIES[case.architecture]))}")
        seen = sum(other.signature == outcome.signature for other in tallies.of[case.architecture].outcomes)
        print(f"   seen in {seen} cases of seed {seed}, shrunk in {failure.runs} runs")
        print(f"   CI/transformers --replay {relative(failure.path)}\n")
    for what, count in sorted(tallies.known().items()):
        print(f"known: {what} ({count})")
    if tallies.known():
        print()
    print(tallies.table())
    print(LEGEND)
    print(f"\n{tallies.cases} cases of seed {seed}, {tallies.failed} failed, {seconds:.0f} s")


def relative(path: Path) -> Path:
    """As one would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
