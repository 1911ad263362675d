"""Measures that need more than counting attempts: uptime of users, dark time, the lost, the gone.

Each function says what it means, its unit, and when it refuses (a `CannotTell`, never a guess).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from apps.analytics.attempts import (
    DAY_MS,
    DEFAULT_WINDOW_S,
    HOUR_MS,
    Frame,
    behind_proxies_sql,
    clean_sql,
    remove_duplicates,
    without_sql,
)
from apps.analytics.names import Week
from apps.analytics.sql import Fragment, Runner, events_from, fill, numbers
from apps.analytics.stats import Interval, Lost, Stratum, excess_gone, lost_attempts

CUTOFF_MS = 30 * 60_000
UPTIME_ACTORS = 10_000
UPTIME_MIN_ACTORS = 10
OUTAGE_MIN_FAILURES = 5
EXPOSED_NEEDED = 30
BIN_MS = 5 * 60_000
CONTROL_MS = 3 * HOUR_MS
WEEK_MS = 7 * DAY_MS
LOST_CUSTOMERS = 200


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The honest answer where a number would be a guess."""

    why: str


@dataclass(frozen=True, slots=True)
class UserUptime:
    """Share of active user time that was up, before, during and after the window (0..1 or None)."""

    before: float | None
    during: float | None
    after: float | None
    actors: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A customer's own outage: first failure to next success (None: not seen), failures in it."""

    from_ms: int
    to_ms: int | None
    failures: int


@dataclass(frozen=True, slots=True)
class NotReturned:
    """People whose attempt failed for good, and how many more than usual have not been seen since."""

    exposed: int
    missing: int
    interval: Interval
    compared: int


