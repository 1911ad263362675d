"""Bytes of an input: a file or standard input, gzip unpacked as a stream, and their running hash."""

import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

PIECE = 1 << 20
GZIP = b"\x1f\x8b"
PACKED = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}


class UnreadableInput(Exception):
    """The input cannot be read at all; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass
class Damage:
    """What is wrong with the end of a packed input; "" = nothing."""

    what: str = ""


class Input(Protocol):
    """Something that gives bytes, whether it ends or grows."""

    name: str
    damage: Damage
    done: int  # packed bytes read

    def read(self, most: int) -> bytes:
        """Return up to `most` unpacked bytes; fewer only where there are no more for now."""
        ...


class Source:
    """An open input that gives unpacked bytes. `-` is standard input."""

    def __init__(self, path: str) -> None:
        # A name of the file system may be no text.
        named = os.fsencode(path).decode(errors="backslashreplace")
        self.name = "standard input" if path == "-" else named
        self.damage = Damage()
        self.size = 0  # packed bytes; 0 = not known
        self.done = 0  # packed bytes read
        self._file = self._open(path)
        self._unzip: zlib._Decompress | None = None
        self._left = b""  # packed bytes that the unpacker has not taken
        self._ended = False
        head = self._read()
        if kind := next((name for magic, name in PACKED.items() if head.startswith(magic)), ""):
            self._file.close()
            raise UnreadableInput(
                f"{self.name} is packed with {kind}",
                f"Unpack it first, for example: {kind} -dc FILE | … ingest -",
            )
        if head.startswith(GZIP):
            self._unzip = zlib.decompressobj(31)
        self._left = head

    def _open(self, path: str) -> BinaryIO:
        if path == "-":
            return sys.stdin.buffer
        place = Path(path)
        if place.is_dir():
            raise UnreadableInput(
                f"{self.name} is a directory",
                f"Name its files, for example: {self.name.rstrip('/')}/*.log",
            )
        try:
            file = place.open("rb")
            self.size = place.stat().st_size
        except OSError as error:
            raise UnreadableInput(f"{self.name}: {error.strerror or error}") from error
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not sys.stdin.buffer:
            self._file.close()

    def read(self, most: int) -> bytes:
        """Return up to `most` unpacked bytes; fewer only at the end of the input."""
        pieces: list[bytes] = []
        size = 0
        while size < most and not self._ended:
            piece = (
                self._unpack(most - size) if self._unzip is not None else self._plain(most - size)
            )
            pieces.append(piece)
            size += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, most: int = PIECE) -> bytes:
        try:
            data = self._file.read(most)
        except OSError as error:
            raise UnreadableInput(f"{self.name}: {error.strerror or error}") from error
        self.done += len(data)
        return data

    def _plain(self, most: int) -> bytes:
        data = self._left or self._read(most)
        self._left = data[most:]
        if not data:
            self._ended = True
        return data[:most]

    def _unpack(self, most: int) -> bytes:
        unzip = self._unzip
        assert unzip is not None  # noqa: S101  (read() chose this way because it is set)
        if unzip.eof:
            return self._next_member(unzip.unused_data)
        data = unzip.unconsumed_tail or self._left or self._read()
        self._left = b""
        if not data:
            self._ended = True
            self.damage.what = "the gzip data ends before its end"
            return b""
        try:
            return unzip.decompress(data, most)
        except zlib.error as error:
            self._ended = True
            self.damage.what = f"the gzip data is damaged ({error})"
            return b""

    def _next_member(self, rest: bytes) -> bytes:
        """Go on with the next of several gzip members; zeros at the end are padding."""
        rest = rest.lstrip(b"\0") or self._read().lstrip(b"\0")
        if not rest:
            self._ended = True
        elif rest.startswith(GZIP[: len(rest)]):
            self._unzip = zlib.decompressobj(31)
            self._left = rest
        else:
            self._ended = True
            self.damage.what = "something that is not gzip follows the gzip data"
        return b""
