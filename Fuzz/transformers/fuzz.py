#!/usr/bin/env python3
"""Holds gguf-fuzz's reference, and llama.cpp if it is given, to the authors' own code.

For each architecture, small random configurations of a transformers class are drawn, given random parameters, saved,
converted by llama.cpp's converter, and run: by transformers in float64, by gguf-fuzz's float64 reference, and by
llama.cpp. A configuration that fails is shrunk, kept in the corpus, and printed with the command that replays it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from usage import Broken, Usage

if TYPE_CHECKING:
    from compare import Case, Comparison, Verdict

HERE = Path(__file__).resolve().parent
USAGE = """\
CI/transformers [--arch A,B] [--examples N] [--seed N] [--llama PREFIX]
       CI/transformers --replay FILE|FOLDER [--llama PREFIX]
       CI/transformers --released [--arch A,B] [--llama PREFIX]
       CI/transformers --model FOLDER [--code FILE.py] [--tokens IDS | --prompt TEXT] [--llama PREFIX]"""
EXIT = """\
exit status: 0 nothing failed, 1 a property failed, 2 bad input or usage. What is known of the converter, of
transformers and of llama.cpp is counted and is no failure."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise Usage(message)


def arguments() -> argparse.Namespace:
    parser = Parser("CI/transformers", allow_abbrev=False, usage=USAGE, description=__doc__, epilog=EXIT,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", metavar="A,B", help="architectures (default: all that have a strategy)")
    parser.add_argument("--examples", type=int, default=8, metavar="N", help="cases of each (default: 8)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another one draws other cases (default: 1)")
    parser.add_argument("--llama", type=Path, metavar="PREFIX", help="also run this llama.cpp, with include and lib")
    parser.add_argument("--llama-limit", type=float, default=1e-6, metavar="NMSE",
                        help="what a row of it may differ by (default: 1e-06)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
                        help="processes; the result is the same (default: 2)")
    parser.add_argument("--corpus", type=Path, default=HERE / "corpus", metavar="FOLDER",
                        help="where failing cases are kept (default: Fuzz/transformers/corpus)")
    parser.add_argument("--keep-known", action="store_true", help="shrink and keep what is known, too")
    parser.add_argument("--replay", type=Path, metavar="FILE|FOLDER", help="run corpus files instead")
    parser.add_argument("--released", action="store_true",
                        help="run configurations of published models, their sizes divided, instead")
    parser.add_argument("--known", action="store_true", help="print all that is known to differ, and do nothing else")
    parser.add_argument("--draw", action="store_true", help="print the configurations that would run, a line each")
    own = parser.add_argument_group("a model of your own")
    own.add_argument("--model", type=Path, metavar="FOLDER", help="compare the model that save_pretrained wrote here")
    own.add_argument("--code", type=Path, metavar="FILE.py", help="its class, where transformers has none")
    own.add_argument("--tokens", metavar="IDS", help="token ids, separated by commas (default: 32 random ones)")
    own.add_argument("--prompt", metavar="TEXT", help="a text for its own tokenizer instead")
    parts = parser.add_argument_group("parts, which CI/transformers finds itself")
    parts.add_argument("--converter", type=Path, required=True, metavar="FOLDER", help="a llama.cpp checkout")
    parts.add_argument("--packages", type=Path, metavar="FOLDER", help="packages in which authors publish their code")
    parts.add_argument("--program", type=Path, required=True, metavar="FILE", help="gguf-fuzz")
    options = parser.parse_args()
    for name in ("examples", "jobs"):
        if getattr(options, name) < 1:
            raise Usage(f"--{name} {getattr(options, name)}: must be at least 1")
    if not options.llama_limit > 0:
        raise Usage(f"--llama-limit {options.llama_limit}: must be greater than 0")
    for name in ("code", "tokens", "prompt"):
        if getattr(options, name) is not None and options.model is None:
            raise Usage(f"--{name}: is of a model of your own: --model")
    if not options.program.is_file():
        raise Usage(f"--program {options.program}: there is no such file")
    if options.llama is not None and not (options.llama / "include" / "llama.h").is_file():
        raise Usage(f"--llama {options.llama}: is no llama.cpp: there is no include/llama.h")
    return options


def main() -> int:
    options = arguments()
    if options.packages is not None:
        sys.path.append(str(options.packages.resolve()))
    # What else is imported wants the package gguf, which must be the converter's own: not before it is there.
    from converter import Converter

    try:
        converter = Converter(options.converter)
    except FileNotFoundError as error:
        raise Usage(f"--converter {error}") from error
    from compare import Comparison
    from program import Engine, Program

    llama_cpp = None if options.llama is None else Engine.llama_cpp(options.llama.resolve())
    comparison = Comparison(converter, Program(options.program.resolve()), llama_cpp, options.llama_limit)
    if options.model is not None:
        import own_model

        return own_model.run(options, comparison)
    if options.replay is not None:
        return replay(options, comparison)
    if options.released:
        return run_released(options, comparison)
    return fuzz(options, comparison)


def chosen(options: argparse.Namespace) -> list[str]:
    """The architectures that are asked for."""
    import strategies

    known = strategies.load()
    if options.arch is None:
        return list(known)
    names = [name for name in options.arch.split(",") if name]
    for name in names:
        if name not in known:
            raise Usage(f"--arch {name}: there is no such architecture; there are {', '.join(sorted(known))}")
    return list(dict.fromkeys(names))


def fuzz(options: argparse.Namespace, comparison: Comparison) -> int:
    """Runs all cases of what was asked for."""
    names = chosen(options)
    if options.known:
        print_known(names)
        return 0
    import running

    if options.draw:
        running.print_cases(names, options)
        return 0
    return running.run(names, options, comparison)


def print_known(names: list[str]) -> None:
    """What the strategies declare, a line each."""
    from strategies import ANY, DROPS, LLAMA_CPP, PATCHES, REFUSES

    tables = (("converter drops", DROPS), ("converter refuses", REFUSES), ("transformers differs", PATCHES),
              ("llama.cpp differs", LLAMA_CPP))
    for name in [*names, ANY]:
        for title, table in tables:
            for known in table[name]:
                print(f"{'all' if name == ANY else name}: {title}: {known.what}")


def replay(options: argparse.Namespace, comparison: Comparison) -> int:
    """Runs corpus files, a line each."""
    import corpus
    import strategies

    strategies.load()
    failed = 0
    try:
        for path in corpus.files(options.replay):
            case, former = corpus.read(path)
            failed += judge(case, path.name, comparison, former)
    except corpus.BadCorpusFile as error:
        raise Usage(str(error)) from error
    return 1 if failed else 0


def run_released(options: argparse.Namespace, comparison: Comparison) -> int:
    """Runs toys of published models, a line each."""
    import released

    names = chosen(options)
    cases = [(model, case) for model, case in released.cases() if case.architecture in names]
    failed = sum(judge(case, f"{case.architecture} {model}", comparison) for model, case in cases)
    print(f"{len(cases)} published models, {failed} failed")
    return 1 if failed else 0


def judge(case: Case, name: str, comparison: Comparison, former: Verdict | None = None) -> bool:
    """Whether a case fails; prints what came of it.

    - Parameter former: what came of it before.
    """
    outcome = comparison(case)
    state = "FAILS" if outcome.is_failure else "known" if outcome.known else "passes"
    was = "" if former in (None, outcome.verdict) else f", was: {former.value}"
    print(f"{state}  {name}: {outcome.verdict.value}{was}: {outcome.known or outcome.what}".rstrip(": "), flush=True)
    return outcome.is_failure


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Usage, Broken) as error:
        print(f"CI/transformers: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
