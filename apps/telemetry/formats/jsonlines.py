"""NDJSON: our own events, nginx and Envoy JSON logs, anything with one object in each line.

Two readers with one meaning. Arrow's reads a block at once and is used when every line is an object
whose fields keep their types; the patient one reads line by line and knows what is wrong with which.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json

from apps.telemetry.formats.build import NUMERIC, columns_from
from apps.telemetry.formats.columns import MAX_LINE, Block, Columns, Ints, Rejects
from apps.telemetry.formats.fields import FieldNames

MANY = 64 * 1024  # bytes; below this the patient reader is no slower
SAFE_DEPTH = (
    500  # Arrow infers nested types recursively and overflows the stack some way above 1,000
)
READ_BLOCK = 1 << 20
MOST_CELLS = 10_000_000
"""Lines times names of a block for the quick reader, which makes a column of every name that occurs."""
HEAD = (
    64 * 1024
)  # bytes of a block whose names stand for all of it, unless the sender is not trusted

_NAME = re.compile(rb'[{,]\s*"((?:[^"\\]|\\.)*)"\s*:')


class JsonLines:
    """Parser of NDJSON. Keeps what it learned about the fields from block to block.

    `wary`: look at the names of every line before memory is spent on them (files of our own repeat theirs).
    """

    name = "ndjson"

    def __init__(self, names: FieldNames, *, wary: bool = False) -> None:
        self._names = names
        self._wary = wary
        self._types: dict[str, pa.DataType] = {}

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        return [c for piece in self._pieces(block, rejects, now_ms) if len(c := piece)]

    def _pieces(self, block: Block, rejects: Rejects, now_ms: int) -> list[Columns]:
        if len(block.data) < MANY:
            return [self._patient(block, rejects, now_ms)]
        if (quick := self._quick(block, rejects, now_ms)) is not None:
            return [quick]
        # One odd line spoils a block for the quick reader: halve it until the odd part is small.
        middle = block.data.find(b"\n", len(block.data) // 2) + 1
        if not 0 < middle < len(block.data):
            return [self._patient(block, rejects, now_ms)]
        head = Block(block.data[:middle], block.first_line)
        tail = Block(block.data[middle:], block.first_line + head.line_count)
        return self._pieces(head, rejects, now_ms) + self._pieces(tail, rejects, now_ms)

    def whole(self, line: bytes, _: bytes) -> bool:
        """Whether a last line without a line break is all there."""
        try:
            return isinstance(orjson.loads(line), dict)
        except orjson.JSONDecodeError:
            return False

    # quick

    def _quick(self, block: Block, rejects: Rejects, now_ms: int) -> Columns | None:
        data = block.data
        raw = np.frombuffer(data, np.uint8)
        count = block.line_count
        opened = np.count_nonzero(raw == ord("{")) + np.count_nonzero(raw == ord("["))
        if opened - count > SAFE_DEPTH or not _is_utf8(data):
            return None
        seen = set(_NAME.findall(data if self._wary else data[:HEAD]))
        if len(seen) * count > MOST_CELLS:
            return None
        self._learn(data)
        table = self._read(data)
        if table is None:
            return None
        fresh = [f for f in table.schema if f.name not in self._types and self._names.find(f.name)]
        if fresh:
            # Arrow guesses dates and more from strings; read again with the types that we want.
            for found in fresh:
                self._types[found.name] = self._wanted(found.name, found.type)
            table = self._read(data)
        if table is None or table.num_rows != count:
            return None
        table = table.combine_chunks()
        picked = self._names.pick([n for n in table.column_names if n in self._types])
        named = {
            field: [_array(table.column(name)) for name in names] for field, names in picked.items()
        }
        lines = np.arange(block.first_line, block.first_line + count, dtype=np.int64)
        return columns_from(named, lines=lines, block=block, rejects=rejects, now_ms=now_ms)

    def _learn(self, data: bytes) -> None:
        """Learn the types of fields from the first lines."""
        for line in data[:READ_BLOCK].split(b"\n", 20)[:20]:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if not isinstance(event, dict):
                continue
            for name, value in event.items():
                if value is not None and name not in self._types and self._names.find(name):
                    self._types[name] = self._wanted(name, _type_of(value))

    def _wanted(self, name: str, guessed: pa.DataType) -> pa.DataType:
        """Return the type to read a field with. Numbers that we count with may be whole in some lines only."""
        hit = self._names.find(name)
        if hit and hit[0] in NUMERIC and guessed in (pa.int64(), pa.float64()):
            return pa.float64()
        return guessed if guessed in (pa.bool_(), pa.int64()) else pa.string()

    def _read(self, data: bytes) -> pa.Table | None:
        try:
            return pyarrow.json.read_json(
                pa.BufferReader(data),
                read_options=pyarrow.json.ReadOptions(
                    use_threads=True, block_size=READ_BLOCK + MAX_LINE
                ),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=pa.schema(list(self._types.items())),
                    unexpected_field_behavior="infer",
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            return None

    # patient

    def _patient(self, block: Block, rejects: Rejects, now_ms: int) -> Columns:
        events: list[dict[str, Any]] = []
        lines: list[int] = []
        for number, line in enumerate(block.split, block.first_line):
            if not line or line.isspace():
                continue
            if len(line) > MAX_LINE:
                rejects.add("longer than 1 MiB", number, line)
                continue
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                rejects.add("not valid JSON", number, line)
                continue
            if isinstance(event, dict):
                events.append(event)
                lines.append(number)
            else:
                rejects.add("not a JSON object", number, line)
        at = np.array(lines, dtype=np.int64)
        return self.from_objects(events, lines=at, block=block, rejects=rejects, now_ms=now_ms)

    def from_objects(
        self,
        events: Sequence[dict[str, Any]],
        *,
        lines: Ints,
        block: Block,
        rejects: Rejects,
        now_ms: int,
    ) -> Columns:
        """Build columns from decoded objects."""
        keys = {name: None for event in events for name in event}
        named = {
            field: [_strings(events, name) for name in names]
            for field, names in self._names.pick(list(keys)).items()
        }
        return columns_from(named, lines=lines, block=block, rejects=rejects, now_ms=now_ms)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _type_of(value: object) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    return pa.float64() if isinstance(value, float) else pa.string()


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _strings(events: Sequence[dict[str, Any]], name: str) -> pa.Array:
    values = [event.get(name) for event in events]
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: object) -> str | None:
    """Return a JSON value as text; lists and objects say nothing that we could use."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return None
