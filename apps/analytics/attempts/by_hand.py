"""The same rule in one plain statement."""

from apps.analytics.attempts.chains import KEY_DAY_MS
from apps.analytics.attempts.frame import DEFAULT_WINDOW_S, LEFT_WAITING_MS, Frame
from apps.analytics.sql import events_from, fill


def attempt_sql(frame: Frame) -> str:
    """The attempt rule as one plain statement over all events, as an analyst would write it by hand.

    One row per (customer, operation, class) with the number of attempts and of actors. It takes out
    duplicates, bots and those who moved on, and knows W and the horizon, but not skew, probes, proxies or
    ambiguity. `bench impact` prints it beside ours and it is what the tests hold `compute` to.
    """
    return fill(
        """
        WITH events AS ($events),
        ranked AS (
            SELECT *, row_number() OVER (
                PARTITION BY service, request ORDER BY arrived NULLS LAST, ts, outcome) AS place
            FROM events WHERE $within AND request IS NOT NULL),
        kept AS (
            SELECT * EXCLUDE (place) FROM ranked WHERE place = 1
            UNION ALL SELECT * FROM events WHERE $within AND request IS NULL),
        tries AS (
            SELECT customer, operation, target, actor, key, ts,
                   ts + coalesce(latency_ms, 0) AS until, outcome = 0 AS ok
            FROM kept WHERE traffic = 0 AND (outcome <> 2 OR latency_ms >= $left_ms)),
        looked AS (
            SELECT *, lag(ok) OVER p AS ok_before, lag(until) OVER p AS before,
                   lag(key) OVER p AS key_before FROM tries
            WINDOW p AS (PARTITION BY customer, operation, target, actor ORDER BY ts, ok, until)),
        numbered AS (
            SELECT *, sum(CASE WHEN before IS NULL THEN 1
                               WHEN key = key_before AND ts - before <= $day THEN 0
                               WHEN ok_before OR ts - before > $w_ms THEN 1 ELSE 0 END)
                      OVER (PARTITION BY customer, operation, target, actor
                            ORDER BY ts, ok, until ROWS UNBOUNDED PRECEDING) AS chain
            FROM looked),
        whole AS (
            SELECT customer, operation, target, actor, chain, min(ts) AS start_ts,
                   max(until) AS last_until, bool_or(ok) AS ok, min(ts) FILTER (ok) AS ok_ts,
                   count_if(NOT ok) AS fails
            FROM numbered GROUP BY ALL),
        later AS (
            SELECT *, min(ok_ts) OVER (
                PARTITION BY customer, operation, target, actor ORDER BY chain
                ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next_ok FROM whole)
        SELECT customer, operation,
               CASE WHEN ok AND fails = 0 THEN 'first_try' WHEN ok THEN 'retried'
                    WHEN next_ok - last_until <= $horizon THEN 'came_back'
                    WHEN $as_of - last_until < $w_ms THEN 'open' ELSE 'gave_up' END AS class,
               count(*) AS attempts, count(DISTINCT actor) AS actors
        FROM later WHERE start_ts >= $start AND start_ts < $end GROUP BY ALL
        """,
        events=events_from(frame.files, merged=frame.merged),
        within=frame.within,
        day=KEY_DAY_MS,
        w_ms=DEFAULT_WINDOW_S * 1000,
        left_ms=LEFT_WAITING_MS,
        horizon=frame.horizon_ms,
        as_of=frame.as_of_ms,
        start=frame.start_ms,
        end=frame.end_ms,
    )
