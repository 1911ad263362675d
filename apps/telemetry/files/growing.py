"""An input that grows while it is read: a log that somebody writes, or a pipe."""

import os
import select
from dataclasses import dataclass
from typing import Any

from apps.telemetry import queries
from apps.telemetry.files.reading import Reading
from apps.telemetry.files.report import Report
from apps.telemetry.formats.columns import Rejects
from apps.telemetry.models import Batch
from apps.telemetry.sources import Damage, UnreadableInput

PIECE = 1 << 20
TAIL = 256  # bytes before our place that tell whether the file is still the one that we read
LOOK = 64 * 1024  # bytes whose times are compared with those of a stored chunk


class Growing:
    """An open file or pipe, from its beginning to where it ends for now."""

    def __init__(self, fd: int, name: str, *, pipe: bool = False) -> None:
        self.fd = fd
        self.name = name
        self.pipe = pipe
        self.damage = Damage()
        self.done = 0
        self.closed = False  # nothing more will ever come
        self.since: list[bytes] = []  # what was read since `mark`
        self._before = b""  # the last bytes read

    def read(self, most: int) -> bytes:
        """Return up to `most` bytes; fewer where there are no more for now."""
        pieces: list[bytes] = []
        size = 0
        while size < most and not self.closed:
            if self.pipe and not select.select([self.fd], [], [], 0)[0]:
                break
            try:
                piece = os.read(self.fd, min(most - size, PIECE))
            except OSError as error:
                raise UnreadableInput(f"{self.name}: {error.strerror or error}") from error
            if not piece:
                self.closed = self.pipe
                break
            pieces.append(piece)
            size += len(piece)
        if not size:
            return b""
        self.done += size
        self.since += pieces
        self._before = (self._before + pieces[-1])[-TAIL:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def mark(self) -> None:
        """Forget what was read until now."""
        self.since = []

    def replaced(self) -> bool:
        """Whether the file was cut and begun anew since we read it (copytruncate)."""
        if self.pipe:
            return False
        if os.fstat(self.fd).st_size < self.done:
            return True
        at = self.done - len(self._before)
        return os.pread(self.fd, len(self._before), at) != self._before

    def close(self) -> None:
        """Let go of it."""
        if self.fd > 2:
            os.close(self.fd)


@dataclass(frozen=True)
class Place:
    """Where a reading stood."""

    kept: dict[str, Any]


class GrowingReading(Reading):
    """A reading whose last line waits until it is whole, and which can be put back to where it was."""

    _source: Growing

    def __init__(self, source: Growing, report: Report) -> None:
        super().__init__(source, report, lambda _: None)
        self.final = False  # nothing follows: the last line is taken when it is whole

    def more(self, most: int) -> bool:
        """Read on, up to so many bytes in the buffer; return whether a whole line waits."""
        self._ended = False
        self.fill(most)
        return b"\n" in self._buffer or len(self._buffer) >= most or (self.final and self.waiting)

    @property
    def waiting(self) -> bool:
        """Whether anything was read and not stored."""
        return bool(self._buffer)

    def drop(self) -> None:
        """Let go of what waits."""
        self._buffer = b""

    def place(self) -> Place:
        """Remember this place."""
        self._source.mark()
        return Place(self.__dict__ | {"hash": self.hash.copy()})

    def back_to(self, place: Place) -> None:
        """Go back to a place: what was read since then waits again."""
        final = self.final
        self.__dict__.update(place.kept)
        self.hash = place.kept["hash"].copy()
        self.final = final
        self._buffer += b"".join(self._source.since)
        self._source.mark()

    def longer(self, now_ms: int) -> bool:
        """Whether what waits may be the beginning of a stored chunk that is longer: a copy in the making."""
        chunks = [
            one
            for one in queries.stored_chunks(self.hash.hexdigest())
            if one.length > len(self._buffer)
        ]
        if not chunks:
            return False
        end = self._buffer.rfind(b"\n", 0, LOOK) + 1
        found = self.parser.parse(
            self.numbered(self._buffer[:end]), rejects=Rejects(), now_ms=now_ms
        )
        first = min((int(one.ts.min()) for one in found if len(one)), default=None)
        last = max((int(one.ts.max()) for one in found if len(one)), default=None)
        return any(_may_hold(one, first, last) for one in chunks)

    def _complete(self, line: bytes, before: bytes) -> bool:
        return self.final and super()._complete(line, before)


def _may_hold(chunk: Batch, first: int | None, last: int | None) -> bool:
    """Whether requests from `first` to `last` (epoch ms, None = there are none) may be of a stored chunk."""
    if "first_ms" not in chunk.tally:  # from before it was kept
        return True
    begins, ends = chunk.tally["first_ms"], chunk.tally["last_ms"]
    if begins is None or first is None or last is None:
        return first is None
    return bool(begins <= first and last <= ends)
