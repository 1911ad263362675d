"""What a worker does for the event store."""

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count

from apps.core.nudge import nudge
from apps.telemetry import arrivals, compaction, counts, customer_days, retention, rollups, silence
from apps.telemetry.models import CustomerDay, HourCount, OperationCount, Segment, UnnamedGroups
from apps.telemetry.resolve.sketch import merged

GRACE = timedelta(hours=1)
"""A file that the catalogue does not name yet may belong to a writer at work, but not for an hour."""


SWEPT = ".swept"

KEPT_DAYS = 35
"""Counts and unnamed groups are kept for so many days before the latest one: four weeks, and some."""

HOURLY_DAYS = 2
"""Hours are told apart on the latest day that is counted and so many before it: pages show older ones as days."""

HOUR_MS = 3_600_000
AT_ONCE = 200  # segments that one run counts
ROUNDS = 20  # ... and so often at most, so that many small deliveries do not pile up
FOLDED_AT_ONCE = 5_000  # sketches that one run merges
MOST_DROPPED = 5_000  # files that one run removes


def sweep(*, now: datetime) -> None:
    """Do what is due: the counts each time, orphans and finished days once an hour.

    The file `.swept` remembers when: both look at all files there are.
    """
    arrivals.count()
    silence.notice(now=now)
    count_segments()
    for _ in range(ROUNDS):
        if count_customers() < AT_ONCE:
            break
    fold_counts()
    drop_old_counts()
    drop_replaced(now=now)
    if compaction.due(now=now):
        nudge("telemetry.compact", queue="impact")
    root = Path(settings.EVENTS_DIR)
    mark = root / SWEPT
    if root.is_dir() and not (mark.exists() and mark.stat().st_mtime > (now - GRACE).timestamp()):
        mark.touch()
        retention.retain(now=now)
        arrivals.fold(now=now)
        sweep_orphans(now=now)
        rollups.sweep_files(now=now)
        if rollups.due(now=now):
            nudge("telemetry.rollup", queue="impact")


def sweep_orphans(*, now: datetime) -> int:
    """Remove files that a killed writer left behind and the catalogue never named; return how many."""
    root = Path(settings.EVENTS_DIR)
    limit = (now - GRACE).timestamp()
    removed = 0
    for folder in sorted(root.glob("dt=*/hh=*")):
        old = [p for p in folder.iterdir() if p.stat().st_mtime < limit]
        names = {str(p.relative_to(root)): p for p in old}
        known = set(Segment.objects.filter(path__in=list(names)).values_list("path", flat=True))
        for name, path in names.items():
            if name not in known:
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def drop_replaced(*, now: datetime, grace: timedelta = GRACE) -> int:
    """Remove files that were replaced so long ago that no reader has them in hand; return how many."""
    root = Path(settings.EVENTS_DIR)
    old = Segment.objects.filter(deleted_at__lte=now - grace).order_by("pk")
    gone = list(old.values_list("pk", "path")[:MOST_DROPPED])
    for _, path in gone:
        (root / path).unlink(missing_ok=True)
    # The rows last: whoever is killed before has them find the files again.
    Segment.objects.filter(pk__in=[pk for pk, _ in gone]).delete()
    return len(gone)


