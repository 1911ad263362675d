"""The bytes of an input: cut at line ends, counted, hashed, and skipped where they are stored already."""

import hashlib

import numpy as np

from apps.telemetry import queries
from apps.telemetry.files.report import Progress, Report
from apps.telemetry.formats import detect
from apps.telemetry.formats.columns import Block, excerpt
from apps.telemetry.sources import Input

BLOCK = 4 << 20  # bytes parsed at once: small enough to stay in the processor's cache
HEAD = 1 << 20  # bytes looked at to find the format


class Reading:
    """How far one input is read: what is buffered, and the running hash of what is behind."""

    parser: detect.Parser  # known once the head was looked at

    def __init__(self, source: Input, report: Report, progress: Progress) -> None:
        self._source = source
        self._report = report
        self._progress = progress
        self._buffer = b""
        self._ended = False
        self.passed = 0  # bytes behind us
        self._line = 1  # number of the next line
        self._inside_line = False  # the last chunk ended in the middle of an endless line
        self._last_line = b""
        seed = f"portal log of {report.service}\n"
        self.hash = hashlib.sha256(seed.encode())

    def head(self) -> bytes:
        """Return the first lines, which stay to be read."""
        self.fill(HEAD)
        cut = self._buffer.rfind(b"\n", 0, HEAD) + 1
        return self._buffer[: cut or HEAD]

    def fill(self, size: int) -> None:
        """Have so many bytes in the buffer, or all that are left."""
        if len(self._buffer) < size and not self._ended:
            more = self._source.read(size - len(self._buffer))
            self._buffer = self._buffer + more if self._buffer else more
            self._ended = len(self._buffer) < size
            self._report.done = self._source.done

    def skip_stored(self) -> bool:
        """Skip the stored chunk that begins here, if what follows is that chunk."""
        before = self.hash.hexdigest()
        for batch in queries.stored_chunks(before):
            self.fill(batch.length)
            if len(self._buffer) < batch.length:
                continue
            ahead = self.hash.copy()
            data = self._buffer[: batch.length]
            ahead.update(data)
            if ahead.hexdigest() == batch.chain_after:
                self.hash = ahead
                self._buffer = self._buffer[batch.length :]
                self.go_past(data)
                self._report.lines += batch.lines
                self._report.already += batch.rows
                self._report.rejects.counts.update(batch.reasons)
                self._progress(self._report)
                return True
        return False

    def next_block(self, most: int, *, first: bool) -> bytes:
        """Return whole lines, at most so many bytes; b"" at the end of the chunk or of the input."""
        most = min(most, BLOCK)
        self.fill(most)
        cut = self._buffer.rfind(b"\n", 0, most) + 1
        if self._ended and len(self._buffer) <= most:
            rest = self._buffer[cut:]
            if rest and self._complete(rest, self._buffer[:cut]):
                cut = len(self._buffer)
        elif not cut and first:
            cut = most  # a line longer than a block: rejected in pieces
        block = self._buffer[:cut]
        self._buffer = self._buffer[cut:]
        return block

    def _complete(self, line: bytes, before: bytes) -> bool:
        if not line.strip():
            return True
        previous = before.rstrip(b"\n").rpartition(b"\n")[2] or self._last_line
        whole = (
            not self._source.damage.what
            and not self._inside_line
            and self.parser.whole(line, previous)
        )
        if not whole:
            self._report.cut_off = excerpt(line)
        return whole

    def go_past(self, data: bytes) -> None:
        """Note that `data` is behind us."""
        self.passed += len(data)
        self._line += int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
        self._inside_line = not data.endswith(b"\n")
        self._last_line = data[-4096:].rstrip(b"\n").rpartition(b"\n")[2]

    def numbered(self, data: bytes) -> Block:
        """Return the bytes to parse, with the number of their first line."""
        if self._inside_line:  # the rest of a line that has been rejected
            return Block(data[data.find(b"\n") + 1 or len(data) :], self._line + 1)
        return Block(data.removeprefix(detect.BOM) if self._line == 1 else data, self._line)
