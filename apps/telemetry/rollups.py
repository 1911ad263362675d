"""Finished days, rolled up beside the segments: one folder per day (`analytics.daily`), made whole from its segments.

A day whose events have changed (more came in, some were erased) is made again; until then readers take its
segments (`days`). Compaction changes where events lie and not which there are, so it changes no day.
"""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from apps.analytics.attempts import DAY_MS
from apps.analytics.daily import BEFORE_MS, Days, write_day
from apps.analytics.minutes import Requests, by_minute, open_minutes
from apps.analytics.sql import Runner
from apps.catalog import queries as catalog
from apps.core.computing import computing
from apps.core.files import sync
from apps.telemetry.models import CONTENTS, Rollup, Segment
from apps.telemetry.queries import watermark

FOLDER = Path("rollups")
FILES = ("actors", "minutes", "starts")
FORM = 3
"""Part of every basis: raise it when what `write_day` writes changes, and all days are made again."""
AGAIN = timedelta(minutes=15)
"""A day to which more still comes in is made again no more often than this."""
GRACE = timedelta(hours=1)
"""A folder that is no longer named may still be read by a run that began before."""

# A segment lies within one hour of event time, so within one day; the last hour of a day is part of the next one's too.
_BASES = """
    WITH live AS (
        SELECT min_ts, rows, content FROM telemetry_segment
        WHERE deleted_at IS NULL AND min_ts >= %(first)s - %(before)s AND min_ts < %(last)s
    ), parts AS (
        SELECT min_ts / 86400000 AS day, true AS own, rows, content FROM live
        UNION ALL
        SELECT (min_ts + %(before)s) / 86400000, false, rows, content FROM live
        WHERE min_ts / 86400000 <> (min_ts + %(before)s) / 86400000
    )
    SELECT day, concat_ws(',', %(form)s, sum(rows), sum(content) %% %(contents)s) FROM parts
    WHERE day >= %(first)s / 86400000 AND day < %(last)s / 86400000 GROUP BY day HAVING bool_or(own)
"""


