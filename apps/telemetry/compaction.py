"""Many small files of an hour become one, sorted by time; which events there are does not change.

The merged file is durable before the catalogue names it, and the catalogue changes in one transaction: whoever asks
it sees all of the old files or the new one. The old ones stay for `jobs.GRACE`, for those who asked before.
Only files whose events are counted are merged, and the order of rows in a file carries no meaning: duplicates are
told by what the rows say (`analytics` keeps the first to arrive), so no answer depends on how files were merged.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import file_digest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection, transaction

from apps.analytics.events import EVENT_SCHEMA
from apps.analytics.sql import Connection, literal
from apps.core.computing import computing
from apps.core.files import sync
from apps.telemetry.models import CONTENTS, Segment
from apps.telemetry.space import free_bytes
from apps.telemetry.store import (
    DICTIONARY,
    HOUR_MS,
    ROW_GROUP,
    STATISTICS,
    TEMPORARY,
    make_folder,
    name_of,
)

logger = logging.getLogger(__name__)

QUIET = timedelta(minutes=10)
"""An hour is merged into one once nothing has come in for it for so long."""

MANY = 256
"""So many small files of an hour are merged with each other before it is quiet."""

MOST = 1_000
"""Files that are merged at once."""

BIG_ROWS, BIG_RATIO = 1_000_000, 20
"""A file of so many rows is left alone until what lies beside it is a 20th of it: a few late events rewrite no
large hour."""

REPEATED = ("target", "latency_ms")
"""Columns whose values come again in an hour, though not in a small file."""

NEAR = ("ts", "arrived")
"""Columns whose values lie near those of the row before, once rows are sorted by time."""

_LOCK = 0x636F6D70  # the first half of the advisory locks that compaction takes; the hour is the other one

_HOURS = """
    SELECT s.min_ts / 3600000 AS hour, count(*), sum(s.rows), max(s.rows),
           count(*) FILTER (WHERE s.batch_id IS NOT NULL),
           max(s.came_at) FILTER (WHERE s.batch_id IS NOT NULL)
    FROM telemetry_segment s
    WHERE s.deleted_at IS NULL AND s.counted AND s.customers_counted AND s.damaged_at IS NULL
    GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 DESC
