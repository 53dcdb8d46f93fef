#!/usr/bin/env python3
"""A worker that runs models by the code of their authors: `gguf-fuzz run --engine worker=Fuzz/transformers/worker.py`.

It runs itself again in the Python that `CI/python` makes once, with the packages of `requirements.txt`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CI = HERE.parent.parent / "CI"


def printed(*command: str | Path) -> str:
    """What a command prints; its errors go where ours go."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def enter_environment() -> None:
    """Does not return unless this process already is the environment's Python."""
    packages = (HERE / "requirements.txt").read_text().split()
    python = printed(CI / "python", *packages)
    # A virtual environment's program is a link: what tells it is the environment itself.
    if Path(sys.prefix) != Path(python).parent.parent:
        os.execv(python, [python, __file__, *sys.argv[1:]])


def main() -> None:
    """Frames go to standard output: what libraries print there must not get between them."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from authors_engine import AuthorsEngine
    from protocol import serve

    checkout = os.environ.get("LLAMA_SOURCE") or printed(CI / "llama-source")
    serve(AuthorsEngine(Path(checkout)), sys.stdin.buffer, answers)


if __name__ == "__main__":
    enter_environment()
    main()
