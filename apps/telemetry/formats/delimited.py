"""CSV with a header row whose names are those of `fields`."""

import csv
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from apps.telemetry.formats.build import columns_from
from apps.telemetry.formats.columns import MAX_LINE, Block, Columns, Rejects
from apps.telemetry.formats.fields import FieldNames


class Delimited:
    """Parser of CSV. One record is one line: a quoted line break is not understood."""

    name = "csv"

    def __init__(
        self, names: FieldNames, header: Sequence[str], delimiter: str = ",", header_line: int = 1
    ) -> None:
        self._header = list(header)
        self._header_line = header_line
        self._delimiter = delimiter
        self._picked = names.pick(self._header)

    @property
    def fields(self) -> list[str]:
        """Our names of the fields that the header has."""
        return list(self._picked)

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        rows: list[list[str]] = []
        lines: list[int] = []
        width = len(self._header)
        for number, line in enumerate(block.split, block.first_line):
            if not line.strip() or number == self._header_line:
                continue
            row = self._row(line)
            if row is None:
                rejects.add("longer than 1 MiB", number, line)
            elif len(row) != width:
                rejects.add(f"not {width} fields as the header has", number, line)
            else:
                rows.append(row)
                lines.append(number)
        by_name = dict(zip(self._header, zip(*rows, strict=True), strict=True)) if rows else {}
        named = {
            field: [pa.array(by_name.get(name, ()), pa.string()) for name in names]
            for field, names in self._picked.items()
        }
        at = np.array(lines, dtype=np.int64)
        built = columns_from(named, lines=at, block=block, rejects=rejects, now_ms=now_ms)
        return [built] if len(built) else []

    def whole(self, line: bytes, _: bytes) -> bool:
        """Whether a last line without a line break is all there."""
        row = self._row(line)
        return row is not None and len(row) == len(self._header)

    def _row(self, line: bytes) -> list[str] | None:
        if len(line) > MAX_LINE:
            return None
        text = line.decode("utf-8", "backslashreplace").rstrip("\r")
        try:
            return next(csv.reader([text], delimiter=self._delimiter))
        except (csv.Error, StopIteration):
            return []


def header_of(line: bytes) -> tuple[list[str], str]:
    """Return the names in a header line and its delimiter."""
    text = line.decode("utf-8", "backslashreplace").removeprefix("\ufeff").strip()
    delimiter = max(",;\t", key=text.count)
    try:
        names = next(csv.reader([text], delimiter=delimiter))
    except (csv.Error, StopIteration):
        names = []
    return [name.strip() for name in names], delimiter