def days(start_ms: int, end_ms: int) -> Days:
    """Return what to read for [start, end): roll-ups of the days that lie in it whole, segments of the others."""
    root = Path(settings.EVENTS_DIR)
    first, last = -(-start_ms // DAY_MS), end_ms // DAY_MS
    there = _bases(first, last)
    rolled = {
        one.day: str(root / one.path)
        for one in Rollup.objects.filter(day__in=there)
        if one.basis == there[one.day]
    }
    found = (
        Segment.objects.live()
        .overlapping(start_ms=start_ms - BEFORE_MS, end_ms=end_ms)
        .order_by("min_ts", "pk")
    )
    return Days(
        rolled,
        tuple(
            str(root / path)
            for path, min_ts in found.values_list("path", "min_ts")
            # The last hour of a day is read with the next one.
            if not {min_ts // DAY_MS, (min_ts + BEFORE_MS) // DAY_MS} <= rolled.keys()
        ),
    )


def requests_by_minute(
    start_ms: int, end_ms: int, *, customer: int | None = None, service: int | None = None
) -> dict[int, Requests]:
    """Return how requests ended, by minute since 1970; minutes of [start, end) without any are left out.

    A day that is rolled up takes 30 ms; one that is not, half a second a million events.
    """
    around = days(start_ms // DAY_MS * DAY_MS, -(-end_ms // DAY_MS) * DAY_MS)
    with computing("minutes") as con:
        run = Runner(con)
        open_minutes(run, around, start_ms=start_ms, end_ms=end_ms, merged=catalog.merged())
        return by_minute(run, customer=customer, service=service)


def due(*, now: datetime) -> list[int]:
    """Return the finished days whose roll-up is missing or of other segments, the latest first."""
    latest = watermark()
    if latest is None:
        return []
    there = _bases(0, latest // DAY_MS)
    known = {one.day: one for one in Rollup.objects.all()}
    return sorted(
        (
            day
            for day, basis in there.items()
            if day not in known or (known[day].basis != basis and now - known[day].made_at >= AGAIN)
        ),
        reverse=True,
    )


def make_next(*, now: datetime) -> bool:
    """Make the roll-up that is due next; say whether one was made.

    Safe to run twice and at once: of two that make the same day the second leaves a folder that nobody names.
    """
    waiting = due(now=now)
    if not waiting:
        return False
    make(waiting[0], now=now)
    return True


def make(day: int, *, now: datetime) -> Rollup:
    """Make the roll-up of one day from its segments as they are now, durable before it is named."""
    basis = _bases(day, day + 1)[day]
    start, end = day * DAY_MS, (day + 1) * DAY_MS
    found = Segment.objects.live().filter(min_ts__gte=start - BEFORE_MS, min_ts__lt=end)
    root = Path(settings.EVENTS_DIR)
    files = [str(root / path) for path in found.order_by("pk").values_list("path", flat=True)]
    digest = sha256(f"{basis} {now.isoformat()} {os.getpid()}".encode()).hexdigest()[:16]
    name = FOLDER / f"{day}-{digest}"
    temporary = root / FOLDER / f".{name.name}.part"
    temporary.mkdir(parents=True)
    try:
        with computing("rollup") as con:
            rows = write_day(Runner(con), day, files, temporary)
        written = list(temporary.iterdir())
        for one in (*written, temporary):
            sync(one)
        size = sum(one.stat().st_size for one in written)
        temporary.rename(root / name)
    except BaseException:
        rmtree(temporary, ignore_errors=True)
        raise
    sync(root / FOLDER)
    _let_go(Rollup.objects.filter(day=day), now=now)
    made, _ = Rollup.objects.update_or_create(
        day=day,
        defaults={"path": str(name), "basis": basis, "rows": rows, "bytes": size, "made_at": now},
    )
    return made


def make_again(*, now: datetime) -> int:
    """Make every day again that is rolled up otherwise than its segments are now; return how many."""
    known = dict(Rollup.objects.values_list("day", "basis"))
    there = _bases(min(known), max(known) + 1) if known else {}
    stale = [day for day, basis in sorted(there.items()) if known.get(day, basis) != basis]
    for day in stale:
        make(day, now=now)
    return len(stale)


def sweep_files(*, now: datetime, grace: timedelta = GRACE) -> int:
    """Forget days that have no segment any more, and remove what no roll-up names once nobody can be reading it.

    Returns how many folders and files were removed.
    """
    span = Rollup.objects.order_by("day").values_list("day", flat=True)
    if (first := span.first()) is not None and (last := span.last()) is not None:
        there = _bases(first, last + 1)
        gone = Rollup.objects.exclude(day__in=there)
        _let_go(gone, now=now)
        gone.delete()
    root = Path(settings.EVENTS_DIR)
    named = set(Rollup.objects.values_list("path", flat=True))
    limit = (now - grace).timestamp()
    removed = 0
    for path in (root / FOLDER).glob("*"):
        if str(path.relative_to(root)) not in named and path.stat().st_mtime <= limit:
            if path.is_dir():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed += 1
    return removed


def _let_go(rollups: QuerySet[Rollup], *, now: datetime) -> None:
    """Let the time of grace of these folders begin now: a run may have just been told to read them."""
    for path in rollups.values_list("path", flat=True):
        with suppress(FileNotFoundError):
            os.utime(Path(settings.EVENTS_DIR) / path, (now.timestamp(), now.timestamp()))


def _bases(first: int, last: int) -> dict[int, str]:
    """What each day of [first, last) is to be made from, as text that changes with it."""
    bounds = {"first": first * DAY_MS, "last": last * DAY_MS, "before": BEFORE_MS}
    bounds |= {"form": FORM, "contents": CONTENTS}
    with connection.cursor() as cursor:
        cursor.execute(_BASES, bounds)
        return dict(cursor.fetchall())
