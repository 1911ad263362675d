"""How the story says times, counts, intervals."""

from datetime import UTC, datetime
from math import floor, log10

from apps.analytics.results import (
    ImpactResult,
)
from apps.analytics.stats import Interval


def between(result: ImpactResult) -> str:
    """The window in words: "between 10:04 and 10:30 UTC on 3 November 2026"."""
    start, end = utc(result.start_ms), utc(result.end_ms)
    if start.date() == end.date():
        whole = result.start_ms % 60_000 == 0 and result.end_ms % 60_000 == 0
        seconds = "" if whole or result.end_ms - result.start_ms > 3_600_000 else ":%S"
        clock = f"%H:%M{seconds}"
        return f"between {start:{clock}} and {end:{clock}} UTC on {day(start)}"
    return f"between {day(start)} {start:%H:%M} and {day(end)} {end:%H:%M} UTC"


def utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def many(n: int, noun: str, plural: str = "") -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {plural or noun + 's'}"


def was(n: int) -> str:
    return "was" if n == 1 else "were"


def about(interval: Interval) -> str:
    """ "about 240 (180 to 310)": rounded to what the interval supports."""
    width = max(1.0, interval.high - interval.low)
    unit = int(10 ** max(0, floor(log10(width / 4))))

    def to_unit(value: float) -> int:
        return max(0, round(value / unit) * unit)

    low, middle, high = (to_unit(v) for v in (interval.low, interval.estimate, interval.high))
    return f"about {middle:,} ({low:,} to {high:,})"


def duration(seconds: float) -> str:
    """ "48 s", "22 minutes", "3.5 hours"."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
