"""`bench impact`: our whole computation against the attempt SQL run by hand on the same files."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from apps.analytics.attempts import Frame, attempt_sql
from apps.analytics.impact import compute, connect, reads
from apps.analytics.names import Catalogue
from apps.analytics.simulate import Plan, simulate
from apps.core.figures import BenchRow, Option, at_most, bench, compare, measure_apart
from apps.telemetry import store

MEMORY = "600MB"
"""What an impact run may hold in DuckDB (PORTAL_COMPUTE_MEMORY_MB); the baseline keeps to it as well."""
EVENTS = Option("--events", int, 10_000_000, "events to simulate", quick=200_000)


@bench(
    "impact", help="the impact of a window against the attempt SQL run by hand", options=[EVENTS]
)
def impact(*, events: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Simulate a store, then measure both in turns, each in a fresh process."""
    plan = Plan.scenario("partial", seed=seed or 1, events=events)
    with TemporaryDirectory(prefix="portal-bench-") as folder:
        segments = _stored(plan, Path(folder))
        start, end = plan.window_ms
        first, after = reads(start_ms=start, end_ms=end)
        near = [s.path for s in segments if s.min_ts < after and s.max_ts >= first]
        windows = [
            (f"26 minutes of {events:,} events", start, end, near),
            (f"all {events:,} events", plan.start_ms, plan.end_ms, [s.path for s in segments]),
        ]
        for row, begin, until, names in windows:
            files = [str(Path(folder) / name) for name in names]
            ours, by_hand = compare(
                partial(_ours, files, begin, until, plan.end_ms),
                partial(_by_hand, files, begin, until, plan.end_ms, MEMORY),
                repeats=1 if quick else 3,
                apart=True,
            )
            free = measure_apart(_by_hand, files, begin, until, plan.end_ms, "20GB")
            yield BenchRow(
                row,
                ours.seconds,
                by_hand.seconds,
                goal=None if quick else at_most(1.3),
                baseline_name=f"attempt SQL by hand, {MEMORY} as well",
            )
            yield BenchRow(
                f"{row}: peak memory",
                ours.peak_rss_mb,
                free.peak_rss_mb,
                unit="MB",
                goal=at_most(1000),
                absolute=True,
                baseline_name="by hand without a limit",
            )
            yield BenchRow(
                f"{row}: given all memory",
                ours.seconds,
                free.seconds,
                baseline_name="by hand without a limit",
                note="ours keeps to its limit; no goal is set against this",
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
        compute(
            con,
            files=files,
            start_ms=start_ms,
            end_ms=end_ms,
            as_of_ms=known_ms,
            data_end_ms=known_ms,
            names=Catalogue(),
        )


def _by_hand(files: list[str], start_ms: int, end_ms: int, known_ms: int, memory: str) -> None:
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
