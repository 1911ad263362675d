"""How it went over time: attempts by outcome, requests around the window, user-uptime, what is usual."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from apps.analytics.attempts import Frame
from apps.analytics.daily import MINUTE_MS
from apps.analytics.measures.history import begun_before
from apps.analytics.sql import Fragment, Runner, fill

FEWEST = 20
STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
)
"""Lengths of a bin, in seconds; above a day they double. A window has 20 to 50 of them."""
MOST_USUAL = 24
UPTIME_MIN_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal bins: `inside` of them make up the window exactly, `before` and `after` lie around it.

    The window is never cut by a bin, so that its first and last bin are as long as the others.
    """

    start_ms: int
    end_ms: int
    inside: int
    before: int
    after: int

    @classmethod
    def of(cls, frame: Frame) -> "Bins":
        """As many as 20 to 50 in the window, and up to a window's length around it, as far as is read."""
        length = frame.end_ms - frame.start_ms
        step = max((s * 1000 for s in STEPS_S if s * 1000 * FEWEST <= length), default=1000)
        while step >= 86_400_000 and 2 * step * FEWEST <= length:
            step *= 2
        inside = max(1, round(length / step))
        before = (frame.start_ms - frame.read_from_ms) * inside // length
        after = max(0, frame.read_to_ms - frame.end_ms) * inside // length
        return cls(frame.start_ms, frame.end_ms, inside, min(inside, before), min(inside, after))

    @property
    def total(self) -> int:
        """All of them."""
        return self.before + self.inside + self.after

    @property
    def width_ms(self) -> float:
        """How long one is."""
        return (self.end_ms - self.start_ms) / self.inside

    def edge(self, number: int) -> int:
        """When a bin begins, epoch ms; that of the total: when the last one ends."""
        return self.start_ms - (
            (self.before - number) * (self.end_ms - self.start_ms) // self.inside
        )

    def sql(self, column: str) -> Fragment:
        """The number of the bin that a time lies in; never negative for what lies in one."""
        return Fragment(
            f"((({column} - {self.start_ms}) * {self.inside}"
            f" + {self.before * (self.end_ms - self.start_ms)}) // {self.end_ms - self.start_ms})"
        )


