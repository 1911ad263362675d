"""What people felt: how much of their time was up, how long each customer was dark, usual latency."""

from apps.analytics.attempts import (
    HOUR_MS,
    Frame,
)
from apps.analytics.measures.found import Outage, UserUptime
from apps.analytics.sql import Fragment, Runner, fill, numbers

CUTOFF_MS = 30 * 60_000
UPTIME_ACTORS = 10_000
UPTIME_MIN_ACTORS = 10
OUTAGE_MIN_FAILURES = 5
MOST_PIECES = 2_000_000


def user_uptime(run: Runner, frame: Frame) -> tuple[dict[int | None, UserUptime], int]:
    """User-uptime (Hauer et al., NSDI 2020) with the midpoint rule; by customer, None = everybody.

    An actor's time between two events is up or down by the events around it: both alike, that state;
    unlike, half each. Time counts up to 30 minutes after an event. Before and after are the hour
    next to the window. Fewer than 10 actors: None. Above 10,000 actors a fixed share of them, chosen
    by their hash, is used; the second value says one in how many.

    Leaves `halves`: up to two million pieces of their time, or those of fewer of them.
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
    (events,) = run.one("SELECT sum(n_all - aborted) FROM touched WHERE actor IS NOT NULL")
    pieces = int(events or 0) // one_in
    if few := pieces <= MOST_PIECES:
        run.table("halves", _halves(frame, one_in))
    else:
        run.table("halves", _halves(frame, one_in * -(-pieces // MOST_PIECES)))
    found = run.rows(
        fill(
            """
            WITH each AS (SELECT customer, actor, up, $sums FROM $halves GROUP BY customer, actor, up)
            SELECT customer, grouping(customer), $totals
            FROM each GROUP BY GROUPING SETS ((), (customer))
            """,
            halves=Fragment("halves" if few else f"({_halves(frame, one_in)})"),
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


def _halves(frame: Frame, one_in: int) -> str:
    """Pieces of actors' time, up or down: customer, actor, a, b (epoch ms), up."""
    return fill(
        """
        WITH tries AS (
            SELECT customer, actor, ts, outcome = 0 AS ok FROM clean
            WHERE actor IS NOT NULL AND outcome NOT IN (2, 4) AND hash(actor) % $one_in = 0
              AND ts >= $from_ms AND ts < $to_ms),
        spans AS (
            SELECT customer, actor, ts, ok, lead(ts) OVER p AS next_ts, lead(ok) OVER p AS next_ok
            FROM tries WINDOW p AS (PARTITION BY customer, actor ORDER BY ts, ok)),
        ends AS (
            SELECT *, CASE WHEN next_ts - ts <= $cutoff THEN next_ts
                           ELSE least(ts + $cutoff, $seen) END AS until,
                   next_ts - ts <= $cutoff AND next_ok <> ok AS changes FROM spans)
        SELECT customer, actor, ts AS a,
               CASE WHEN changes THEN (ts + until) / 2.0 ELSE until END AS b, ok AS up
        FROM ends
        UNION ALL
        SELECT customer, actor, (ts + until) / 2.0, until, next_ok FROM ends WHERE changes
        """,
        one_in=one_in,
        from_ms=frame.start_ms - HOUR_MS - CUTOFF_MS,
        to_ms=min(frame.end_ms + HOUR_MS + CUTOFF_MS, frame.read_to_ms),
        cutoff=CUTOFF_MS,
        seen=max(frame.start_ms, frame.seen_until_ms),
    )


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
                WHERE outcome NOT IN (2, 4) AND ts >= $start AND ts < $until GROUP BY ALL),
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
                WHERE outcome NOT IN (2, 4) AND ts >= $start AND ts < $until
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
