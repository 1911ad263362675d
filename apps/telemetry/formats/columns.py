"""What a parser is given and what it hands on."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Smalls = NDArray[np.int8]

MISSING = np.iinfo(np.int64).min
"""Stands for "not known" in an integer column of `Columns`."""

MAX_LINE = 1 << 20
"""A longer line is rejected: no access log has one, and a parser's memory must be bounded."""


@dataclass(frozen=True)
class Sample:
    """One rejected line: its number in the input (from 1), why, and how it begins."""

    line: int
    reason: str
    excerpt: str

    def as_json(self) -> dict[str, object]:
        return {"line": self.line, "reason": self.reason, "excerpt": self.excerpt}


@dataclass
class Rejects:
    """The lines that could not be used: all are counted, the first few kept as samples."""

    keep: int = 5
    counts: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, reason: str, line: int, text: bytes | str) -> None:
        """Count one line; keep it as a sample if it is one of the earliest."""
        self.counts[reason] += 1
        if len(self.samples) < self.keep or line < self.samples[-1].line:
            self.samples.append(Sample(line, reason, excerpt(text)))
            self.samples.sort(key=lambda sample: sample.line)
            del self.samples[self.keep :]

    def add_many(
        self, reason: str, lines: Iterable[int], text_of: Callable[[int], bytes], *, count: int
    ) -> None:
        """Count `count` lines; look at the first few for samples."""
        if not count:
            return
        self.counts[reason] += count
        for line, _ in zip(lines, range(self.keep), strict=False):
            self.samples.append(Sample(int(line), reason, excerpt(text_of(int(line)))))
        self.samples.sort(key=lambda sample: sample.line)
        del self.samples[self.keep :]

    def merge(self, other: "Rejects") -> None:
        """Take over what another one counted."""
        self.counts.update(other.counts)
        self.samples = sorted(self.samples + other.samples, key=lambda sample: sample.line)
        del self.samples[self.keep :]


def excerpt(text: bytes | str, limit: int = 120) -> str:
    """Return the beginning of a line, safe to print and to store: one line, no control characters."""
    if isinstance(text, bytes):
        text = text[: limit * 4].decode("utf-8", "backslashreplace")
    text = text.rstrip("\r\n")
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:limit]
    )
    shown = shown.encode("utf-8", "backslashreplace").decode()
    return shown + ("…" if len(text) > limit else "")


@dataclass
class Block:
    """Whole lines of an input, at most a few megabytes."""

    data: bytes
    first_line: int = 1  # number of its first line in the input

    @cached_property
    def split(self) -> list[bytes]:
        lines = self.data.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        return lines

    @cached_property
    def line_count(self) -> int:
        """Number of lines, blank ones included."""
        count = int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == 10))
        return count + (1 if self.data and not self.data.endswith(b"\n") else 0)

    def line(self, number: int) -> bytes:
        """Return the line with this number in the input."""
        index = number - self.first_line
        return self.split[index] if 0 <= index < len(self.split) else b""


@dataclass
class Columns:
    """Parsed requests by column, all of equal length.

    `text` holds string columns under the names of `fields.FIELDS`; "" and "-" in them mean not given.
    """

    lines: Ints  # line number in the input
    ts: Ints  # start, epoch ms
    latency_ms: Floats  # NaN = not known
    status: Ints  # MISSING = not known
    declared: Smalls  # Outcome that the sender declares, -1 = none
    arrived: Ints  # epoch ms, MISSING = not known
    text: dict[str, pa.Array]

    def __len__(self) -> int:
        return len(self.ts)

    def keep(self, mask: NDArray[np.bool_]) -> "Columns":
        """Return only the rows where `mask` is true."""
        chosen = pa.array(mask)
        return Columns(
            self.lines[mask],
            self.ts[mask],
            self.latency_ms[mask],
            self.status[mask],
            self.declared[mask],
            self.arrived[mask],
            {name: column.filter(chosen) for name, column in self.text.items()},
        )