def count_segments() -> int:
    """Count the segments that were stored before there were counts; return how many were counted."""
    root = Path(settings.EVENTS_DIR)
    waiting = Segment.objects.live().filter(counted=False).order_by("pk")
    done = 0
    for pk, path, min_ts in list(waiting.values_list("pk", "path", "min_ts")[:AT_ONCE]):
        try:
            found = counts.of_events(pq.read_table(root / path, columns=counts.COLUMNS))
        except FileNotFoundError:
            continue  # replaced meanwhile
        with transaction.atomic():
            if Segment.objects.live().filter(pk=pk, counted=False).update(counted=True):
                counts.save([(min_ts // HOUR_MS, found)])
                done += 1
    return done


def count_customers() -> int:
    """Add segments to the days of customers, the latest first; return how many were added."""
    root = Path(settings.EVENTS_DIR)
    waiting = Segment.objects.live().filter(customers_counted=False).order_by("-pk")
    found: dict[int, customer_days.Sums] = {}
    for pk, path in list(waiting.values_list("pk", "path")[:AT_ONCE]):
        try:
            table = pq.read_table(root / path, columns=customer_days.COLUMNS)
        except FileNotFoundError:
            continue  # replaced meanwhile
        found[pk] = customer_days.of_events(table)
    with transaction.atomic():
        # A file that was replaced meanwhile goes uncounted: what replaced it is to be counted.
        mine = Segment.objects.live().filter(pk__in=found, customers_counted=False)
        mine = mine.select_for_update()
        claimed = list(mine.order_by("pk").values_list("pk", flat=True))
        customer_days.save(customer_days.added(found[pk] for pk in claimed))
        Segment.objects.filter(pk__in=claimed).update(customers_counted=True)
    return len(claimed)


_FOLD = """
    WITH gone AS (
        DELETE FROM {table} WHERE ({key}) IN (
            SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1
        ) RETURNING {key}, {columns}
    )
    INSERT INTO {table} ({key}, {columns}) SELECT {key}, {sums} FROM gone GROUP BY {key}
"""


# The hours of a day become the first of them: whole days add up to the same.
_FOLD_DAYS = """
    WITH gone AS (
        DELETE FROM telemetry_hourcount WHERE hour < %(end)s AND (hour / 24, service_id) IN (
            SELECT hour / 24, service_id FROM telemetry_hourcount WHERE hour < %(end)s
            GROUP BY 1, 2 HAVING count(*) > 1
        ) RETURNING hour / 24 AS day, service_id, requests, named
    )
    INSERT INTO telemetry_hourcount (hour, service_id, requests, named)
    SELECT day * 24, service_id, sum(requests), sum(named) FROM gone GROUP BY day, service_id
"""


def fold_counts() -> None:
    """Replace rows that count the same by their sum; no figure changes, whoever reads or writes meanwhile."""
    latest = HourCount.objects.order_by("-hour").values_list("hour", flat=True).first()
    if latest is not None:
        with connection.cursor() as cursor:
            cursor.execute(_FOLD_DAYS, {"end": (latest // 24 - HOURLY_DAYS) * 24})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _FOLD.format(
                table="telemetry_hourcount",
                key="hour, service_id",
                columns="requests, named",
                sums="sum(requests), sum(named)",
            )
        )
        cursor.execute(
            _FOLD.format(
                table="telemetry_operationcount",
                key="day, operation_id",
                columns="requests, failed, latest_ms",
                sums="sum(requests), sum(failed), max(latest_ms)",
            )
        )
    _fold_unnamed()


@transaction.atomic
def _fold_unnamed() -> None:
    days = (
        UnnamedGroups.objects.values("day", "attribute")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
        .values("day")
    )
    parts: dict[tuple[int, str], list[UnnamedGroups]] = {}
    found = UnnamedGroups.objects.filter(day__in=days).order_by("pk")
    for row in found.select_for_update(skip_locked=True)[:FOLDED_AT_ONCE]:
        parts.setdefault((row.day, row.attribute), []).append(row)
    several = {key: rows for key, rows in parts.items() if len(rows) > 1}
    UnnamedGroups.objects.filter(pk__in=[r.pk for rows in several.values() for r in rows]).delete()
    counts.save_unnamed(
        {key: merged(counts.sketch_of(row) for row in rows) for key, rows in several.items()}
    )


def drop_old_counts() -> None:
    """Forget counts that are older than KEPT_DAYS, customers' days `customer_days.KEPT_DAYS`, before the latest."""
    newest = CustomerDay.objects.order_by("-day").values_list("day", flat=True).first()
    if newest is not None:
        CustomerDay.objects.filter(day__lt=newest - customer_days.KEPT_DAYS).delete()
    latest = HourCount.objects.order_by("-hour").values_list("hour", flat=True).first()
    if latest is None:
        return
    day = latest // 24 - KEPT_DAYS
    HourCount.objects.filter(hour__lt=day * 24).delete()
    OperationCount.objects.filter(day__lt=day).delete()
    UnnamedGroups.objects.filter(day__lt=day).delete()
