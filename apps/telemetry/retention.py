"""What is kept, and for how long: whole days by age, whole hours by size, the oldest first."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F, Max, Sum, Value

from apps.telemetry.models import (
    Batch,
    CustomerDay,
    HourCount,
    OperationCount,
    Segment,
    SegmentQuerySet,
    UnnamedGroups,
)

logger = logging.getLogger(__name__)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MOST_BATCHES = 10_000  # rows that one run forgets

# From the newest hour back: the hours beyond the size that is kept.
_BEYOND = """
    SELECT max(hour) FROM (
        SELECT min_ts / 3600000 AS hour, sum(sum(bytes)) OVER (ORDER BY min_ts / 3600000 DESC) AS so_far
        FROM telemetry_segment WHERE deleted_at IS NULL GROUP BY 1
    ) hours WHERE so_far > %s
"""


def retain(*, now: datetime) -> int:
    """Let go of what is older, or more, than is kept; return how many files. They stay for `jobs.GRACE`.

    By age whole UTC days of event time go, once they also came in that long ago (an old log that was taken in today
    is kept as long as today's events), with what was counted of them and the batches that came in before. By size
    whole hours go, until the rest fits; the newest hour always stays.
    """
    gone = 0
    if settings.EVENTS_KEEP_DAYS:
        oldest = now - timedelta(days=settings.EVENTS_KEEP_DAYS)
        before = int(oldest.timestamp()) // 86_400 * DAY_MS
        old = Segment.objects.live().filter(min_ts__lt=before, came_at__lt=oldest)
        days = set(old.annotate(day=DAY).values_list("day", flat=True))
        gone += _let_go(old, now)
        _forget(days)
        batches = Batch.objects.filter(created_at__lt=oldest).order_by("pk")
        some = list(batches.values_list("pk", flat=True)[:MOST_BATCHES])
        Batch.objects.filter(pk__in=some).delete()
    if settings.EVENTS_KEEP_BYTES:
        with connection.cursor() as cursor:
            cursor.execute(_BEYOND, [settings.EVENTS_KEEP_BYTES])
            (hour,) = cursor.fetchone() or (None,)
        latest = Segment.objects.live().aggregate(latest=Max("min_ts"))["latest"]
        if hour is not None and latest is not None:
            end = min(hour + 1, latest // HOUR_MS) * HOUR_MS
            gone += _let_go(Segment.objects.live().filter(min_ts__lt=end), now)
    return gone


DAY = F("min_ts") / Value(DAY_MS)


def _forget(days: set[int]) -> None:
    """Forget what was counted of days of which nothing is left."""
    left = Segment.objects.live().annotate(day=DAY).filter(day__in=days)
    over = sorted(days - set(left.values_list("day", flat=True)))
    for counted in (CustomerDay, OperationCount, UnnamedGroups):
        counted.objects.filter(day__in=over).delete()
    for day in over:
        HourCount.objects.filter(hour__gte=day * 24, hour__lt=(day + 1) * 24).delete()


def _let_go(old: SegmentQuerySet, now: datetime) -> int:
    """Let go of files."""
    about = old.aggregate(rows=Sum("rows"), bytes=Sum("bytes"))
    gone = old.update(deleted_at=now)
    if gone:
        logger.info(
            "%s events in %s files are no longer kept (%s bytes)",
            about["rows"],
            gone,
            about["bytes"],
        )
    return gone
