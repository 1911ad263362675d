"""`bench store`: what events take on disk, how much of it a window touches, and what merging small files costs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import django
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.apps import apps
from django.db import transaction
from django.test.utils import override_settings
from django.utils import timezone

from apps.analytics.events import EVENT_SCHEMA
from apps.analytics.simulate import Plan, simulate
from apps.core.computing import computing
from apps.core.figures import BenchRow, Option, at_least, at_most, bench, compare

if (
    not apps.ready
):  # a measured process imports this module first; its imports are not what is measured
    django.setup()

from apps.telemetry import compaction, queries, store
from apps.telemetry.files import catalogue_rows
from apps.telemetry.models import Batch, Segment

EVENTS = Option("--events", int, 10_000_000, "events to store", quick=100_000)
SMALL = Option("--small", int, 1_000, "small files that become one", quick=50)
SMALL_ROWS = 1_000  # events in each of them
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
WINDOWS = {
    "26 minutes": 26 * MINUTE_MS,
    "a day": DAY_MS,
    "a week": 7 * DAY_MS,
}


@bench(
    "store",
    help="bytes an event, what a window touches, and small files merged, against DuckDB",
    options=[EVENTS, SMALL],
)
def stored(*, events: int, small: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Store five weeks, merge them, ask for windows; then merge one hour of very many small files."""
    repeats = 1 if quick else 3
    with (
        TemporaryDirectory(prefix="portal-bench-") as folder,
        override_settings(EVENTS_DIR=Path(folder), EVENTS_LEAST_FREE=0),
        transaction.atomic(),
    ):
        plan = Plan.scenario("partial", seed=seed or 1, events=events)
        for chunk in simulate(plan):
            _take_in(chunk.events, Path(folder))
        _merge_all()
        live = list(Segment.objects.live().values_list("path", "rows", "bytes"))
        rows, size = sum(one[1] for one in live), sum(one[2] for one in live)
        yield BenchRow(
            "bytes an event, merged",
            size / rows,
            unit="B",
            note=f"{rows:,} events, each with a request id and an arrival",
        )
        # A request id is 64 bits that no other event has: nothing packs it, and senders may leave it out.
        yield BenchRow(
            "… besides its request id",
            (size - _of_column("request")) / rows,
            goal=None if quick else at_most(20),
            unit="B",
        )
        begin, _ = plan.window_ms
        touched = sum(
            path.stat().st_size for path in queries.segments(begin, begin + WINDOWS["26 minutes"])
        )
        yield BenchRow(
            "bytes that 26 minutes touch, of all", 100 * touched / size, goal=at_most(2), unit="%"
        )
        yield from _windows(begin, repeats, quick=quick)
        transaction.set_rollback(True)
    with TemporaryDirectory(prefix="portal-bench-") as folder:
        yield from _small_files(Path(folder), small, seed, repeats, quick=quick)


def _of_column(name: str) -> int:
    """Return the bytes of one column in all files."""
    files = [pq.ParquetFile(path).metadata for path in queries.segments(-(2**62), 2**62)]
    place = EVENT_SCHEMA.get_field_index(name)
    return sum(
        about.row_group(number).column(place).total_compressed_size
        for about in files
        for number in range(about.num_row_groups)
    )


def _windows(begin: int, repeats: int, *, quick: bool) -> Iterator[BenchRow]:
    """Time the same question over longer and longer windows, each against all files there are."""
    everything = [str(path) for path in queries.segments(-(2**62), 2**62)]
    first = None
    for name, length in WINDOWS.items():
        start = min(begin, begin + WINDOWS["26 minutes"] - length)
        end = start + length

        def by_catalogue(start: int = start, end: int = end) -> None:
            ask([str(path) for path in queries.segments(start, end)], start, end)

        ours, theirs = compare(
            by_catalogue, partial(ask, everything, start, end), repeats=2 * repeats + 1
        )
        yield BenchRow(
            f"failed by customer, {name}",
            ours.seconds,
            theirs.seconds,
            goal=None if quick or length > DAY_MS else at_most(1),
            baseline_name="the same over all files",
        )
        if first is None:
            first = ours.seconds
        else:
            yield BenchRow(
                f"time of {name} ÷ time of 26 minutes",
                ours.seconds / first,
                length / WINDOWS["26 minutes"],
                goal=None if quick else at_most(1),
                unit="×",
                baseline_name="how much longer the window is",
            )


