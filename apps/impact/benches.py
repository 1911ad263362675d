"""`bench impact`: our whole computation against its SQL, and the attempt SQL alone, run by hand."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np

from apps.analytics.attempts import Frame, attempt_sql
from apps.analytics.impact import compute, connect, reads
from apps.analytics.names import Catalogue
from apps.analytics.simulate import Plan, simulate
from apps.analytics.sql import Connection
from apps.core.figures import BenchRow, Option, at_most, bench, compare, measure_apart
from apps.telemetry import store

MEMORY = "600MB"
"""What an impact run may hold in DuckDB (PORTAL_COMPUTE_MEMORY_MB); the baseline keeps to it too."""
EVENTS = Option("--events", int, 10_000_000, "events to simulate", quick=200_000)


@bench("impact", help="the impact of a window against the same SQL run by hand", options=[EVENTS])
def impact(*, events: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Simulate a store, then measure both in turns, each in a fresh process."""
    plan = Plan.scenario("partial", seed=seed or 1, events=events)
    with TemporaryDirectory(prefix="portal-bench-") as folder:
        segments = _stored(plan, Path(folder))
        start, end = plan.window_ms
        first, after = reads(start_ms=start, end_ms=end)
        near = [s.path for s in segments if s.min_ts < after and s.max_ts >= first]
        windows = [
            (f"26 minutes of {events:,} events", start, end, near, 9),
            (f"all {events:,} events", plan.start_ms, plan.end_ms, [s.path for s in segments], 3),
        ]
        for row, begin, until, names, repeats in windows:
            files = [str(Path(folder) / name) for name in names]
            asked = (files, begin, until, plan.end_ms)
            statements = _statements(*asked)
            ours, same = compare(
                partial(_ours, *asked),
                partial(_same_by_hand, statements, MEMORY),
                repeats=1 if quick else repeats,
                apart=True,
            )
            alone = measure_apart(_attempts_by_hand, *asked, MEMORY)
            free = measure_apart(_attempts_by_hand, *asked, "20GB")
            yield BenchRow(
                row,
                ours.seconds,
                same.seconds,
                goal=None if quick else at_most(1.3),
                baseline_name=f"the same {len(statements)} statements by hand",
            )
            yield BenchRow(
                f"{row}: peak memory",
                ours.peak_rss_mb,
                same.peak_rss_mb,
                unit="MB",
                goal=at_most(1000),
                absolute=True,
                baseline_name="the same statements by hand",
            )
            for what, hand in ((f"in {MEMORY} as well", alone), ("with all memory", free)):
                yield BenchRow(
                    f"{row}: attempts {what}",
                    ours.seconds,
                    hand.seconds,
                    baseline_name="one plain statement that counts attempts only",
                    note="it sets no clock right, finds no probe, no uptime and no outage: no goal",
                )


def _stored(plan: Plan, root: Path) -> list[store.Written]:
    written: list[store.Written] = []
    for number, chunk in enumerate(simulate(plan)):
        if chunk.events.num_rows:
            order = np.arange(chunk.events.num_rows)
            written += store.write(chunk.events, order=order, batch_id=f"{number:032x}", root=root)
    return written


def _ours(files: list[str], start_ms: int, end_ms: int, known_ms: int) -> None:
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=MEMORY, temp_directory=spill) as con,
    ):
        _compute(con, files, start_ms, end_ms, known_ms)


def _compute(con: Connection, files: list[str], start_ms: int, end_ms: int, known_ms: int) -> None:
    compute(
        con,
        files=files,
        start_ms=start_ms,
        end_ms=end_ms,
        as_of_ms=known_ms,
        data_end_ms=known_ms,
        names=Catalogue(),
    )


class _Written:
    """A connection that keeps the statements it is given."""

    def __init__(self, con: Connection) -> None:
        self.con = con
        self.statements: list[str] = []

    def execute(self, text: str) -> Connection:
        self.statements.append(text)
        return self.con.execute(text)


def _statements(files: list[str], start_ms: int, end_ms: int, known_ms: int) -> list[str]:
    """The SQL of one computation, in order, as text that can be run again."""
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=MEMORY, temp_directory=spill) as con,
    ):
        written = _Written(con)
        _compute(cast("Connection", written), files, start_ms, end_ms, known_ms)
        return written.statements


def _same_by_hand(statements: list[str], memory: str) -> None:
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=memory, temp_directory=spill) as con,
    ):
        for text in statements:
            con.execute(text).fetchall()


def _attempts_by_hand(
    files: list[str], start_ms: int, end_ms: int, known_ms: int, memory: str
) -> None:
    frame = Frame(
        files=tuple(files),
        start_ms=start_ms,
        end_ms=end_ms,
        as_of_ms=known_ms,
        data_end_ms=known_ms,
    )
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=memory, temp_directory=spill) as con,
    ):
        con.execute(attempt_sql(frame)).fetchall()
