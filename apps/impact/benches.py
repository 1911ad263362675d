"""`bench impact`: our whole computation against its SQL, and the attempt SQL alone, run by hand."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import cast

import numpy as np

# Runs import SciPy when they need it; a worker has it after its first. A measured process
# imports this module first: imports are not what is measured.
import scipy.optimize
import scipy.special  # noqa: F401
from numpy.typing import NDArray

from apps.analytics import measures
from apps.analytics.attempts import DAY_MS, Frame, attempt_sql, build_chains, clean
from apps.analytics.daily import BEFORE_MS, Days, write_day
from apps.analytics.impact import compute, connect, reads
from apps.analytics.measures import return_reads
from apps.analytics.names import Catalogue, Week
from apps.analytics.simulate import Plan, simulate
from apps.analytics.sql import Connection, Runner
from apps.core.figures import BenchRow, Measured, Option, at_most, bench, compare, measure_apart
from apps.impact import live_bench
from apps.telemetry import store

MEMORY = "600MB"
"""What an impact run may hold in DuckDB (PORTAL_COMPUTE_MEMORY_MB); the baseline keeps to it too."""
BY_HAND_MEMORY = "4GB"
"""For passes with and without roll-ups side by side: without them, 10⁸ events do not fit into 600 MB."""
EVENTS = Option("--events", int, 10_000_000, "events to simulate", quick=200_000)
TENTH = Option(
    "--tenth", bool, default=False, help="also a tenth of the events: is the time linear?"
)
LIVE = Option(
    "--live",
    bool,
    default=False,
    help="instead: a run each minute while an incident goes on, for 5,000 customers",
)
WEEK_MS = 7 * DAY_MS
OFTEN = 20_000_000
"""Above so many events what reads all of them is measured once: it takes minutes."""


@dataclass(frozen=True)
class Stored:
    """A simulated store: segments, and the roll-ups of its days."""

    plan: Plan
    root: Path
    segments: tuple[store.Written, ...]
    days: Days
    rolled_in: float  # seconds

    def files(self, start_ms: int, end_ms: int) -> list[str]:
        """The segments of [start, end)."""
        return [
            str(self.root / one.path)
            for one in self.segments
            if one.min_ts < end_ms and one.max_ts >= start_ms
        ]

    @property
    def events(self) -> int:
        """How many were stored."""
        return sum(one.rows for one in self.segments)


@dataclass(frozen=True)
class Asked:
    """One computation: arguments that reach a fresh process."""

    files: list[str]
    start_ms: int
    end_ms: int
    known_ms: int
    weeks: tuple[Week, ...] = ()
    days: Days | None = None

    @property
    def frame(self) -> Frame:
        """What the passes read."""
        return Frame(
            files=tuple(self.files),
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            as_of_ms=self.known_ms,
            data_end_ms=self.known_ms,
        )


@bench(
    "impact",
    help="the impact of a window against the same SQL run by hand",
    options=[EVENTS, TENTH, LIVE],
)
def impact(*, events: int, tenth: bool, live: bool, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Simulate a store, then measure ours and the baselines in turns, each whole job in a fresh process."""
    if live:
        size = {"customers": 60, "minutes": 3} if quick else {"customers": 5_000, "minutes": 30}
        yield from live_bench.live(events=events, seed=seed, quick=quick, **size)
        return
    tenths: list[Measured] = []
    few = events // 10
    if tenth:
        with TemporaryDirectory(prefix="portal-bench-") as folder:
            stored = _stored(Plan.scenario("partial", seed=seed or 1, events=few), Path(folder))
            for asked in (_window(stored), _with_weeks(stored)):
                same, _ = compare(
                    partial(_ours, asked),
                    partial(_ours, asked),
                    repeats=1 if quick else 5,
                    apart=True,
                )
                tenths.append(same)
    with TemporaryDirectory(prefix="portal-bench-") as folder:
        stored = _stored(Plan.scenario("partial", seed=seed or 1, events=events), Path(folder))
        yield BenchRow(
            "a day rolled up",
            stored.rolled_in / len(stored.days.rolled),
            note=f"the mean of {len(stored.days.rolled)} days of {stored.events:,} events in all",
        )
        window, weeks = f"26 minutes of {events:,} events", f"26 minutes of {events:,} and 4 weeks"
        jobs = [(window, _window(stored), False), (weeks, _with_weeks(stored), True)]
        for number, (name, asked, statistics) in enumerate(jobs):
            for row in _whole_job(name, asked, quick=quick, repeats=9, statistics=statistics):
                yield row
                if tenths and row.row == name:
                    yield BenchRow(
                        f"{name}: against a tenth of them",
                        row.ours / events * 1e6,
                        tenths[number].seconds / few * 1e6,
                        goal=None if quick else at_most(1.1),
                        unit="s a million",
                        baseline_name=f"ours on about {few:,} events",
                    )
        yield from _passes(stored, quick=quick)
        if events <= OFTEN:
            # A window of all five weeks: with more events it does not fit into what a run may hold.
            everything = _everything(stored)
            yield from _whole_job(f"all {events:,} events", everything, quick=quick, repeats=3)


