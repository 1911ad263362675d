"""The CSV of customers: read as a stream, whatever stands in it, and written so that it reads back.

A cell that a spreadsheet would run (=, +, -, @, a tab) is written with an apostrophe before it, which
reading takes off again; so is a cell that looks as if that had been done already.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from apps.customers.columns import HEADER, RECORDS

MOST_BYTES = 32 * 2**20
MOST_LINES = 200_000
MOST_LINES_OF_A_CELL = 50
RUN = re.compile(r"'*[=+\-@\t\r]")
ESCAPED = re.compile(r"'+[=+\-@\t\r]")


class UnreadableSheet(Exception):
    """The file as a whole cannot be taken; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Entry:
    """One record of the file. `trouble` is a reason and a hint when it could not be read at all."""

    line: int
    record: str
    cells: dict[str, str]
    trouble: tuple[str, str, str] | None = None  # column, reason, hint


def escaped(cell: str) -> str:
    """Return the cell so that no spreadsheet runs it."""
    return f"'{cell}" if RUN.match(cell) else cell


def unescaped(cell: str) -> str:
    """Take `escaped` back."""
    return cell[1:] if ESCAPED.match(cell) else cell


def readable(text: str) -> str:
    """Return text without what no text may hold."""
    return re.sub("[\0\ud800-\udfff]", "?", text)


class _TooLong(Exception):
    pass


class _Lines:
    """Physical lines that can be given back, with their numbers."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: list[str] = []
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES_OF_A_CELL:
            raise _TooLong
        line = self._again.pop() if self._again else next(self._lines)
        self.number += 1
        if self.number > MOST_LINES:
            raise UnreadableSheet(
                f"The file has more than {MOST_LINES:,} lines", "Split it into several files."
            )
        self.taken.append(line)
        return line

    def give_back(self) -> None:
        """Keep the first of the lines that were taken, and give the others back."""
        rest = self.taken[1:]
        self._again.extend(reversed(rest))
        self.number -= len(rest)
        self.taken = []


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the first line of each record with its cells, or with what is wrong with it."""
    while True:
        lines.taken = []
        first = lines.number + 1
        try:
            yield first, next(csv.reader(lines, delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except _TooLong:
            lines.give_back()
            yield first, f"A quote is opened and not closed within {MOST_LINES_OF_A_CELL} lines"
        except csv.Error as problem:
            lines.give_back()
            yield first, _in_words(str(problem))


def _in_words(problem: str) -> str:
    if "field larger" in problem:
        return "A cell is too long"
    if "unexpected end" in problem:
        return "A quote is opened and not closed"
    return "Something follows a closing quote"


def read(file: BinaryIO) -> Iterator[Entry]:
    """Yield the records of a file. Raises UnreadableSheet when it cannot be read as a whole."""
    start = file.read(4)
    file.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04")):
        raise UnreadableSheet(
            "The file is no CSV in UTF-8",
            "In a spreadsheet, choose “Save as” and “CSV UTF-8 (comma delimited)”.",
        )
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _entries(_Lines(iter(text)))
    finally:
        text.detach()


def _entries(lines: _Lines) -> Iterator[Entry]:
    header: list[str] | None = None
    delimiter = ","
    for line in lines:
        if line.strip(" \t\r\n,;"):
            delimiter = max(",;\t", key=line.count)
            header = _header(line, delimiter)
            break
        lines.taken = []
    if header is None:
        raise UnreadableSheet("The file is empty", "Begin with a line that names the columns.")
    for line_number, cells in _records(lines, delimiter):
        if isinstance(cells, str):
            yield Entry(
                line_number, "", {}, ("", cells, "Close the quote, and double quotes inside it.")
            )
        elif any(cell.strip() for cell in cells):
            yield _entry(line_number, header, cells)


def _header(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        raise UnreadableSheet(
            "The first line cannot be read", "Name the columns there, separated by commas."
        ) from None
    names = [cell.strip().casefold().replace(" ", "_") for cell in cells]
    while names and not names[-1]:
        names.pop()
    for name in names:
        if name not in HEADER:
            raise UnreadableSheet(
                f"The column “{readable(name[:40])}” is not known",
                f"Columns are: {', '.join(HEADER)}.",
            )
        if names.count(name) > 1:
            raise UnreadableSheet(f"The column “{name}” is there twice", "Take one of them out.")
    if not {"external_id", "slug"} & set(names):
        raise UnreadableSheet(
            "No column says which customer a line is about", "Add the column external_id."
        )
    return names


def _entry(line: int, header: list[str], cells: list[str]) -> Entry:
    if any(cell.strip() for cell in cells[len(header) :]):
        return Entry(
            line,
            "",
            {},
            (
                "",
                f"There are {len(cells)} cells under {len(header)} columns",
                "Quote cells that hold a comma or a semicolon.",
            ),
        )
    found = {name: unescaped(cell) for name, cell in zip(header, cells, strict=False)}
    record = (found.pop("record", "") or "customer").strip().casefold()
    if record not in RECORDS:
        return Entry(
            line,
            "",
            found,
            ("record", "This is no kind of line", f"Write one of: {', '.join(RECORDS)}."),
        )
    return Entry(line, record, found)


class _Echo:
    def write(self, value: str) -> str:
        return value


def write(rows: Iterable[dict[str, str]]) -> Iterator[str]:
    """Yield the lines of a file that `read` takes, its header first."""
    writer = csv.writer(_Echo())
    yield writer.writerow(HEADER)
    for row in rows:
        yield writer.writerow([escaped(row.get(name, "")) for name in HEADER])


def plain_rows(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a file that only people read."""
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([escaped(str(cell)) for cell in row])
