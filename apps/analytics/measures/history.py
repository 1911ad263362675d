"""The lost, who never even tried: attempts that usually come at this hour of the week and did not."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from apps.analytics.attempts import (
    AMBIGUOUS_ABOVE,
    DAY_MS,
    DEFAULT_WINDOW_S,
    HOUR_MS,
    Frame,
    behind_proxies_sql,
    clean_sql,
    remove_duplicates,
    without_sql,
)
from apps.analytics.measures.found import CannotTell
from apps.analytics.names import Week
from apps.analytics.sql import Fragment, Runner, events_from, fill
from apps.analytics.stats import Lost, lost_attempts

BIN_MS = 5 * 60_000
CONTROL_MS = 3 * HOUR_MS
WEEK_MS = 7 * DAY_MS
LOST_CUSTOMERS = 200


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
    run.view("history_events", events_from(files, located=True, merged=frame.merged))
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
    Of a window whose end is not known yet, the part that is. Refuses where fewer than 3 weeks or 30
    expected (see `stats.lost_attempts`).
    """
    # What is not known yet is not missing: the window is compared as far as it is seen.
    frame = replace(frame, end_ms=min(frame.end_ms, frame.seen_until_ms + 1))
    length_ms = frame.end_ms - frame.start_ms
    if length_ms > WEEK_MS // 2:
        return {("all", 0): CannotTell("the window is longer than half a week")}
    if length_ms < BIN_MS / 2:
        return {("all", 0): CannotTell("next to nothing of the window is known yet")}
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
        WITH busy AS (
            SELECT customer, operation, actor, max(p_amb) AS p_amb FROM chains_busy GROUP BY ALL),
        e AS (
            SELECT h.ts, h.customer, h.operation, h.target, h.actor, h.outcome,
                   CASE WHEN b.p_amb IS NOT NULL THEN h.key END AS part
            FROM history h LEFT JOIN busy b
              ON b.customer = h.customer AND b.operation = h.operation AND b.actor = h.actor
            WHERE h.outcome <> 2 AND h.ts < $end
              AND NOT (h.key IS NULL AND coalesce(b.p_amb, 0) > $ambiguous)),
        troubled AS (
            SELECT DISTINCT customer, operation, actor FROM e WHERE outcome = 1 AND actor IS NOT NULL),
        quiet AS (
            SELECT e.ts, e.customer, e.operation FROM e ANTI JOIN troubled t
            ON e.customer = t.customer AND e.operation = t.operation AND e.actor = t.actor),
        looked AS (
            SELECT e.*, lag(outcome) OVER p AS before, lag(ts) OVER p AS before_ts
            FROM e SEMI JOIN troubled t
            ON e.customer = t.customer AND e.operation = t.operation AND e.actor = t.actor
            WINDOW p AS (PARTITION BY e.customer, e.operation, e.target, e.actor, e.part
                         ORDER BY ts, outcome DESC)),
        begun AS (
            SELECT ts, customer, operation FROM quiet
            UNION ALL SELECT ts, customer, operation FROM looked
            WHERE before IS NULL OR (part IS NULL AND (before = 0 OR ts - before_ts > $w_ms))),
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
        ambiguous=Fragment(str(AMBIGUOUS_ABOVE)),
        bin_ms=Fragment(repr(float(bin_ms))),
        zero=zero,
        bins=zero + per_window,
    )
