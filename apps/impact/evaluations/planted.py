"""Simulated traffic as segments on disk, the truth about a window beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.analytics.events import Outcome, Traffic
from apps.analytics.names import Catalogue, CustomerName
from apps.analytics.simulate import OPERATIONS, Plan, World, build_world, simulate
from apps.telemetry import store

AFTER_MS = 10 * 60_000
PROMISED_MS = {one.id: int(one.promised_ms) for one in OPERATIONS}


@dataclass(frozen=True)
class Planted:
    """Segments of a plan's events, and its true attempts that begin in the window."""

    plan: Plan
    files: tuple[str, ...]
    attempts: pa.Table  # simulate.ATTEMPT_SCHEMA
    absences: pa.Table  # simulate.ABSENCE_SCHEMA, of the whole run
    logged: pa.Array  # ids of the requests that a log shows in the window
    hit: int  # actors of whose requests in the window at least one failed
    catalogue: Catalogue

    @property
    def traced(self) -> pa.Table:
        """The true attempts whose first request a log shows in the window: what can be found at all."""
        return self.attempts.filter(pc.is_in(self.attempts["request"], self.logged))

    @property
    def never_made(self) -> int:
        """Attempts that belong into the window and left no trace in it: never tried, put off, cut short, unseen."""
        start, end = self.plan.window_ms
        inside = _between(self.absences, "ts", start, end)
        return int(
            pc.sum(pc.not_equal(inside["kind"].cast(pa.string()), "not_returned")).as_py() or 0
        )

    @property
    def left(self) -> int:
        """People who gave up in the window and are never seen again because of it."""
        start, end = self.plan.window_ms
        gone = self.absences.filter(
            pc.and_(
                pc.equal(self.absences["kind"].cast(pa.string()), "not_returned"),
                pc.equal(self.absences["cause"].cast(pa.string()), "gave_up"),
            )
        )
        # An attempt that began in the window may have been given up a little after it.
        return int(_between(gone, "ts", start, end + AFTER_MS).num_rows)


@contextmanager
def plant(
    plan: Plan, *, from_ms: int = 0, change: Callable[[pa.Table], pa.Table] | None = None
) -> Iterator[Planted]:
    """Write a plan's events, those before `from_ms` left out; the files are gone afterwards.

    `change` is made to the events as they are stored, and to no truth: what a log may lack or get wrong.
    """
    start, end = plan.window_ms
    world = build_world(plan)
    attempts, absences, logged = [], [], []
    struck: set[int] = set()
    with TemporaryDirectory(prefix="portal-evaluate-") as folder:
        files: list[str] = []
        for number, chunk in enumerate(simulate(plan)):
            late = chunk.events.filter(pc.greater_equal(chunk.events["ts"], from_ms))
            files += write_segments(change(late) if change else late, number, Path(folder))
            attempts.append(_between(chunk.attempts, "start", start, end))
            absences.append(chunk.absences)
            skew = world.host_skew[late["host"].to_numpy() - 1]
            true = late.append_column("true_ts", pa.array(late["ts"].to_numpy() - skew))
            near = _between(true, "true_ts", start, end)
            logged.append(near["request"].combine_chunks())
            bad = near.filter(
                pc.and_(
                    pc.equal(near["outcome"], int(Outcome.FAILED)),
                    pc.equal(near["traffic"], int(Traffic.CUSTOMERS)),
                )
            )
            struck.update(bad["actor"].drop_null().to_pylist())
        yield Planted(
            plan,
            tuple(files),
            pa.concat_tables(attempts),
            pa.concat_tables(absences),
            pa.concat_arrays(logged),
            len(struck),
            _names(world),
        )


def write_segments(table: pa.Table, number: int, root: Path) -> list[str]:
    """Write one chunk of events as the store does; return the files' paths."""
    if not table.num_rows:
        return []
    written = store.write(
        table, order=np.arange(table.num_rows), batch_id=f"{number:032x}", root=root
    )
    return [str(root / one.path) for one in written]


def _between(table: pa.Table, column: str, start: int, end: int) -> pa.Table:
    at = table[column]
    return table.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, end)))


def _names(world: World) -> Catalogue:
    return Catalogue(
        customers={
            one.id: CustomerName(one.id, one.name, _kind(one.kind)) for one in world.customers
        }
    )


def _kind(kind: str) -> str:
    return "consumers" if kind == "consumer" else kind
