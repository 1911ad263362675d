"""How bad it was at its worst, for a minute, for an hour, for a day: windowed user-uptime."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.analytics.attempts import HOUR_MS, Frame
from apps.analytics.daily import MINUTE_MS
from apps.analytics.measures.found import CannotTell
from apps.analytics.sql import Runner, fill

LADDER = (1, 5, 15, 30, 60, 180, 360, 720, 1440, 5 * 1440, 10 * 1440, 30 * 1440, 90 * 1440)
"""Lengths in minutes, from a minute to 90 days. Each is a multiple of the one before it: only so can the worst
of a longer window not be worse than that of a shorter one."""
LEAST_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class WorstWindow:
    """Of all windows of so many minutes, the worst: its user-uptime (0..1), and when the first such begins."""

    minutes: int
    share: float
    start_ms: int


@dataclass(frozen=True, slots=True)
class WindowedUptime:
    """The worst window of each length within [start, end), epoch ms, the shortest first.

    Told from `counted` of its `minutes`: in the others fewer than ten people were about at once.
    """

    start_ms: int
    end_ms: int
    minutes: int
    counted: int
    worst: tuple[WorstWindow, ...]


def windowed_uptime(run: Runner, frame: Frame) -> WindowedUptime | CannotTell:
    """Windowed user-uptime (Hauer et al., "Meaningful Availability", NSDI 2020, section 4).

    For each length w of `LADDER` the smallest of Σ up / Σ (up + down) over all windows of w whole minutes
    within the span, which goes from an hour before the window to an hour after it, as far as is known. It
    tells one long outage from many short ones of the same user-uptime: the longer w must be until the
    worst is good again, the longer people were without it in a row.

    up and down are time of people, as `user_uptime` splits it, summed up minute by minute: which needs the
    order of each one's requests, so that it is taken from `halves` and not from the counts of `minutes`. A
    minute in which fewer than ten people were about, on average, counts in no window of any length. Refuses
    where there is no other, or no whole minute.
    """
    first = -(-(frame.start_ms - HOUR_MS) // MINUTE_MS)
    last = min(frame.end_ms + HOUR_MS, frame.seen_until_ms + 1) // MINUTE_MS
    if last <= first:
        return CannotTell("not one whole minute of it is known yet")
    up, down = (_spent(run, first, last, up=up) for up in (True, False))
    told = up + down >= LEAST_AT_ONCE * MINUTE_MS
    if not told.any():
        return CannotTell(f"never were {LEAST_AT_ONCE} known people about at once")
    return WindowedUptime(
        start_ms=first * MINUTE_MS,
        end_ms=last * MINUTE_MS,
        minutes=last - first,
        counted=int(told.sum()),
        worst=tuple(
            WorstWindow(minutes, share, (first + place) * MINUTE_MS)
            for minutes, share, place in worst_windows(up * told, down * told)
        ),
    )


def worst_windows(
    up: NDArray[np.float64], down: NDArray[np.float64]
) -> list[tuple[int, float, int]]:
    """The worst window of each length: (minutes, share up, its first minute); the earliest of equals.

    `up` and `down` are time by minute, in any one unit. Windows in which there is none of either are
    passed over; of lengths that do not fit, nothing is said. The shares never fall from one length to the
    next, for a window is made of whole ones of the length before, and is not worse than the worst of them.
    """
    good, all_of = (np.concatenate([[0.0], np.cumsum(one)]) for one in (up, up + down))
    found = []
    for minutes in LADDER:
        if minutes > len(up):
            break
        whole = all_of[minutes:] - all_of[:-minutes]
        if not (whole > 0).any():
            continue
        share = np.full(len(whole), np.inf)
        np.divide(good[minutes:] - good[:-minutes], whole, out=share, where=whole > 0)
        place = int(share.argmin())
        found.append((minutes, min(1.0, max(0.0, float(share[place]))), place))
    return found


def _spent(run: Runner, first: int, last: int, *, up: bool) -> NDArray[np.float64]:
    """Time in one state minute by minute, ms: what began before goes on, less what of this one is not in it."""
    marks = run.columns(
        fill(
            """
            WITH marks AS (
                SELECT greatest(a, $begin) AS t, 1 AS sign FROM halves
                WHERE up = $up AND b > $begin AND a < $end AND b > a
                UNION ALL
                SELECT b, -1 FROM halves WHERE up = $up AND b > $begin AND b < $end AND b > a)
            SELECT (floor(t / $minute) - $first)::INTEGER AS place, sum(sign)::DOUBLE AS going,
                   sum(sign * (t - floor(t / $minute) * $minute))::DOUBLE AS missed
            FROM marks GROUP BY place
            """,
            up=int(up),
            begin=first * MINUTE_MS,
            end=last * MINUTE_MS,
            minute=MINUTE_MS,
            first=first,
        )
    )
    going, missed = np.zeros(last - first), np.zeros(last - first)
    going[marks["place"]], missed[marks["place"]] = marks["going"], marks["missed"]
    return np.asarray(np.cumsum(going) * MINUTE_MS - missed)
