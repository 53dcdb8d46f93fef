"""Failing cases, kept as JSON that a person can read and that replays without the strategy that drew it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import strategies
from compare import Case, Outcome, Verdict


class BadCorpusFile(Exception):
    """What is wrong with it, in one line."""


def keep(folder: Path, case: Case, outcome: Outcome) -> Path:
    """Writes a case and its outcome into a folder; one of the same architecture and signature is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name(case, outcome)}.json"
    contents = {"verdict": outcome.verdict.value, "known": outcome.known, "what": outcome.what} | case.to_json()
    path.write_text(json.dumps({key: value for key, value in contents.items() if value != ""}, indent=2) + "\n")
    return path


def name(case: Case, outcome: Outcome) -> str:
    """Says what the case is of: of a long reason its end, where assertions say what failed."""
    verdict, known, reason = outcome.signature
    words = known.partition(":")[0] or reason[-48:]
    return re.sub(r"[^a-z0-9_]+", "-", f"{case.architecture} {verdict} {words}".lower()).strip("-")


def read(path: Path) -> tuple[Case, Verdict]:
    """A case, and the verdict that it once had.

    - Raises: BadCorpusFile.
    """
    try:
        fields = json.loads(path.read_text())
        if not isinstance(fields, dict):
            raise ValueError("no object")
        missing = [name for name in ("architecture", "verdict") if name not in fields]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        if fields["architecture"] not in strategies.load():
            raise ValueError(f"there is no architecture {fields['architecture']}")
        return Case.from_json(fields), Verdict(fields["verdict"])
    except OSError as error:
        raise BadCorpusFile(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadCorpusFile(f"{path}: is no case: {error}") from error


def files(path: Path) -> list[Path]:
    """A file, or those of a folder.

    - Raises: BadCorpusFile.
    """
    if path.is_dir():
        found = sorted(path.glob("*.json"))
        if not found:
            raise BadCorpusFile(f"{path}: has no corpus files")
        return found
    if not path.exists():
        raise BadCorpusFile(f"{path}: there is no such file or folder")
    return [path]
