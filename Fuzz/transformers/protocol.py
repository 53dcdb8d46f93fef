"""The worker protocol of gguf-fuzz, `Documentation/GGUFFuzz.docc/WorkerProtocol.md`: frames, payloads, and the loop
around them.

Nothing here knows what computes: `serve` takes any `Engine`, and this file is all of the protocol that an engine
written in Python needs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy

Value = TypeVar("Value")
SEQUENCES = 32


class Unsupported(Exception):
    """What the engine cannot do by design: no failure."""


class Refused(Exception):
    """Why metadata and tensors make no model."""


# --- What is asked for


@dataclass(frozen=True)
class Token:
    id: int
    position: int
    sequences: tuple[int, ...]
    wants_output: bool


@dataclass(frozen=True)
class Encode:
    batch: list[Token]


@dataclass(frozen=True)
class Process:
    batch: list[Token]


@dataclass(frozen=True)
class Remove:
    sequence: int
    start: int
    end: int | None


@dataclass(frozen=True)
class Keep:
    sequence: int


@dataclass(frozen=True)
class Copy:
    source: int
    destination: int


@dataclass(frozen=True)
class Shift:
    sequence: int
    start: int
    by: int


@dataclass(frozen=True)
class Save:
    sequence: int | None


@dataclass(frozen=True)
class Restore:
    sequence: int | None


@dataclass(frozen=True)
class Clear:
    pass


Step = Encode | Process | Remove | Keep | Copy | Shift | Save | Restore | Clear


@dataclass(frozen=True)
class Script:
    """What a session is taken through; of placements, an engine with one device needs none."""

    context: int
    cache_type: str
    steps: list[Step]


# --- What is given


@dataclass(frozen=True)
class Rows:
    """Logits, or embeddings, of the tokens or pooled sequences `keys`, which ascend: an array `[keys, width]`."""

    keys: list[int]
    values: numpy.ndarray
    are_embeddings: bool = False


class Model(Protocol):
    def run(self, script: Script, begin: Callable[[int], None]) -> list[Rows | None]:
        """Says `begin(i)` before step i, and gives what each step gave: rows, or nothing."""


class Engine(Protocol):
    def describe(self) -> dict[str, Any]:
        """See *Describe*."""

    def load(self, path: str) -> Model:
        """- Raises: Refused, Unsupported."""


# --- Payloads


class Payload:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def integer(self) -> int:
        return self._unpack("<q")

    def boolean(self) -> bool:
        return self._unpack("<?")

    def string(self) -> str:
        count = self.integer()
        self.offset += count
        return self.data[self.offset - count:self.offset].decode()

    def many(self, read: Callable[[], Value]) -> list[Value]:
        return [read() for _ in range(self.integer())]

    def optional(self, read: Callable[[], Value]) -> Value | None:
        return read() if self.boolean() else None

    def batch(self) -> list[Token]:
        return self.many(self._token)

    def _token(self) -> Token:
        token = Token(self.integer(), self.integer(), self._sequences(), self.boolean())
        if self.integer() != 0:
            raise Unsupported("questions that are decided on")
        return token

    def step(self) -> Step:
        name = self.string()
        integer, optional = self.integer, self.optional
        match name:
            case "encode": return Encode(self.batch())
            case "process": return Process(self.batch())
            case "remove":
                if (sequence := optional(integer)) is None:
                    raise Unsupported("a removal from all sequences")
                return Remove(sequence, integer(), optional(integer))
            case "keep": return Keep(integer())
            case "copy":
                copy = Copy(integer(), integer())
                if integer() != 0 or optional(integer) is not None:
                    raise Unsupported("a copy of a part")
                return copy
            case "shift":
                sequence, start, end, delta = integer(), integer(), optional(integer), integer()
                if end is not None:
                    raise Unsupported("a shift of a part in the middle")
                return Shift(sequence, start, delta)
            case "divide": raise Unsupported("positions that are divided")
            case "save": return Save(optional(integer))
            case "restore": return Restore(optional(integer))
            case "clear": return Clear()
        raise Unsupported(f"step {name}")

    def script(self) -> Script:
        self._placement()
        context, _sequences, _micro_batch = self.integer(), self.integer(), self.integer()
        cache_type = self.string()
        for setting, _ in self.many(lambda: (self.string(), self.string())):
            raise Unsupported(f"the setting {setting}")
        if self.boolean():
            raise Unsupported("rounding")
        if self.boolean():
            raise Unsupported("decisions")
        return Script(context, cache_type, self.many(self.step))

    def _placement(self) -> None:
        self.string()
        self.many(lambda: (self.integer(), self.optional(self.integer), self.string()))
        self.many(lambda: (self.string(), self.string()))
        if split := self.optional(self.string):
            raise Unsupported(f"a model split by {split}")

    def _sequences(self) -> tuple[int, ...]:
        bits = self.integer()
        return tuple(sequence for sequence in range(SEQUENCES) if bits >> sequence & 1)

    def _unpack(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.data, self.offset)
        self.offset += struct.calcsize(form)
        return value


def integers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def string(text: str) -> bytes:
    data = text.encode()
    return integers(len(data)) + data


def transcript(results: list[Rows | None]) -> bytes:
    """All steps done, nothing ran elsewhere than placed, no decisions."""
    no, yes = b"\0", b"\1"
    parts = [no, integers(len(results))]
    for rows in results:
        parts.append(yes)
        logits, embeddings = no, no
        if rows is not None:
            held = yes + integers(len(rows.keys), *rows.keys, rows.values.shape[1])
            held += rows.values.astype("<f8").tobytes()
            logits, embeddings = (no, held) if rows.are_embeddings else (held, no)
        parts += [logits, embeddings, no]
    return b"".join([*parts, integers(0), integers(0)])


# --- The loop


def serve(engine: Engine, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    model: Model | None = None

    def send(kind: bytes, payload: bytes = b"") -> None:
        answers.write(kind + integers(len(payload)) + payload)
        answers.flush()

    def answer(kind: bytes, payload: Payload) -> bytes:
        nonlocal model
        match kind:
            case b"d":
                return json.dumps(engine.describe()).encode()
            case b"l":
                model = None
                model = engine.load(payload.string())
                return b""
            case b"r" if model is not None:
                return transcript(model.run(payload.script(), lambda step: send(b"B", integers(step))))
            case b"s":
                raise Unsupported("saving a model")
        raise ValueError(f"no such request now: {kind!r}")

    while header := requests.read(9):
        (length,) = struct.unpack_from("<q", header, 1)
        payload = Payload(requests.read(length))
        try:
            send(b"A", answer(header[:1], payload))
        except Unsupported as reason:
            send(b"U", string(str(reason)))
        except Refused as reason:
            send(b"R", string(str(reason)))
        except Exception as error:
            send(b"E", string(f"{type(error).__name__}: {error}"))