def _whole_job(
    row: str, asked: Asked, *, quick: bool, repeats: int, statistics: bool = False
) -> Iterator[BenchRow]:
    """Time and memory of a job against its own statements run by hand, and beside the plain attempt rule."""
    _say(f"{row}: its statements")
    statements = _statements(asked)
    ours, same = compare(
        partial(_ours, asked),
        partial(_same_by_hand, statements),
        repeats=1 if quick else repeats,
        apart=True,
    )
    yield BenchRow(
        row,
        ours.seconds,
        same.seconds,
        # Intervals by placebo windows are no SQL, so there the hand has nothing to set against them.
        goal=None if quick or statistics else at_most(1.15),
        baseline_name=f"the same {len(statements)} statements by hand",
        note="ours has the statistics as well: no goal" if statistics else "",
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
    if not statistics:
        yield BenchRow(
            f"{row}: attempts",
            ours.seconds,
            measure_apart(_attempts_by_hand, asked).seconds,
            baseline_name="one plain statement that counts attempts only",
            note="it sets no clock right, finds no probe, no uptime and no outage: no goal",
        )


def _passes(stored: Stored, *, quick: bool) -> Iterator[BenchRow]:
    """The passes over earlier weeks, with roll-ups, against their statements on segments."""
    asked = _with_weeks(stored)
    segments = Days(events=tuple(stored.files(*_history(stored.plan))))
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=BY_HAND_MEMORY, temp_directory=spill) as con,
    ):
        run = Runner(con)
        cleaned = clean(run, asked.frame)
        build_chains(run, asked.frame)
        operations = {one for (one,) in run.rows("SELECT DISTINCT operation FROM touched")}
        apart = {"proxies": cleaned.proxies, "probes": cleaned.probes}

        def never_tried(con: Connection, days: Days) -> object:
            run = Runner(con)
            return measures.lost(
                run, asked.frame, asked.weeks, days, operations=operations, **apart
            )

        def not_returned(con: Connection, days: Days) -> object:
            run = Runner(con)
            measures.open_history(run, asked.frame, asked.weeks, **apart)
            return measures.not_returned(run, asked.frame, asked.weeks, days, **apart)

        for name, ours in (("who did not return", not_returned), ("who never tried", never_tried)):
            _say(f"{name}, without roll-ups")
            written = _Written(con)
            same = ours(cast("Connection", written), segments)
            if ours(con, asked.days or Days()) != same:
                raise AssertionError(f"{name}: roll-ups say something else than their events")
            with_rollups, without = compare(
                partial(ours, con, asked.days or Days()),
                partial(_run, con, written.statements),
                repeats=1 if quick or stored.events > OFTEN else 3,
            )
            yield BenchRow(
                f"{name}, of {stored.events:,} events",
                with_rollups.seconds,
                without.seconds,
                goal=None if quick else at_most(0.2),
                baseline_name="its statements by hand, without roll-ups",
                note="the same answer",
            )


def _window(stored: Stored) -> Asked:
    start, end = stored.plan.window_ms
    near = stored.files(*reads(start_ms=start, end_ms=end))
    return Asked(near, start, end, stored.plan.end_ms)


