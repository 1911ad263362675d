"""The lost, who never even tried: attempts that usually come at this hour of the week and did not."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from apps.analytics.attempts import (
    AMBIGUOUS_ABOVE,
    DAY_MS,
    Frame,
    behind_proxies_sql,
    clean_sql,
    without_sql,
)
from apps.analytics.daily import MINUTE_MS, Days, open_once, starts_sql
from apps.analytics.measures.found import CannotTell
from apps.analytics.names import Week
from apps.analytics.sql import Fragment, Runner, events_from, fill, numbers, rows_of
from apps.analytics.stats import Lost, NetLost, lost_attempts
from apps.analytics.stats import net_lost as net_of

BIN_MINUTES = 5
CONTROL_MINUTES = 180
DAY_MINUTES = 1440
WEEK_MINUTES = 7 * DAY_MINUTES
WEEK_MS = 7 * DAY_MS
LOST_CUSTOMERS = 200
PUT_OFF_MINUTES = 360
"""Attempts that were put off are looked for in the six hours after the window."""
NOT_PASSED = "the six hours in which they may make up for it have not passed"


def open_history(
    run: Runner,
    frame: Frame,
    weeks: Sequence[Week],
    *,
    proxies: Sequence[int],
    probes: Sequence[int],
) -> None:
    """Make `history`: the cleaned events of the earlier weeks and of the window's own reading.

    A request that was reported twice is in it twice: it tells who was there, not how often.
    """
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
    run.view("history_visits", clean_sql(source="history_raw"))
    run.view("history_people", without_sql(source="history_visits", probes=probes))
    run.view("history", behind_proxies_sql(source="history_people", proxies=proxies))


def lost(
    run: Runner,
    frame: Frame,
    weeks: Sequence[Week],
    days: Days,
    *,
    operations: Iterable[int],
    proxies: Sequence[int],
    probes: Sequence[int],
) -> dict[tuple[str, int], Lost | CannotTell]:
    """Lost attempts ("never even tried") for everybody, for operations, for large customers.

    Keys: ("all", 0), ("operation", id), ("customer", id). A start is a request that does not follow
    a failure of the same actor at the same thing within W. Weeks differ by exactly seven days.
    Counted in whole minutes (`daily.starts_sql`): the window's are those in which it begins and ends, the
    last one only where it is known to its end. Refuses where fewer than 3 weeks or 30 expected (see
    `stats.lost_attempts`).

    Leaves `starts`: (week, customer, operation, bin, n), and for `net_lost` the bins of the six hours after
    the window where those have passed.
    """
    first, last = _minutes(frame)
    minutes = last - first
    if minutes > WEEK_MINUTES // 2:
        return {("all", 0): CannotTell("the window is longer than half a week")}
    if minutes < BIN_MINUTES / 2 and last * MINUTE_MS < frame.end_ms:
        return {("all", 0): CannotTell("next to nothing of the window is known yet")}
    per_window = _per_window(minutes)
    bin_minutes = minutes / per_window
    control = max(1, round(CONTROL_MINUTES / bin_minutes))
    step = max(1, round(30 / bin_minutes))
    back = max(week.back for week in weeks)
    zero = (WEEK_MINUTES - minutes) * per_window // minutes
    after = _after(frame, last)
    _open_starts(
        run, frame, days, first_minute=last - WEEK_MINUTES * (back + 1), last_minute=last + after
    )
    run.table(
        "starts",
        fill(
            _PLACED,
            first=first,
            last=last,
            after=after,
            minutes=minutes,
            week=WEEK_MINUTES,
            zero=zero,
            per_window=per_window,
            within=Fragment("true" if frame.service is None else f"service = {frame.service}"),
            merged=rows_of(sorted(frame.merged.items()) or [(-1, -1)], "(once, operation_now)"),
            probes=numbers(probes),
            proxies=numbers(proxies),
            ambiguous=Fragment(str(AMBIGUOUS_ABOVE)),
        ),
    )
    wanted = [("all", 0, "true")]
    wanted += [("operation", op, f"operation = {int(op)}") for op in sorted(set(operations))]
    wanted += [
        ("customer", c, f"customer = {c}")
        for c in _large_customers(run, zero, per_window, len(weeks))
    ]
    result: dict[tuple[str, int], Lost | CannotTell] = {}
    for kind, ident, condition in wanted:
        grid = _counted(run, condition, back, bins=zero + per_window)
        answer = lost_attempts(grid, zero=zero, length=per_window, control=control, step=step)
        result[kind, ident] = CannotTell(answer) if isinstance(answer, str) else answer
    return result


def net_lost(
    run: Runner,
    frame: Frame,
    weeks: Sequence[Week],
    gross: Mapping[tuple[str, int], Lost | CannotTell],
) -> dict[tuple[str, int], NetLost | CannotTell]:
    """Lost attempts less those that were put off and made later, by the keys of `gross`; after `lost`.

    The same formula over the six hours after the window, expected from the same three hours before it, which
    end before it began: what began in them beyond that was put off. Attempts of those who had failed in the
    window and got through now (`came_back`) are none of it. How both are put together, and when it refuses:
    `stats.net_lost`; and it refuses before the six hours are known. Needs `chains` and `starts`.
    """
    first, last = _minutes(frame)
    answer: dict[tuple[str, int], NetLost | CannotTell] = {
        scope: found for scope, found in gross.items() if isinstance(found, CannotTell)
    }
    told = {scope: found for scope, found in gross.items() if isinstance(found, Lost)}
    if not _after(frame, last):
        return answer | dict.fromkeys(told, CannotTell(NOT_PASSED))
    per_window = _per_window(last - first)
    bin_minutes = (last - first) / per_window
    zero = (WEEK_MINUTES - (last - first)) * per_window // (last - first)
    length = max(1, int(PUT_OFF_MINUTES / bin_minutes))
    back = max(week.back for week in weeks)
    returned = _returned(run, last)
    for (kind, ident), found in told.items():
        condition = "true" if kind == "all" else f"{kind} = {int(ident)}"
        after = lost_attempts(
            _counted(run, condition, back, bins=zero + per_window + length),
            zero=zero + per_window,
            length=length,
            control=max(1, round(CONTROL_MINUTES / bin_minutes)),
            step=max(1, round(30 / bin_minutes)),
            gap=per_window,
        )
        net = (
            after
            if isinstance(after, str)
            else net_of(found, after, returned=returned.get((kind, ident), 0))
        )
        answer[kind, ident] = CannotTell(net) if isinstance(net, str) else net
    return answer


def _counted(run: Runner, condition: str, back: int, *, bins: int) -> NDArray[np.int64]:
    """Starts by week and bin."""
    grid = np.zeros((back + 1, bins), dtype=np.int64)
    counts = run.columns(
        fill(
            "SELECT week, bin, sum(n)::BIGINT AS n FROM starts"
            " WHERE $condition AND week <= $back AND bin < $bins GROUP BY week, bin",
            condition=Fragment(condition),
            back=back,
            bins=bins,
        )
    )
    grid[counts["week"], counts["bin"]] = counts["n"]
    return grid


def _returned(run: Runner, last: int) -> dict[tuple[str, int], int]:
    """Attempts in the six hours after by which somebody got through who had failed in the window."""
    rows = run.rows(
        fill(
            """
            WITH again AS (
                SELECT DISTINCT customer, operation, actor, target, next_ok FROM chains
                WHERE class = 'came_back' AND next_ok >= $last AND next_ok < $until)
            SELECT CASE WHEN grouping(customer) = 0 THEN 'customer' WHEN grouping(operation) = 0
                        THEN 'operation' ELSE 'all' END,
                   CASE WHEN grouping(customer) = 0 THEN customer WHEN grouping(operation) = 0
                        THEN operation ELSE 0 END, count(*)
            FROM again GROUP BY GROUPING SETS ((), (customer), (operation))
            """,
            last=last * MINUTE_MS,
            until=(last + PUT_OFF_MINUTES) * MINUTE_MS,
        )
    )
    return {(kind, int(ident)): int(n) for kind, ident, n in rows}


def begun_before(run: Runner, frame: Frame) -> tuple[list[tuple[int, int, int, int]], int, float]:
    """What `lost` counted of earlier weeks: rows, how many of its bins make up the window, their minutes.

    Rows: (week, bin, operation, attempts that began); bin 0 is the window's first, those before it are
    negative, back to the beginning of the control period.
    """
    first, last = _minutes(frame)
    per_window = _per_window(last - first)
    bin_minutes = (last - first) / per_window
    zero = (WEEK_MINUTES - (last - first)) * per_window // (last - first)
    rows = run.rows(
        fill(
            "SELECT week, bin - $zero, operation, sum(n)::BIGINT FROM starts"
            " WHERE week >= 1 AND bin >= $least AND bin < $zero + $per_window GROUP BY ALL ORDER BY ALL",
            zero=zero,
            per_window=per_window,
            least=zero - round(CONTROL_MINUTES / bin_minutes),
        )
    )
    return [(int(w), int(b), int(op), int(n)) for w, b, op, n in rows], per_window, bin_minutes


def _minutes(frame: Frame) -> tuple[int, int]:
    """The whole minutes in which the window begins and ends.

    What is not known yet is not missing: the window is compared as far as it is seen.
    """
    last = min(-(-frame.end_ms // MINUTE_MS), (frame.seen_until_ms + 1) // MINUTE_MS)
    return frame.start_ms // MINUTE_MS, last


def _after(frame: Frame, last: int) -> int:
    """Minutes after the window in which attempts that were put off may come: six hours, or none while unknown."""
    known = (frame.seen_until_ms + 1) // MINUTE_MS
    return PUT_OFF_MINUTES if known >= last + PUT_OFF_MINUTES else 0


def _per_window(minutes: int) -> int:
    return max(1, round(minutes / BIN_MINUTES))


def _large_customers(run: Runner, zero: int, per_window: int, weeks: int) -> list[int]:
    """Customers for whom 30 attempts may be expected in the window, the largest first."""
    found = run.rows(
        fill(
            "SELECT customer FROM starts WHERE week >= 1 AND bin >= $zero AND bin < $zero + $per_window"
            " AND customer <> 0"
            " GROUP BY customer HAVING sum(n) >= $least ORDER BY sum(n) DESC, customer LIMIT $most",
            zero=zero,
            per_window=per_window,
            least=15 * weeks,
            most=LOST_CUSTOMERS,
        )
    )
    return [int(row[0]) for row in found]


def _open_starts(
    run: Runner, frame: Frame, days: Days, *, first_minute: int, last_minute: int
) -> None:
    """Make `begun`: attempt starts by minute, of the days around these minutes, from wherever they are known."""
    first_day, end_day = first_minute // DAY_MINUTES, -(-last_minute // DAY_MINUTES)
    until_ms = min(end_day * DAY_MS, frame.seen_until_ms + 1)
    days = days.within(first_day * DAY_MS, until_ms)
    open_once(run, days.events, start_ms=first_day * DAY_MS, end_ms=until_ms)
    wanted = fill(
        "day >= $first AND day NOT IN ($rolled)",
        first=first_day,
        rolled=numbers(days.rolled or [-1]),
    )
    parts = [starts_sql(days=Fragment(wanted))]
    if rolled := days.files("starts"):
        parts.append(rolled)
    run.view("begun", " UNION ALL ".join(parts))


# Attempts of the ambiguous do not count, nor those of probes; behind a proxy every request counts as one.
# Each week's bins go on over the time after its window, which begins the next week as well.
_PLACED = """
WITH busy AS (
    SELECT customer, operation, actor, max(p_amb) AS p_amb FROM chains_busy GROUP BY ALL),
