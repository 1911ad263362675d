"""DuckDB in memory, and SQL text that can only be filled with whole numbers and our own fragments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import duckdb
from numpy.typing import NDArray

from apps.analytics.events import EVENT_SCHEMA

Row = tuple[Any, ...]
Connection = duckdb.DuckDBPyConnection

_READ = [field for field in EVENT_SCHEMA if field.name != "traits"]
COLUMNS = ", ".join(field.name for field in _READ)
"""What every pass reads. Traits are read for a breakdown alone, and segments from before them have none."""
_LOC = "file_index::BIGINT * 1099511627776 + file_row_number AS loc"


class Fragment(str):
    """A piece of SQL that this library wrote itself, never text from outside."""

    __slots__ = ()


class Cancelled(Exception):
    """The caller asked to stop. Nothing was kept."""


def fill(text: str, **values: int | Fragment) -> str:
    """Put numbers and our own fragments into `$name` places. Anything else is a TypeError."""
    for name, value in values.items():
        checked: object = value
        if not isinstance(checked, int | Fragment):
            message = f"{name} is {type(checked).__name__}; SQL takes whole numbers and fragments"
            raise TypeError(message)
    return Template(text).substitute(values)


def literal(text: str) -> Fragment:
    """A quoted SQL string."""
    return Fragment("'" + text.replace("'", "''") + "'")


def numbers(values: Iterable[int]) -> Fragment:
    """A list of numbers for IN (...). Empty becomes NULL, which nothing equals."""
    return Fragment(", ".join(str(int(value)) for value in values) or "NULL")


def rows_of(values: Sequence[Sequence[int]], columns: str) -> Fragment:
    """A small table of whole numbers, one tuple per row; `columns` as "(a, b)". Not empty."""
    body = ", ".join("(" + ", ".join(str(int(v)) for v in row) + ")" for row in values)
    return Fragment(f"(VALUES {body}) AS given{columns}")


def connect(
    *,
    memory_limit: str = "600MB",
    threads: int = 2,
    temp_directory: str | Path | None = None,
) -> Connection:
    """Open a private DuckDB in memory. What does not fit into `memory_limit` goes to disk.

    One connection per call and process; open it after a fork, never before.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "threads": threads,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if temp_directory is not None:
        config["temp_directory"] = str(temp_directory)
    return duckdb.connect(":memory:", config=config)


def events_from(
    files: Sequence[str], *, located: bool = False, merged: Mapping[int, int] | None = None
) -> Fragment:
    """A SELECT of all events in exactly these files; no file at all is an empty relation.

    An operation that is a key of `merged` is read as the one it was merged into. Its path told what was
    asked for, so it becomes part of the target: two products are no retries of each other.
    `located` adds `loc`, a number that names the row by its place (file and row in the file), for
    as long as the same files are listed in the same order.
    """
    if not files:
        empty = ", ".join(f"NULL::{_DUCK[str(f.type)]} AS {f.name}" for f in _READ)
        return Fragment(f"SELECT {empty}{', NULL::BIGINT AS loc' if located else ''} WHERE false")
    listed = ", ".join(literal(name) for name in dict.fromkeys(files))
    loc = f", {_LOC}" if located else ""
    read = f"SELECT {COLUMNS}{loc} FROM read_parquet([{listed}], hive_partitioning = false)"  # noqa: S608
    if not merged:
        return Fragment(read)
    table = rows_of(sorted(merged.items()), "(once, operation_now)")
    return Fragment(
        "SELECT * EXCLUDE (once, operation_now)"  # noqa: S608
        " REPLACE (coalesce(operation_now, operation)::INTEGER AS operation,"
        " CASE WHEN once IS NULL THEN target"
        f" ELSE xor(coalesce(target, 0), once::BIGINT * {_SPREAD}) END AS target)"
        f" FROM ({read}) LEFT JOIN (SELECT * FROM {table}) ON operation = once"
    )


def traits_from(con: Connection, files: Sequence[str]) -> Fragment | None:
    """A SELECT of `loc` and `traits` of the events that carry any; None when no file has the column.

    `loc` is that of `events_from(files, located=True)` for the same files in the same order.
    """
    names = list(dict.fromkeys(files))
    if not names:
        return None
    listed = ", ".join(map(literal, names))
    found = con.execute(
        f"SELECT count(*) FROM parquet_schema([{listed}]) WHERE name = 'traits'"  # noqa: S608
    ).fetchone()
    if not found or not found[0]:
        return None
    return Fragment(
        f"SELECT {_LOC}, ts, traits"  # noqa: S608
        f" FROM read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
        " WHERE traits IS NOT NULL"
    )


_SPREAD = 0x9E3779B1  # an odd number of 32 bits: times an id it fits a BIGINT, and ids differ in many bits

_DUCK = {"int64": "BIGINT", "int32": "INTEGER", "int16": "SMALLINT", "int8": "TINYINT"}


class Runner:
    """Runs statements in order, tells how far it is, and stops between two when asked to."""

    def __init__(
        self,
        con: Connection,
        *,
        steps: int = 1,
        progress: Callable[[int, int, str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.con = con
        self.steps = steps
        self.done = 0
        self._progress = progress
        self._cancelled = cancelled
        self.temporary: list[tuple[str, str]] = []

    def step(self, label: str) -> None:
        """Say that the next piece of work begins.

        Raises:
            Cancelled: when the caller asked to stop.
        """
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        self.done = min(self.done + 1, self.steps)
        if self._progress is not None:
            self._progress(self.done, self.steps, label)

    def table(self, name: str, text: str) -> None:
        """Keep the rows of a SELECT as a temporary table until `drop_all`."""
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {text}")
        self.temporary.append(("TABLE", name))

    def view(self, name: str, text: str) -> None:
        """Give a SELECT a name until `drop_all`."""
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {text}")
        self.temporary.append(("VIEW", name))

    def drop(self, name: str) -> None:
        """Give a table's memory back before the end."""
        self.con.execute(f"DROP TABLE IF EXISTS temp.{name}")

    def rows(self, text: str) -> list[Row]:
        """All rows of a small answer."""
        return self.con.execute(text).fetchall()

    def columns(self, text: str) -> dict[str, NDArray[Any]]:
        """The columns of an answer without nulls, by name."""
        return self.con.execute(text).fetchnumpy()

    def one(self, text: str) -> Row:
        """The only row of an answer."""
        row = self.con.execute(text).fetchone()
        if row is None:
            message = "a statement that must give one row gave none"
            raise LookupError(message)
        return row

    def drop_all(self) -> None:
        """Remove what this run made, so that a connection can serve the next one."""
        for kind, name in reversed(dict.fromkeys(self.temporary)):
            self.con.execute(f"DROP {kind} IF EXISTS temp.{name}")
        self.temporary.clear()