def _with_weeks(stored: Stored) -> Asked:
    start, end = stored.plan.window_ms
    weeks = tuple(
        Week(back, tuple(stored.files(start - back * WEEK_MS, end - back * WEEK_MS)))
        for back in range(1, stored.plan.weeks)
    )
    near = stored.files(*reads(start_ms=start, end_ms=end))
    return Asked(near, start, end, stored.plan.end_ms, weeks, stored.days)


def _everything(stored: Stored) -> Asked:
    plan = stored.plan
    return Asked(stored.files(plan.start_ms, plan.end_ms), plan.start_ms, plan.end_ms, plan.end_ms)


def _history(plan: Plan) -> tuple[int, int]:
    start, end = plan.window_ms
    return return_reads(
        start_ms=start, end_ms=end, seen_ms=plan.end_ms - 1, weeks=range(1, plan.weeks)
    )


def _stored(plan: Plan, root: Path) -> Stored:
    written: list[store.Written] = []
    for number, chunk in enumerate(simulate(plan)):
        done = (chunk.end - plan.start_ms) / (plan.end_ms - plan.start_ms)
        _say(f"storing about {plan.events:,} events: {done:.0%}")
        if chunk.events.num_rows:
            order: NDArray[np.int64] = np.arange(chunk.events.num_rows)
            written += store.write(chunk.events, order=order, batch_id=f"{number:032x}", root=root)
    bare = Stored(plan, root, tuple(written), Days(), 0)
    first, last = _history(plan)
    folders: dict[int, str] = {}
    started = perf_counter()
    for day in range(first // DAY_MS, last // DAY_MS):
        _say(f"rolling up day {day - first // DAY_MS + 1} of {last // DAY_MS - first // DAY_MS}")
        folders[day] = str(root / "rollups" / str(day))
        Path(folders[day]).mkdir(parents=True)
        files = bare.files(day * DAY_MS - BEFORE_MS, (day + 1) * DAY_MS)
        with (
            TemporaryDirectory(prefix="portal-bench-") as spill,
            connect(memory_limit=MEMORY, temp_directory=spill) as con,
        ):
            write_day(Runner(con), day, files, Path(folders[day]))
    took = perf_counter() - started
    unrolled = tuple(
        str(root / one.path)
        for one in written
        if not {one.min_ts // DAY_MS, (one.min_ts + BEFORE_MS) // DAY_MS} <= folders.keys()
    )
    return Stored(plan, root, tuple(written), Days(folders, unrolled), took)


def _say(text: str) -> None:
    """Tell on the standard error how far it is; on a terminal always in the same line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}\r")
    else:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _ours(asked: Asked) -> None:
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=MEMORY, temp_directory=spill) as con,
    ):
        _compute(con, asked, progress=lambda step, of, label: _say(f"{step} of {of}: {label}"))


def _compute(
    con: Connection, asked: Asked, progress: Callable[[int, int, str], None] | None = None
) -> None:
    compute(
        con,
        files=asked.files,
        start_ms=asked.start_ms,
        end_ms=asked.end_ms,
        as_of_ms=asked.known_ms,
        data_end_ms=asked.known_ms,
        names=Catalogue(),
        baseline_weeks=asked.weeks,
        days=asked.days,
        progress=progress,
    )


class _Written:
    """A connection that keeps the statements it is given."""

    def __init__(self, con: Connection) -> None:
        self.con = con
        self.statements: list[str] = []

    def execute(self, text: str) -> Connection:
        self.statements.append(text)
        return self.con.execute(text)


def _statements(asked: Asked) -> list[str]:
    """The SQL of one computation, in order, as text that can be run again."""
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=MEMORY, temp_directory=spill) as con,
    ):
        written = _Written(con)
        _compute(cast("Connection", written), asked)
        return written.statements


def _same_by_hand(statements: list[str]) -> None:
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=MEMORY, temp_directory=spill) as con,
    ):
        _run(con, statements)


def _run(con: Connection, statements: list[str]) -> None:
    for text in statements:
        con.execute(text).fetchall()


def _attempts_by_hand(asked: Asked) -> None:
    with (
        TemporaryDirectory(prefix="portal-bench-") as spill,
        connect(memory_limit=MEMORY, temp_directory=spill) as con,
    ):
        con.execute(attempt_sql(asked.frame)).fetchall()