named AS (
    SELECT b.minute, b.customer, coalesce(m.operation_now, b.operation) AS operation, b.actor,
           coalesce(b.addr IN ($proxies), false) AS hidden, b.requests, b.starts, b.keyed, b.unkeyed
    FROM begun b LEFT JOIN (SELECT * FROM $merged) m ON m.once = b.operation
    WHERE b.minute < $last + $after AND $within AND NOT coalesce(b.actor IN ($probes), false)),
told AS (
    SELECT floor(($last - 1 - minute) / $week) AS week, minute, n.customer, n.operation,
           CASE WHEN hidden THEN requests WHEN p_amb IS NULL THEN starts
                WHEN p_amb > $ambiguous THEN keyed ELSE keyed + unkeyed END AS n
    FROM named n LEFT JOIN busy b
      ON b.customer = n.customer AND b.operation = n.operation AND b.actor = n.actor),
placed AS (
    SELECT * FROM told WHERE week >= 0
    UNION ALL
    SELECT week + 1, minute, customer, operation, n FROM told
    WHERE minute - ($last - (week + 1) * $week) < $after)
SELECT week::INTEGER AS week, customer, operation,
       floor((minute - ($first - week * $week)) * $per_window / $minutes)::INTEGER + $zero AS bin,
       sum(n)::BIGINT AS n
FROM placed GROUP BY ALL HAVING bin >= 0
"""