@dataclass(frozen=True, slots=True)
class Usual:
    """How many attempts usually begin: from `from_ms` in steps of `step_ms`, over the earlier weeks."""

    from_ms: int
    step_ms: int
    weeks: int
    low: tuple[float, ...]
    mean: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Counts by bin.

    attempts: those of the window by class and by when they began, one count per bin of the window; they
        sum to the figures.
    ok, failed: customers' requests per bin, around the window as well, where attempts are not judged.
    known: so many bins lie wholly before the end of what is known.
    uptime: user-uptime per bin (0..1), None where fewer than ten people were about at once.
    """

    bins: Bins
    known: int
    attempts: Mapping[str, tuple[int, ...]]
    ok: tuple[int, ...]
    failed: tuple[int, ...]
    uptime: tuple[float | None, ...] = ()
    usual: Usual | None = None
    usual_of: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """By operation, attempts that began in the same window of each earlier week."""


def over_time(run: Runner, frame: Frame) -> Series:
    """Attempts by outcome and requests, bin by bin; after `build_chains`.

    Attempts that need the order of requests come from `chains`; of the others each success is one, and
    they are counted where they lie. One pass over `clean`, which orders nothing.
    """
    bins = Bins.of(frame)
    total = bins.total
    lonely = "(outcome = 4 OR outcome <> 2 AND actor IS NULL AND key IS NULL)"
    join, slow = Fragment(""), Fragment("false")
    if frame.latency_tenets_ms:
        join = Fragment("LEFT JOIN chains_tenet USING (operation)")
        slow = Fragment("coalesce(latency > limit_ms, false)")
    counted = _filled(
        run.rows(
            fill(
                """
                SELECT $bin AS bin, count_if(outcome = 0), count_if(outcome IN (1, 3)),
                       count_if($lonely), count_if(outcome = 0 AND NOT $lonely),
                       count_if(outcome = 0 AND NOT $lonely AND $slow)
                FROM clean $join WHERE ts >= $first AND ts < $last GROUP BY bin
                """,
                bin=bins.sql("ts"),
                lonely=Fragment(lonely),
                slow=slow,
                join=join,
                first=bins.edge(0),
                last=bins.edge(total),
            )
        ),
        total,
        5,
    )
    used = _filled(
        run.rows(
            fill(
                """
                SELECT $bin AS bin, count(*), count_if(coalesce(until - ts > limit_ms, false))
                FROM work LEFT JOIN chains_tenet USING (operation)
                WHERE ok AND ts >= $start AND ts < $end GROUP BY bin
                """,
                bin=bins.sql("ts"),
                start=frame.start_ms,
                end=frame.end_ms,
            )
        ),
        total,
        2,
    )
    attempts: dict[str, list[int]] = {}

    def count(name: str, place: int, n: int) -> None:
        if n:
            attempts.setdefault(name, [0] * bins.inside)[place] += n

    for place in range(bins.inside):
        _, _, alone, told, late = (column[bins.before + place] for column in counted)
        joined, joined_late = (column[bins.before + place] for column in used)
        count("first_try", place, told - late - (joined - joined_late))
        count("slow", place, late - joined_late)
        count("cannot_tell", place, alone)
    for number, name, n in run.rows(
        fill("SELECT $bin, class, count(*) FROM chains GROUP BY ALL", bin=bins.sql("start_ts"))
    ):
        count(name, int(number) - bins.before, int(n))
    known = sum(bins.edge(place + 1) <= frame.seen_until_ms + 1 for place in range(total))
    return Series(
        bins=bins,
        known=known,
        attempts={name: tuple(counts) for name, counts in attempts.items()},
        ok=tuple(counted[0]),
        failed=tuple(counted[1]),
    )


def _filled(rows: list[tuple[int, ...]], total: int, columns: int) -> list[list[int]]:
    """One list per column, a zero where a bin has no row."""
    found = [[0] * total for _ in range(columns)]
    for number, *values in rows:
        for column, value in zip(found, values, strict=True):
            column[int(number)] = int(value)
    return found


def uptime_over_time(
    run: Runner, frame: Frame, bins: Bins, *, from_ms: int, to_ms: int
) -> tuple[float | None, ...]:
    """User-uptime bin by bin, from `halves` (pieces of actors' time that were up or down).

    Up to an edge t, time in a state is Σ (t − begin) over what began before t less Σ (t − end) over what
    ended before t: a count and a sum per bin tell it. `from_ms` and `to_ms`: outside of them `halves` is
    not whole, and nothing is said; nor where fewer than ten people were about at once, on average.
    """
    first, last = bins.edge(0), bins.edge(bins.total)
    rows = run.rows(
        fill(
            """
            WITH marks AS (
                SELECT up, greatest(a, $first) AS t, 1 AS sign FROM halves
                WHERE b > $first AND a < $last AND b > a
                UNION ALL
                SELECT up, least(b, $last), -1 FROM halves WHERE b > $first AND a < $last AND b > a)
            SELECT up, $bin::INTEGER AS bin, sum(sign), sum(sign * (t - $first))
            FROM marks GROUP BY ALL
            """,
            first=first,
            last=last,
            bin=bins.sql("t::BIGINT"),
        )
    )
    edges = [bins.edge(place) - first for place in range(bins.total + 1)]
    spent = {}
    for state in (True, False):
        counts, sums = [0] * (bins.total + 1), [0.0] * (bins.total + 1)
        for up, place, n, moments in rows:
            if bool(up) is state:
                counts[place], sums[place] = int(n), float(moments)
        until = [
            n * edge - moments
            for n, moments, edge in zip(
                accumulate(counts, initial=0), accumulate(sums, initial=0.0), edges, strict=False
            )
        ]
        spent[state] = [max(0.0, after - before) for before, after in pairwise(until)]
    return tuple(
        up / (up + down)
        if up + down >= UPTIME_MIN_AT_ONCE * bins.width_ms
        and bins.edge(place) >= from_ms
        and bins.edge(place + 1) <= to_ms
        else None
        for place, (up, down) in enumerate(zip(spent[True], spent[False], strict=True))
    )


def usual_starts(run: Runner, frame: Frame, bins: Bins) -> tuple[Usual, dict[int, tuple[int, ...]]]:
    """How many attempts began in the same hours of the earlier weeks; after `lost`, which counted them.

    Over time, from as long before the window as `bins` go to its end, in at most 24 steps in the window;
    low and high are those of single weeks. And by operation: its attempts in the window, week by week.
    """
    rows, per_window, bin_minutes = begun_before(run, frame)
    weeks = sorted({week for week, *_ in rows})
    inside = min(MOST_USUAL, per_window)
    minutes = bin_minutes * per_window / inside
    before = int(bins.before * bins.width_ms / MINUTE_MS / minutes)
    first_place = -(before * per_window // inside)
    grid = {week: [0.0] * (before + inside) for week in weeks}
    parts = [0] * (before + inside)
    for place in range(first_place, per_window):
        parts[place * inside // per_window + before] += 1
    of: dict[int, dict[int, int]] = {}
    for week, place, operation, n in rows:
        if place >= 0:
            known = of.setdefault(operation, dict.fromkeys(weeks, 0))
            known[week] += n
        if place >= first_place:
            step = place * inside // per_window + before
            grid[week][step] += n * per_window / inside / parts[step]
    each = list(zip(*grid.values(), strict=True))
    first = frame.start_ms // MINUTE_MS * MINUTE_MS
    step_ms = round(minutes * MINUTE_MS)
    usual = Usual(
        from_ms=first - before * step_ms,
        step_ms=step_ms,
        weeks=len(weeks),
        low=tuple(min(counts) for counts in each),
        mean=tuple(sum(counts) / len(counts) for counts in each),
        high=tuple(max(counts) for counts in each),
    )
    return usual, {op: tuple(known[week] for week in weeks) for op, known in of.items()}