def user_uptime(run: Runner, frame: Frame) -> tuple[dict[int | None, UserUptime], int]:
    """User-uptime (Hauer et al., NSDI 2020) with the midpoint rule; by customer, None = everybody.

    An actor's time between two events is up or down by the events around it: both alike, that state;
    unlike, half each. Time counts up to 30 minutes after an event. Before and after are the hour
    next to the window. Fewer than 10 actors: None. Above 10,000 actors a fixed share of them, chosen
    by their hash, is used; the second value says one in how many.
    """
    (actors,) = run.one(
        "SELECT count(DISTINCT actor) FROM touched WHERE actor IS NOT NULL AND n_all > aborted"
    )
    one_in = max(1, -(-int(actors) // UPTIME_ACTORS))
    periods = {
        "before": (frame.start_ms - HOUR_MS, frame.start_ms),
        "during": (frame.start_ms, frame.end_ms),
        "after": (frame.end_ms, min(frame.end_ms + HOUR_MS, frame.read_to_ms)),
    }
    sums = ", ".join(
        fill(
            "sum(greatest(0, least(b, $end) - greatest(a, $start))) AS $name",
            start=start,
            end=end,
            name=Fragment(name),
        )
        for name, (start, end) in periods.items()
    )
    totals = ", ".join(
        fill(
            """
            sum($name) FILTER (up), sum($name) FILTER (NOT up),
            count(DISTINCT actor) FILTER ($name > 0)
            """,
            name=Fragment(name),
        )
        for name in periods
    )
    found = run.rows(
        fill(
            """
            WITH tries AS (
                SELECT customer, actor, ts, outcome = 0 AS ok FROM clean
                WHERE actor IS NOT NULL AND outcome <> 2 AND hash(actor) % $one_in = 0
                  AND ts >= $from_ms AND ts < $to_ms),
            spans AS (
                SELECT customer, actor, ts, ok, lead(ts) OVER p AS next_ts, lead(ok) OVER p AS next_ok
                FROM tries WINDOW p AS (PARTITION BY customer, actor ORDER BY ts, ok)),
            ends AS (
                SELECT *, CASE WHEN next_ts - ts <= $cutoff THEN next_ts
                               ELSE least(ts + $cutoff, $seen) END AS until,
                       next_ts - ts <= $cutoff AND next_ok <> ok AS changes FROM spans),
            halves AS (
                SELECT customer, actor, ts AS a,
                       CASE WHEN changes THEN (ts + until) / 2.0 ELSE until END AS b, ok AS up
                FROM ends
                UNION ALL
                SELECT customer, actor, (ts + until) / 2.0, until, next_ok FROM ends WHERE changes),
            each AS (SELECT customer, actor, up, $sums FROM halves GROUP BY customer, actor, up)
            SELECT customer, grouping(customer), $totals
            FROM each GROUP BY GROUPING SETS ((), (customer))
            """,
            one_in=one_in,
            from_ms=frame.start_ms - HOUR_MS - CUTOFF_MS,
            to_ms=min(frame.end_ms + HOUR_MS + CUTOFF_MS, frame.read_to_ms),
            cutoff=CUTOFF_MS,
            seen=max(frame.start_ms, frame.seen_until_ms),
            sums=Fragment(sums),
            totals=Fragment(totals),
        )
    )
    result: dict[int | None, UserUptime] = {}
    for row in found:
        shares = [_share(*row[i : i + 3]) for i in (2, 5, 8)]
        result[None if row[1] else row[0]] = UserUptime(
            shares[0], shares[1], shares[2], int(row[7] or 0)
        )
    return result, one_in


def _share(up: float | None, down: float | None, actors: int) -> float | None:
    total = float(up or 0) + float(down or 0)
    if actors < UPTIME_MIN_ACTORS or total <= 0:
        return None
    return float(up or 0) / total


def outages(run: Runner, frame: Frame) -> dict[int, Outage]:
    """Per customer the longest run without any success that holds at least 5 failures.

    From the first failure to the next success (which may lie after the window); the run begins in
    the window. Accurate to one gap between requests. Nothing for a customer with fewer failures.
    Minutes in which less than a tenth of a customer's requests fail, and no neighbour does worse,
    count as up: a busy customer's few failures in a row within a second are no outage.
    """
    found = run.rows(
        fill(
            """
            WITH struck AS (
                SELECT customer FROM touched GROUP BY customer HAVING sum(failed) >= $least),
            minutes AS MATERIALIZED (
                SELECT customer, ts // 60000 AS minute, min(ts) FILTER (outcome = 0) AS ok_ts,
                       count(*) FILTER (outcome = 1) * 10 >= count(*) AS bad
                FROM clean SEMI JOIN struck USING (customer)
                WHERE outcome <> 2 AND ts >= $start AND ts < $until GROUP BY ALL),
            close AS MATERIALIZED (
                SELECT DISTINCT customer, minute + side AS minute
                FROM minutes, (VALUES (-1), (0), (1)) AS sides(side) WHERE bad),
            quarters AS (SELECT DISTINCT customer, minute // 15 AS quarter, true AS near FROM close),
            calm AS (
                SELECT customer, minute, minute // 15 AS quarter, ok_ts
                FROM minutes ANTI JOIN close USING (customer, minute) WHERE ok_ts IS NOT NULL),
            tries AS MATERIALIZED (
                SELECT customer, ts, outcome = 0 AS ok FROM clean
                SEMI JOIN close ON clean.customer = close.customer
                     AND clean.ts // 60000 = close.minute
                WHERE outcome <> 2 AND ts >= $start AND ts < $until
                UNION ALL
                SELECT customer, min(ok_ts), true
                FROM calm LEFT JOIN quarters USING (customer, quarter)
                GROUP BY customer, quarter, CASE WHEN near THEN minute END),
            good AS MATERIALIZED (SELECT DISTINCT customer, ts FROM tries WHERE ok),
            runs AS MATERIALIZED (
                SELECT f.customer, g.ts AS after_ms, min(f.ts) AS from_ms, max(f.ts) AS last_ms,
                       count(*) FILTER (f.ts < $end) AS failures
                FROM tries f ASOF LEFT JOIN good g ON f.customer = g.customer AND f.ts > g.ts
                WHERE NOT f.ok GROUP BY f.customer, g.ts
                HAVING count(*) FILTER (f.ts < $end) >= $least),
            dark AS (
                SELECT r.customer, r.from_ms, r.last_ms, r.failures, g.ts AS to_ms
                FROM runs r ASOF LEFT JOIN good g ON r.customer = g.customer AND r.last_ms <= g.ts)
            SELECT customer, from_ms, to_ms, failures FROM dark
            QUALIFY row_number() OVER (PARTITION BY customer
                ORDER BY coalesce(to_ms, last_ms) - from_ms DESC, from_ms) = 1
            """,
            start=frame.start_ms,
            end=frame.end_ms,
            until=min(frame.end_ms + HOUR_MS, frame.read_to_ms),
            least=OUTAGE_MIN_FAILURES,
        )
    )
    return {int(c): Outage(int(a), None if b is None else int(b), int(n)) for c, a, b, n in found}


def open_history(
    run: Runner,
    frame: Frame,
    weeks: Sequence[Week],
    *,
    proxies: Sequence[int],
    probes: Sequence[int],
) -> None:
    """Make `history`: the cleaned events of the earlier weeks and of the window's own reading."""
    files = [*frame.files, *(name for week in weeks for name in week.files)]
    run.view("history_events", events_from(files, located=True))
    within = Fragment("true" if frame.service is None else f"service = {int(frame.service)}")
    first = frame.start_ms - WEEK_MS * (max(w.back for w in weeks) + 2)
    run.view(
        "history_raw",
        fill(
            "SELECT * FROM history_events WHERE ts >= $first AND ts < $last AND $within",
            first=first,
            last=frame.read_to_ms,
            within=within,
        ),
    )
    remove_duplicates(run, source="history_raw", target="history_once")
    run.view("history_visits", clean_sql(source="history_once"))
    run.view("history_people", without_sql(source="history_visits", probes=probes))
    run.view("history", behind_proxies_sql(source="history_people", proxies=proxies))


def lost(
    run: Runner, frame: Frame, weeks: Sequence[Week], *, operations: Iterable[int]
) -> dict[tuple[str, int], Lost | CannotTell]:
    """Lost attempts ("never even tried") for everybody, for operations, for large customers.

    Keys: ("all", 0), ("operation", id), ("customer", id). A start is a request that does not follow
    a failure of the same actor at the same thing within W. Weeks differ by exactly seven days.
    Refuses where fewer than 3 weeks or 30 expected (see `stats.lost_attempts`).
    """
    length_ms = frame.end_ms - frame.start_ms
    if length_ms > WEEK_MS // 2:
        return {("all", 0): CannotTell("the window is longer than half a week")}
    per_window = max(1, round(length_ms / BIN_MS))
    bin_ms = length_ms / per_window
    control = max(1, round(CONTROL_MS / bin_ms))
    step = max(1, round(HOUR_MS / 2 / bin_ms))
    back = max(week.back for week in weeks)
    zero = int((WEEK_MS - length_ms) // bin_ms)
    run.table("starts", _starts_sql(frame, bin_ms=bin_ms, zero=zero, per_window=per_window))
    shape = (back + 1, zero + per_window)
    wanted = [("all", 0, "true")]
    wanted += [("operation", op, f"operation = {int(op)}") for op in sorted(set(operations))]
    wanted += [("customer", c, f"customer = {c}") for c in _large_customers(run, zero, len(weeks))]
    result: dict[tuple[str, int], Lost | CannotTell] = {}
    for kind, ident, condition in wanted:
        grid = np.zeros(shape, dtype=np.int64)
        counts = run.rows(
            fill(
                "SELECT week, bin, sum(n) FROM starts WHERE $condition AND week <= $back"
                " GROUP BY week, bin",
                condition=Fragment(condition),
                back=back,
            )
        )
        if counts:
            week, place, n = (
                np.array(column, dtype=np.int64) for column in zip(*counts, strict=True)
            )
            grid[week, place] = n
        answer = lost_attempts(grid, zero=zero, length=per_window, control=control, step=step)
        result[kind, ident] = CannotTell(answer) if isinstance(answer, str) else answer
    return result


def _large_customers(run: Runner, zero: int, weeks: int) -> list[int]:
    """Customers for whom 30 attempts may be expected in the window, the largest first."""
    found = run.rows(
        fill(
            "SELECT customer FROM starts WHERE week >= 1 AND bin >= $zero AND customer <> 0"
            " GROUP BY customer HAVING sum(n) >= $least ORDER BY sum(n) DESC, customer LIMIT $most",
            zero=zero,
            least=15 * weeks,
            most=LOST_CUSTOMERS,
        )
    )
    return [int(row[0]) for row in found]


def _starts_sql(frame: Frame, *, bin_ms: float, zero: int, per_window: int) -> str:
    """Attempt starts per (week, bin, customer, operation); bin `zero` begins with the window."""
    return fill(
        """
        WITH e AS (
            SELECT ts, customer, operation, target, actor, outcome FROM history
            WHERE outcome <> 2 AND ts < $end),
        troubled AS (
            SELECT DISTINCT customer, operation, actor FROM e WHERE outcome = 1 AND actor IS NOT NULL),
        quiet AS (
            SELECT e.ts, e.customer, e.operation FROM e ANTI JOIN troubled t
            ON e.customer = t.customer AND e.operation = t.operation AND e.actor = t.actor),
        looked AS (
            SELECT e.*, lag(outcome) OVER p AS before, lag(ts) OVER p AS before_ts
            FROM e SEMI JOIN troubled t
            ON e.customer = t.customer AND e.operation = t.operation AND e.actor = t.actor
            WINDOW p AS (PARTITION BY e.customer, e.operation, e.target, e.actor
                         ORDER BY ts, outcome DESC)),
        begun AS (
            SELECT ts, customer, operation FROM quiet
            UNION ALL SELECT ts, customer, operation FROM looked
            WHERE before IS NULL OR before = 0 OR ts - before_ts > $w_ms),
        placed AS (
            SELECT (($end - 1 - ts) // $week_ms)::INTEGER AS week, customer, operation, ts FROM begun)
        SELECT week, customer, operation,
               floor((ts - ($start - week * $week_ms)) / $bin_ms)::INTEGER + $zero AS bin,
               count(*) AS n
        FROM placed GROUP BY ALL HAVING bin >= 0 AND bin < $bins
        """,
        start=frame.start_ms,
        end=frame.end_ms,
        week_ms=Fragment(f"{WEEK_MS}::BIGINT"),
        w_ms=DEFAULT_WINDOW_S * 1000,
        bin_ms=Fragment(repr(float(bin_ms))),
        zero=zero,
        bins=zero + per_window,
    )


def not_returned(run: Runner, frame: Frame, weeks: Sequence[Week]) -> NotReturned | CannotTell:
    """People whose attempt was given up (or who came back only later) and who were not seen since.

    Not seen: no request in the horizon H after the window. Compared with people active in the same
    window of earlier weeks, stratum by stratum of activity (active hours in the seven days before):
    never with everyone else, for those who are hit are the active ones. Refuses below 30 exposed,
    without an earlier week whose seven days before are known too, and before H has passed.
    """
    if frame.seen_until_ms < frame.end_ms + frame.horizon_ms:
        return CannotTell("the time in which they may come back has not passed")
    (exposed,) = run.one(
        "SELECT count(DISTINCT actor) FROM chains WHERE class IN ('gave_up', 'came_back')"
    )
    if exposed < EXPOSED_NEEDED:
        return CannotTell(f"only {exposed} people failed for good; 30 are needed")
    run.table(
        "exposed",
        "SELECT DISTINCT actor FROM chains"
        " WHERE class IN ('gave_up', 'came_back') AND actor IS NOT NULL",
    )
    (first,) = run.one("SELECT min(ts) FROM history")
    backs = [
        w.back
        for w in weeks
        if first <= frame.start_ms - WEEK_MS * (w.back + 1) + DAY_MS and w.back > 0
    ]
    if not backs:
        return CannotTell("no earlier week with the seven days before it to compare with")
    ours = _strata(run, frame, back=0)
    theirs: dict[int, tuple[int, int]] = {}
    for back in backs:
        for stratum, (n, gone) in _strata(run, frame, back=back).items():
            known = theirs.get(stratum, (0, 0))
            theirs[stratum] = (known[0] + n, known[1] + gone)
    if not theirs:
        return CannotTell("nobody was active in the same window of earlier weeks")
    strata = [
        Stratum(n, gone, *_nearest(theirs, stratum)) for stratum, (n, gone) in sorted(ours.items())
    ]
    missing = sum(s.exposed_gone for s in strata)
    compared = sum(n for n, _ in theirs.values())
    return NotReturned(int(exposed), missing, excess_gone(strata), compared)


def _nearest(known: dict[int, tuple[int, int]], stratum: int) -> tuple[int, int]:
    """The comparison of this stratum, or of the nearest one that has any."""
    return known[min(known, key=lambda other: (abs(other - stratum), other))]


def _strata(run: Runner, frame: Frame, *, back: int) -> dict[int, tuple[int, int]]:
    """(people, of these gone) per stratum of earlier activity, for the week `back` weeks earlier."""
    start, end = frame.start_ms - back * WEEK_MS, frame.end_ms - back * WEEK_MS
    who = "SELECT actor FROM exposed"
    if back:
        who = fill(
            "SELECT DISTINCT actor FROM history"
            " WHERE actor IS NOT NULL AND outcome <> 2 AND ts >= $start AND ts < $end",
            start=start,
            end=end,
        )
    found = run.rows(
        fill(
            """
            WITH who AS ($who),
            seen AS (
                SELECT actor,
                       count(DISTINCT CASE WHEN ts < $start THEN ts // 3600000 END) AS hours,
                       count_if(ts >= $end) AS after
                FROM history SEMI JOIN who USING (actor)
                WHERE ts >= $before AND ts < $until GROUP BY actor)
            SELECT CASE WHEN hours <= 2 THEN hours WHEN hours <= 4 THEN 3 WHEN hours <= 7 THEN 4
                        ELSE 5 END AS stratum, count(*), count_if(after = 0)
            FROM seen GROUP BY stratum
            """,
            who=Fragment(who),
            start=start,
            end=end,
            before=start - WEEK_MS,
            until=end + frame.horizon_ms,
        )
    )
    return {int(s): (int(n), int(gone)) for s, n, gone in found}


def usual_latency(run: Runner, frame: Frame) -> dict[int, float]:
    """Median latency of successes per operation, ms: from the look-back, else from the window.

    From one request in eight (those whose start is a multiple of 8 ms) where that is plenty.
    """
    (plenty,) = run.one("SELECT sum(ok) > 1000000 FROM touched")
    operations = [
        int(r[0]) for r in run.rows("SELECT DISTINCT operation FROM chains WHERE class = 'retried'")
    ]
    if not operations:
        return {}
    found = run.rows(
        fill(
            """
            WITH counted AS (
                SELECT operation, coalesce(latency_ms, 0) AS latency, ts < $start AS before,
                       count(*) AS n
                FROM deduped WHERE outcome = 0 AND traffic = 0 AND operation IN ($operations)
                AND ts < $end AND ts % $one_in = 0 GROUP BY ALL),
            ordered AS (
                SELECT *, sum(n) OVER (PARTITION BY operation, before ORDER BY latency) AS upto,
                       sum(n) OVER (PARTITION BY operation, before) AS everything FROM counted),
            middle AS (
                SELECT operation, before, min(latency) AS ms FROM ordered
                WHERE 2 * upto >= everything GROUP BY operation, before)
            SELECT operation, arg_max(ms, before) FROM middle GROUP BY operation
            """,
            start=frame.start_ms,
            end=frame.end_ms,
            operations=numbers(operations),
            one_in=8 if plenty else 1,
        )
    )
    return {int(op): float(ms) for op, ms in found if ms is not None}
