"""What truly happened in the window of a plan, seen while its chunks go by."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from apps.analytics.events import Outcome, Traffic
from apps.analytics.simulate.plan import Plan
from apps.analytics.simulate.stream import Chunk
from apps.analytics.simulate.world import World

AFTER_MS = 10 * 60_000


@dataclass(frozen=True)
class Truth:
    """What truly happened in a plan's window."""

    plan: Plan
    attempts: pa.Table  # simulate.ATTEMPT_SCHEMA, those that begin in the window
    absences: pa.Table  # simulate.ABSENCE_SCHEMA, of the whole run
    logged: pa.Array  # ids of the requests that a log shows in the window
    failed: int  # customers' requests in the window that failed
    answered_500: int  # ... with HTTP 500
    hit: int  # actors of whose requests in the window at least one failed

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


class Witness:
    """Looks at each chunk of a run as it goes by, and keeps what is true of the window."""

    def __init__(self, plan: Plan, world: World) -> None:
        self._plan = plan
        self._skew = world.host_skew
        self._attempts: list[pa.Table] = []
        self._absences: list[pa.Table] = []
        self._near: list[pa.Table] = []

    def see(self, chunk: Chunk, events: pa.Table | None = None) -> None:
        """Take note of a chunk; of these of its events, where not all of them are stored."""
        events = chunk.events if events is None else events
        start, end = self._plan.window_ms
        self._attempts.append(_between(chunk.attempts, "start", start, end))
        self._absences.append(chunk.absences)
        skew = self._skew[events["host"].to_numpy() - 1]
        true = events.append_column("true_ts", pa.array(events["ts"].to_numpy() - skew))
        near = _between(true, "true_ts", start, end)
        self._near.append(near.select(["request", "actor", "outcome", "status", "traffic"]))

    def truth(self) -> Truth:
        """Return what was seen."""
        near = pa.concat_tables(self._near)
        bad = near.filter(
            pc.and_(
                pc.equal(near["outcome"], int(Outcome.FAILED)),
                pc.equal(near["traffic"], int(Traffic.CUSTOMERS)),
            )
        )
        return Truth(
            plan=self._plan,
            attempts=pa.concat_tables(self._attempts),
            absences=pa.concat_tables(self._absences),
            logged=near["request"].combine_chunks(),
            failed=pc.count_distinct(bad["request"]).as_py(),
            answered_500=pc.count_distinct(
                bad.filter(pc.equal(bad["status"], 500))["request"]
            ).as_py(),
            hit=pc.count_distinct(bad["actor"].drop_null()).as_py(),
        )


def _between(table: pa.Table, column: str, start: int, end: int) -> pa.Table:
    at = table[column]
    return table.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, end)))