def ask(files: list[str], start_ms: int, end_ms: int) -> None:
    """Count requests and failures by customer."""
    with duckdb.connect() as con:
        con.execute(
            "SELECT customer, count(*), count_if(outcome = 1), count(DISTINCT actor) FROM read_parquet(?)"
            " WHERE ts >= ? AND ts < ? GROUP BY customer",
            [files, start_ms, end_ms],
        ).fetchall()


def _small_files(
    root: Path, small: int, seed: int, repeats: int, *, quick: bool
) -> Iterator[BenchRow]:
    """Cut one hour into small files, and merge them: through the catalogue, and the merge alone against DuckDB."""
    table = _one_hour(small * SMALL_ROWS, seed)
    dice = np.random.default_rng(seed)
    order = dice.permutation(table.num_rows)
    with override_settings(EVENTS_DIR=root, EVENTS_LEAST_FREE=0), transaction.atomic():
        for part in np.array_split(order, small):
            _take_in(table.take(pa.array(np.sort(part))), root)
        Segment.objects.update(customers_counted=True)
        files = [str(path) for path in queries.segments(-(2**62), 2**62)]
        many = sum(Path(one).stat().st_size for one in files)
        ours, theirs = compare(
            partial(merge, files, str(root)),
            partial(by_duckdb, files, str(root)),
            repeats=repeats,
            apart=True,
        )
        yield BenchRow(
            f"{small:,} files merged, events a second",
            table.num_rows / ours.seconds,
            table.num_rows / theirs.seconds,
            goal=None if quick else at_least(0.5),
            unit="/s",
            baseline_name="DuckDB COPY … ORDER BY ts",
        )
        yield BenchRow("peak memory of merging", ours.peak_rss_mb, unit="MB", goal=at_most(1000))
        _merge_all()
        [one] = Segment.objects.live()
        yield BenchRow("files afterwards", 1, goal=at_most(1), unit="", note=f"{one.rows:,} events")
        yield BenchRow(
            "bytes of the one file, of all the small ones",
            one.bytes,
            many,
            goal=at_most(1),
            unit="B",
        )
        transaction.set_rollback(True)


def merge(files: list[str], root: str) -> None:
    """Merge files as compaction does, and throw the result away."""
    name = store.name_of(0, uuid4().hex)
    with computing("bench") as con:
        compaction.write_sorted(con, files, root=Path(root), name=name)
    Path(root, name).unlink()


def by_duckdb(files: list[str], root: str) -> None:
    """Let DuckDB sort the files into one, with the same memory."""
    out = Path(root, f"{uuid4().hex}.parquet")
    with computing("bench") as con:
        con.execute(
            "COPY (SELECT * FROM read_parquet(?, hive_partitioning = false) ORDER BY ts)"  # noqa: S608
            f" TO '{out}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536)",
            [files],
        )
    out.unlink()


def _one_hour(rows: int, seed: int) -> pa.Table:
    """Return so many simulated events, moved into one hour."""
    tables: list[pa.Table] = []
    for chunk in simulate(Plan.scenario("none", seed=seed or 1, events=2 * rows)):
        tables.append(chunk.events)
        if sum(one.num_rows for one in tables) >= rows:
            break
    table = pa.concat_tables(tables).slice(0, rows)
    ts = (
        np.sort(np.random.default_rng(seed).integers(0, HOUR_MS, table.num_rows))
        + 490_000 * HOUR_MS
    )
    return table.set_column(0, table.schema.field("ts"), pa.array(ts))


def _take_in(table: pa.Table, root: Path) -> None:
    """Store events and name them, as every door does."""
    if not table.num_rows:
        return
    batch_id = uuid4().hex
    written = store.write(table, order=np.arange(table.num_rows), batch_id=batch_id, root=root)
    batch = Batch(
        batch_id=batch_id,
        source="bench",
        format="simulated",
        length=0,
        lines=table.num_rows,
        rows=table.num_rows,
        rejected=0,
        created_at=timezone.now(),
    )
    catalogue_rows(batch, written, root=root)


def _merge_all() -> None:
    Segment.objects.update(customers_counted=True)
    while compaction.compact_next(now=timezone.now(), quiet=compaction.QUIET * 0):
        pass