"""


@dataclass(frozen=True)
class _Hour:
    """The files of an hour that could be merged."""

    hour: int  # since 1970
    files: int
    rows: int
    largest: int  # rows
    small: int  # files that no compaction has made
    latest: datetime | None  # when the last of the small ones came in

    def quiet(self, since: datetime) -> bool:
        return self.latest is None or self.latest <= since

    @property
    def apart(self) -> bool:
        """Whether the largest file stays as it is."""
        return self.largest >= BIG_ROWS and (self.rows - self.largest) * BIG_RATIO < self.largest

    def waits(self, since: datetime) -> bool:
        """Whether there is something to merge, when an hour is quiet to which nothing came since."""
        if self.quiet(since):
            return self.files - self.apart > 1
        return self.small >= MANY


class DamagedFile(Exception):
    """A file is not what the catalogue says."""

    def __init__(self, segment: int, path: str) -> None:
        super().__init__(f"{path} is not what the catalogue says; see manage.py events verify")
        self.segment = segment


def due(*, now: datetime, quiet: timedelta = QUIET) -> list[int]:
    """Return the hours since 1970 that have files to merge, the latest first."""
    return [one.hour for one in _hours() if one.waits(now - quiet)]


def compact_next(*, now: datetime, quiet: timedelta = QUIET) -> bool:
    """Merge the files of the hour that is due next and that nobody else is merging; say whether one was."""
    for hour in due(now=now, quiet=quiet):
        with _alone(hour) as mine:
            if mine and compact(hour, now=now, quiet=quiet):
                return True
    return False


def compact(hour: int, *, now: datetime, quiet: timedelta = QUIET) -> bool:
    """Merge what waits of an hour; say whether it was. Safe to be killed, to run twice, and at once.

    Another compactor or an erasure that replaces one of the files first makes this one's work void.
    """
    inputs = _inputs(hour, now - quiet)
    if len(inputs) < 2:
        return False
    if free_bytes() < sum(one.bytes for one in inputs) + settings.EVENTS_LEAST_FREE // 2:
        return False  # both are there for an hour; the other half is for whoever makes room
    root = Path(settings.EVENTS_DIR)
    name = name_of(hour, f"{uuid.uuid4().hex}-merged")
    try:
        check(inputs, root)
        with computing("compaction") as con:
            made = write_sorted(con, [str(root / one.path) for one in inputs], root=root, name=name)
    except DamagedFile as damage:
        # One that was replaced and removed meanwhile is no damage.
        if not Segment.objects.live().filter(pk=damage.segment).update(damaged_at=now):
            return False
        logger.warning("hour %s: %s", hour, damage)
        return True  # the others of the hour may be merged next
    if made.rows != sum(one.rows for one in inputs):
        (root / name).unlink(missing_ok=True)
        raise RuntimeError(f"hour {hour}: {made.rows} rows were merged from files that hold others")
    content = sum(one.content for one in inputs) % CONTENTS
    came_at = max(one.came_at for one in inputs)
    if swap(inputs, [_named(made, content, came_at)], now=now):
        return True
    (root / name).unlink(missing_ok=True)
    return False


def swap(inputs: list[Segment], made: list[Segment], *, now: datetime) -> bool:
    """Let the catalogue name `made` in place of `inputs`, whole or not at all; False when one is no longer live.

    After an error the files stay: the database may have committed before the connection was lost.
    """
    pks = [one.pk for one in inputs]
    with transaction.atomic():
        live = Segment.objects.live().filter(pk__in=pks).order_by("pk")
        flags = list(live.select_for_update().values_list("counted", "customers_counted"))
        if len(flags) != len(pks) or not all(all(pair) for pair in flags):
            return False
        Segment.objects.bulk_create(made)
        Segment.objects.filter(pk__in=pks).update(deleted_at=now)
    return True


def check(inputs: Iterable[Segment], root: Path) -> None:
    """Raise DamagedFile for the first file that is not what the catalogue says: it must not become part of another."""
    for one in inputs:
        try:
            path = root / one.path
            right = digest_of(path) == one.sha256 and pq.read_metadata(path).num_rows == one.rows
        except (OSError, pa.ArrowException):
            right = False
        if not right:
            raise DamagedFile(one.pk, one.path)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Made:
    """A file that was written from others and that the catalogue does not name yet."""

    path: str
    min_ts: int
    max_ts: int
    rows: int
    bytes: int
    sha256: str
    service: int | None


def write_sorted(
    con: Connection, paths: list[str], *, root: Path, name: str, where: str = "true"
) -> Made:
    """Write the rows of files as one, sorted by time, durable; in bounded memory however many there are.

    `where` is a condition of ours that leaves rows out. Without rows nothing is written. Raises OSError.
    """
    path = root / name
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    seen = _Seen()
    try:
        with pq.ParquetWriter(
            temporary,
            EVENT_SCHEMA,
            compression="zstd",
            compression_level=3,
            use_dictionary=[*DICTIONARY, *REPEATED],
            write_statistics=STATISTICS,
            column_encoding=dict.fromkeys(NEAR, "DELTA_BINARY_PACKED"),
        ) as writer:
            for group in _groups(con, paths, where):
                seen.add(group)
                writer.write_table(group, row_group_size=ROW_GROUP)
        if not seen.rows:
            temporary.unlink()
            return Made(name, 0, 0, 0, 0, "", None)
        sync(temporary)
        digest, size = digest_of(temporary), temporary.stat().st_size
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
    return Made(name, seen.first, seen.last, seen.rows, size, digest, seen.service)


class _Seen:
    """What went through: bounds, rows, and the service when it is one alone."""

    def __init__(self) -> None:
        self.rows = 0
        self.first = self.last = 0
        self._services: set[int] = set()

    def add(self, group: pa.Table) -> None:
        bounds = pc.min_max(group["ts"]).as_py()
        self.first = bounds["min"] if not self.rows else min(self.first, bounds["min"])
        self.last = bounds["max"] if not self.rows else max(self.last, bounds["max"])
        self.rows += group.num_rows
        if len(self._services) < 2:
            self._services.update(np.unique(group["service"].to_numpy()).tolist())

    @property
    def service(self) -> int | None:
        return next(iter(self._services)) if len(self._services) == 1 else None


def _groups(con: Connection, paths: list[str], where: str) -> Iterator[pa.Table]:
    """Yield the rows in order of time, as many as a row group holds; the sort spills to disk when it has to."""
    listed = ", ".join(map(literal, paths))
    there = {
        name
        for (name,) in con.execute(
            f"SELECT DISTINCT name FROM parquet_schema([{listed}])"  # noqa: S608
        ).fetchall()
    }
    # Files from before a column was added do not have it.
    columns = ", ".join(
        field.name if field.name in there else f"NULL::INTEGER AS {field.name}"
        for field in EVENT_SCHEMA
    )
    reader = con.sql(
        f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"  # noqa: S608
        f" WHERE {where} ORDER BY ts"
    ).to_arrow_reader(ROW_GROUP)
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= ROW_GROUP:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, ROW_GROUP).cast(EVENT_SCHEMA)
            waiting = table.slice(ROW_GROUP).to_batches()
            rows -= ROW_GROUP
    if rows:
        yield pa.Table.from_batches(waiting).cast(EVENT_SCHEMA)


def _hours() -> list[_Hour]:
    with connection.cursor() as cursor:
        cursor.execute(_HOURS)
        return [_Hour(*row) for row in cursor.fetchall()]


def _inputs(hour: int, since: datetime) -> list[Segment]:
    """Return the files of an hour that are to become one now."""
    found = [one for one in _hours() if one.hour == hour]
    if not found or not found[0].waits(since):
        return []
    files = Segment.objects.live().filter(
        min_ts__gte=hour * HOUR_MS,
        min_ts__lt=(hour + 1) * HOUR_MS,
        counted=True,
        customers_counted=True,
        damaged_at=None,
    )
    if not found[0].quiet(since):
        files = files.exclude(batch=None)
    # The small ones first: of very many, the largest are merged last.
    chosen = list(files.order_by("rows", "pk"))
    if found[0].apart and found[0].quiet(since):
        chosen = chosen[:-1]
    return chosen[:MOST]


def _named(made: Made, content: int, came_at: datetime) -> Segment:
    return Segment(
        path=made.path,
        came_at=came_at,
        min_ts=made.min_ts,
        max_ts=made.max_ts,
        rows=made.rows,
        bytes=made.bytes,
        sha256=made.sha256,
        service_id=made.service,
        content=content,
        counted=True,
        customers_counted=True,
    )


@contextmanager
def _alone(hour: int) -> Iterator[bool]:
    """Say whether nobody else is merging the hour, and let nobody begin meanwhile; the lock dies with its holder.

    It spares work. What makes it right is the check in `swap`.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, hour])
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, hour])
