"""What `/metrics` tells of telemetry."""

import re
from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from apps.core.metrics import Family, by_label, counter, gauge
from apps.telemetry import intake, queries

REASONS = 20
"""Reasons that are told apart; they are words of our readers, numbers in them left out. The rest is `other`."""
_NUMBER = re.compile(r"\d+")

# In one statement, so that a batch is never in both parts or in none: a counter must not go back.
_TOTALS = """
    WITH waiting AS (
        SELECT rows, reasons, tally FROM telemetry_batch WHERE NOT arrival_counted
    )
    SELECT name, sum(n)::bigint FROM (
        SELECT name, n FROM telemetry_total
        UNION ALL SELECT 'batches', count(*) FROM waiting
        UNION ALL SELECT 'events', coalesce(sum(rows), 0) FROM waiting
        UNION ALL SELECT 'bots', coalesce(sum((tally ->> 'bots')::bigint), 0) FROM waiting
        UNION ALL SELECT 'probes', coalesce(sum((tally ->> 'probes')::bigint), 0) FROM waiting
        UNION ALL SELECT left('rejected: ' || r.key, 200), r.value::bigint
                  FROM waiting, jsonb_each_text(reasons) AS r
    ) AS parts GROUP BY name
"""


def measured(now: datetime) -> Iterable[Family]:
    """Return what comes in, how late, and what is stored."""
    totals = _totals()
    yield counter(
        "portal_events", "Events stored, bots and health checks included.", totals.get("events", 0)
    )
    yield counter(
        "portal_batches", "Deliveries and pieces of files stored.", totals.get("batches", 0)
    )
    yield by_label(
        "portal_events_set_apart", "what",
        {"bot": totals.get("bots", 0), "probe": totals.get("probes", 0)},
        "Stored events that are no customer's: bots and health checks.", kind="counter",
    )  # fmt: skip
    yield by_label(
        "portal_events_rejected", "reason", _reasons(totals),
        "Lines that were no event and not stored.", kind="counter",
    )  # fmt: skip
    fresh = intake.freshness(now)
    yield gauge(
        "portal_event_lag_seconds",
        "Age of the latest event by its own time; negative when it lies ahead of our clock.",
        fresh.behind.total_seconds() if fresh.behind is not None else None,
    )
    yield gauge(
        "portal_event_age_on_arrival_seconds",
        "Age of a delivery's newest event as it came, the middle one of the last hour's latest hundred.",
        fresh.on_arrival.total_seconds() if fresh.on_arrival is not None else None,
    )
    yield gauge(
        "portal_last_delivery_timestamp_seconds",
        "When the latest delivery was stored.",
        fresh.last_batch.timestamp() if fresh.last_batch else None,
    )
    yield gauge(
        "portal_batches_uncounted",
        "Deliveries stored that no worker has counted yet.",
        fresh.waiting,
    )
    for name, services in (("portal_sources", False), ("portal_services", True)):
        yield by_label(
            name, "state", intake.counts_by_state(services=services),
            "What sends events, by whether it is missed." if not services
            else "Services that events name, by whether they are missed.",
        )  # fmt: skip
    day = intake.summed(intake.steps(now, hours=24, step=288))
    yield gauge(
        "portal_unnamed_ratio",
        "Part of customers' requests of the last 24 hours that belong to nobody we can name.",
        day.unnamed_share,
    )
    stored = intake.stored()
    yield gauge("portal_segments", "Files of events.", stored.segments)
    yield gauge("portal_segments_replaced", "Files that wait to be removed.", stored.replaced)
    yield gauge(
        "portal_segments_damaged", "Files that are not what the catalogue says.", stored.damaged
    )
    yield gauge("portal_segment_bytes", "Bytes of all files of events.", stored.bytes)
    yield gauge("portal_stored_events", "Events in all files.", stored.rows)
    disk = queries.disk()
    yield gauge("portal_disk_free_bytes", "What is free on the disk of the events.", disk.free)
    yield gauge("portal_disk_kept_free_bytes", "Below this nothing is taken in.", disk.kept_free)
    yield gauge(
        "portal_disk_seconds_left",
        "Until nothing more is taken in, at the pace of the latest days; absent when that will not come.",
        None if disk.days_left is None else disk.days_left * 86_400,
    )


def _totals() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS)
        return dict(cursor.fetchall())


def _reasons(totals: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, n in totals.items():
        kind, _, reason = name.partition(": ")
        if kind == "rejected":
            reason = _NUMBER.sub("N", reason)
            found[reason] = found.get(reason, 0) + n
    order = sorted(found)
    for reason in order[REASONS:]:
        found["other"] = found.get("other", 0) + found.pop(reason)
    return found
