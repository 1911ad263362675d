"""What is kept, and for how long: whole days by age, whole hours by size, the oldest first."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Max, Min, Sum

from apps.telemetry.models import (
    Batch,
    CustomerDay,
    HourCount,
    OperationCount,
    Segment,
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

    By age whole UTC days of event time go, with what was counted of them and the batches that came in before; by
    size whole hours, until the rest fits. The newest hour always stays.
    """
    gone = 0
    if settings.EVENTS_KEEP_DAYS:
        oldest = now - timedelta(days=settings.EVENTS_KEEP_DAYS)
        day = int(oldest.timestamp()) // 86_400
        gone += _let_go(day * DAY_MS, now)
        HourCount.objects.filter(hour__lt=day * 24).delete()
        for counted in (CustomerDay, OperationCount, UnnamedGroups):
            counted.objects.filter(day__lt=day).delete()
        old = Batch.objects.filter(created_at__lt=oldest).order_by("pk")
        Batch.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:MOST_BATCHES])).delete()
    if settings.EVENTS_KEEP_BYTES:
        with connection.cursor() as cursor:
            cursor.execute(_BEYOND, [settings.EVENTS_KEEP_BYTES])
            (hour,) = cursor.fetchone() or (None,)
        latest = Segment.objects.live().aggregate(latest=Max("min_ts"))["latest"]
        if hour is not None and latest is not None:
            gone += _let_go(min((hour + 1), latest // HOUR_MS) * HOUR_MS, now)
    return gone


def _let_go(before_ms: int, now: datetime) -> int:
    """Let go of the files whose hour is over before an instant."""
    old = Segment.objects.live().filter(min_ts__lt=before_ms)
    about = old.aggregate(first=Min("min_ts"), rows=Sum("rows"), bytes=Sum("bytes"))
    if about["first"] is None:
        return 0
    gone = old.update(deleted_at=now)
    logger.info(
        "%s events in %s files are no longer kept (%s bytes)", about["rows"], gone, about["bytes"]
    )
    return gone
