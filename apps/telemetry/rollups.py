"""Who was seen on which day, rolled up beside the segments: one file per finished day, made whole from its segments.

A day whose segments have changed is made again; until then readers take its segments (`actor_days`).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.db import connection

from apps.analytics.attempts import DAY_MS
from apps.analytics.measures import actor_day_sql
from apps.analytics.sql import events_from, literal
from apps.core.computing import computing
from apps.core.files import sync
from apps.telemetry.models import Rollup, Segment
from apps.telemetry.queries import watermark

FOLDER = Path("rollups") / "actors"
AGAIN = timedelta(minutes=15)
"""A day to which more still comes in is made again no more often than this."""
GRACE = timedelta(hours=1)
"""A file that is no longer named may still be read by a run that began before."""

# A segment lies within one hour of event time, so within one day.
_DAYS = """
    SELECT min_ts / 86400000 AS day, count(*) || ',' || sum(rows) || ',' || max(id) AS basis
    FROM telemetry_segment WHERE deleted_at IS NULL AND min_ts >= %s AND min_ts < %s GROUP BY 1
"""


@dataclass(frozen=True)
class ActorDays:
    """What says who was seen on which day: a roll-up's file by day since 1970, segments for the other days."""

    rolled: dict[int, Path]
    segments: list[Path]


def actor_days(start_ms: int, end_ms: int) -> ActorDays:
    """Return what to read for the days of [start, end)."""
    root = Path(settings.EVENTS_DIR)
    first, last = start_ms // DAY_MS, -(-end_ms // DAY_MS)
    there = _bases(first, last)
    rolled = {
        one.day: root / one.path
        for one in Rollup.objects.filter(day__in=there)
        if one.basis == there[one.day]
    }
    found = (
        Segment.objects.live()
        .filter(min_ts__gte=first * DAY_MS, min_ts__lt=last * DAY_MS)
        .order_by("min_ts", "pk")
    )
    return ActorDays(
        rolled,
        [
            root / path
            for path, min_ts in found.values_list("path", "min_ts")
            if min_ts // DAY_MS not in rolled
        ],
    )


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

    Safe to run twice and at once: of two that make the same day the second leaves a file that nobody names.
    """
    days = due(now=now)
    if not days:
        return False
    make(days[0], now=now)
    return True


def make(day: int, *, now: datetime) -> Rollup:
    """Make the roll-up of one day from its segments as they are now, durable before it is named."""
    basis = _bases(day, day + 1)[day]
    found = Segment.objects.live().filter(min_ts__gte=day * DAY_MS, min_ts__lt=(day + 1) * DAY_MS)
    root = Path(settings.EVENTS_DIR)
    paths = [str(root / path) for path in found.order_by("pk").values_list("path", flat=True)]
    digest = sha256(f"{basis} {now.isoformat()} {os.getpid()}".encode()).hexdigest()[:16]
    name = FOLDER / f"{day}-{digest}.parquet"
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    temporary = root / FOLDER / f".{name.name}.part"
    try:
        rows = _write(paths, temporary)
        temporary.rename(root / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(root / FOLDER)
    made, _ = Rollup.objects.update_or_create(
        day=day,
        defaults={
            "path": str(name),
            "basis": basis,
            "rows": rows,
            "bytes": (root / name).stat().st_size,
            "made_at": now,
        },
    )
    return made


def sweep_files(*, now: datetime) -> int:
    """Remove files that no roll-up names any more, once nobody can be reading them; return how many."""
    root = Path(settings.EVENTS_DIR)
    named = set(Rollup.objects.values_list("path", flat=True))
    limit = (now - GRACE).timestamp()
    removed = 0
    for path in (root / FOLDER).glob("*"):
        if str(path.relative_to(root)) not in named and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _write(paths: Iterable[str], target: Path) -> int:
    with computing("rollup") as con:
        (rows,) = con.execute(
            f"COPY ({actor_day_sql(events_from(list(paths)))}) TO {literal(str(target))}"
            " (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()[0]
    sync(target)
    return int(rows)


def _bases(first: int, last: int) -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, [first * DAY_MS, last * DAY_MS])
        return dict(cursor.fetchall())
