"""A broken meter: calls reported as failed while callers carry on as if they had not."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from apps.analytics.attempts.frame import DEFAULT_WINDOW_S, DISTRUSTED, Frame
from apps.analytics.names import PEOPLE_KINDS
from apps.analytics.sql import Fragment, Runner, fill, numbers, rows_of
from apps.analytics.stats import Z95, wilson

ALL_FAILED = 0.95
ENOUGH_CALLS = 50
ENOUGH_ACTORS = 20
AGAIN_MORE = 0.10
ONWARD_LESS = 0.15
AGAIN_AT_MOST = 0.30
FAR_AT_LEAST = 0.25
FAR_THINGS = 4
ONWARD_MS = 30 * 60_000
PERSON_MS = 1_000  # a browser asks for icons and parts of a page sooner; people need longer


@dataclass(frozen=True, slots=True)
class Conduct:
    """What people did after their calls, averaged over people: shares 0..1 with standard errors.

    `far` is the share of people who asked for at least four different things.
    """

    actors: int
    again: float
    again_error: float
    onward: float
    onward_error: float
    far: float


@dataclass(frozen=True, slots=True)
class BrokenMeter:
    """Operations whose reported failures are not believed, and why.

    `calls` of their requests in the window are set apart. `after` is what people did after a call that
    is reported as failed, `usual` after one that went well outside the window; None where there is none.
    """

    services: tuple[int, ...]
    operations: tuple[int, ...]
    calls: int
    after: Conduct
    usual: Conduct | None


def find_broken_meters(run: Runner, frame: Frame, *, source: str) -> tuple[BrokenMeter, ...]:
    """Find the operations whose failures nobody behaves as if they had happened.

    Looked at: everything together, then each service, then each operation, where at least 95 % of at
    least 50 calls in the window are reported as failed. Whoever truly fails tries the same again, or leaves; so
    for each person two shares of their calls are taken:

    * again: followed by the same person's same call within 300 s;
    * onward: the next call of theirs that begins a second or later (what comes sooner, a browser sends
      by itself), within 30 minutes, is for something else, and went well or is doubted with this
      one: whoever meets the next failure has not got on.

    Averaged over people (their calls are not independent) and compared with the same shares after
    successes outside the window. The meter is broken when, with 95 % confidence, "again" is at most
    0.10 above and "onward" at most 0.15 below the usual (an equivalence test, Schuirmann 1987). With
    no successes to compare with, of everything together or a whole service only: "again" at most
    0.30, and more than a quarter of the people (Wilson's lower bound) asked for four different things or
    more, each a second after what came before: who is shown an error each time hardly does.

    Assumes people: programs may carry on whatever they are told. Calls of business customers count
    only where a user or session stands behind them. Refuses (believes the meter) below 20 people.
    """
    found: list[BrokenMeter] = []
    doubted: set[int] = set()
    touched = run.rows("SELECT count(DISTINCT operation) FROM touched WHERE failed + ok > 0")[0][0]
    for services, operations, calls in _candidates(run):
        if not doubted.isdisjoint(operations):
            continue
        after, usual = _conduct(run, frame, source=source, operations=operations)
        if usual is None and len(operations) == 1 and len(operations) < touched:
            continue
        if after is not None and _as_usual(after, usual):
            found.append(BrokenMeter(services, tuple(operations), calls, after, usual))
            doubted.update(operations)
    return tuple(found)


def distrust_sql(*, source: str, frame: Frame, operations: Iterable[int]) -> str:
    """The same events; failures of these operations in the window say nothing."""
    operations = list(operations)
    if not operations:
        return fill("SELECT * FROM $source", source=Fragment(source))
    return fill(
        "SELECT * REPLACE (CASE WHEN outcome IN (1, 3) AND ts >= $start AND ts < $end"
        " AND operation IN ($operations) THEN $distrusted ELSE outcome END AS outcome) FROM $source",
        source=Fragment(source),
        start=frame.start_ms,
        end=frame.end_ms,
        operations=numbers(operations),
        distrusted=DISTRUSTED,
    )


def _candidates(run: Runner) -> list[tuple[tuple[int, ...], list[int], int]]:
    """(services, operations, calls) whose calls all fail: all together, one service, one operation."""
    rows = run.rows(
        "SELECT service, operation, sum(failed)::BIGINT, sum(failed + ok)::BIGINT FROM touched"
        " WHERE failed + ok > 0 GROUP BY service, operation ORDER BY service, operation"
    )
    each = [(int(service), int(op), int(failed), int(n)) for service, op, failed, n in rows]
    services = sorted({row[0] for row in each})
    groups = [each, *([row for row in each if row[0] == one] for one in services)]
    groups += [[row] for row in each]
    return [
        (
            tuple(sorted({row[0] for row in group})),
            [row[1] for row in group],
            sum(row[2] for row in group),
        )
        for group in groups
        if _all_failed(sum(row[2] for row in group), sum(row[3] for row in group))
    ]


def _all_failed(failed: int, n: int) -> bool:
    return n >= ENOUGH_CALLS and failed >= ALL_FAILED * n


def _conduct(
    run: Runner, frame: Frame, *, source: str, operations: list[int]
) -> tuple[Conduct | None, Conduct | None]:
    programs = sorted(c for c, kind in frame.kinds.items() if kind not in PEOPLE_KINDS)
    rows = run.rows(
        fill(
            _CONDUCT,
            source=Fragment(source),
            operations=numbers(operations),
            programs=rows_of([(one,) for one in programs] or [(-1,)], "(customer)"),
            start=frame.start_ms,
            end=frame.end_ms,
            again_ms=DEFAULT_WINDOW_S * 1000,
            onward_ms=ONWARD_MS,
            person_ms=PERSON_MS,
            far_things=FAR_THINGS,
        )
    )
    found = {
        bool(inside): Conduct(
            int(n), again, (again_sd or 0) / sqrt(n), onward, (onward_sd or 0) / sqrt(n), far
        )
        for inside, n, again, again_sd, onward, onward_sd, far in rows
        if n >= ENOUGH_ACTORS
    }
    return found.get(True), found.get(False)


# A run is calls for one thing after another; a later one begins with a call for another thing.
_CONDUCT = """
WITH people AS (
    SELECT ts, ts + latency AS until, actor, operation, coalesce(target, 0) AS target, outcome
    FROM $source WHERE actor IS NOT NULL AND outcome <> 2 AND (
        actor_kind IN (1, 2) OR customer NOT IN (SELECT customer FROM $programs))),
asked AS (SELECT DISTINCT actor FROM people WHERE operation IN ($operations)),
marked AS (
    SELECT *, lead(ts) OVER same AS same_ts,
           coalesce(operation <> lag(operation) OVER all_ OR target <> lag(target) OVER all_, true)
               AS other,
           coalesce(ts - lag(until) OVER all_ >= $person_ms, true) AS paced
    FROM people SEMI JOIN asked USING (actor)
    WINDOW same AS (PARTITION BY actor, operation, target ORDER BY ts, until),
           all_ AS (PARTITION BY actor ORDER BY ts, until, operation, target)),
numbered AS (
    SELECT *, sum(other::INTEGER) OVER (
        PARTITION BY actor ORDER BY ts, until, operation, target ROWS UNBOUNDED PRECEDING) AS run
    FROM marked),
begun AS (
    SELECT actor, run, min(ts) AS ts, min(operation) AS operation, min(target) AS target,
           bool_or(outcome = 0) OR min(operation) IN ($operations) AS got_on
    FROM numbered GROUP BY actor, run),
judged AS (
    SELECT n.actor, n.operation, n.target, n.paced, n.ts >= $start AND n.ts < $end AS inside,
           coalesce(n.same_ts - n.until <= $again_ms, false) AS again,
           coalesce(b.got_on AND b.ts - n.until <= $onward_ms
                    AND (b.operation <> n.operation OR b.target <> n.target), false) AS onward
    FROM numbered n ASOF LEFT JOIN begun b
         ON b.actor = n.actor AND b.ts >= n.until + $person_ms
    WHERE n.operation IN ($operations)
      AND (n.outcome = 1 AND n.ts >= $start AND n.ts < $end
           OR n.outcome = 0 AND (n.ts < $start OR n.ts >= $end))),
each AS (
    SELECT actor, inside, avg(again::INTEGER) AS again, avg(onward::INTEGER) AS onward,
           count(DISTINCT (operation, target)) FILTER (paced) >= $far_things AS far
    FROM judged GROUP BY actor, inside)
SELECT inside, count(*), avg(again), stddev_samp(again), avg(onward), stddev_samp(onward),
       avg(far::INTEGER)
FROM each GROUP BY inside
"""


def _as_usual(after: Conduct, usual: Conduct | None) -> bool:
    if usual is None:
        return (
            after.again + Z95 * after.again_error <= AGAIN_AT_MOST
            and wilson(round(after.far * after.actors), after.actors)[0] > FAR_AT_LEAST
        )
    again = after.again - usual.again, sqrt(after.again_error**2 + usual.again_error**2)
    onward = after.onward - usual.onward, sqrt(after.onward_error**2 + usual.onward_error**2)
    return again[0] + Z95 * again[1] <= AGAIN_MORE and onward[0] - Z95 * onward[1] >= -ONWARD_LESS
