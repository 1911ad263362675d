"""Counts beside the segments: written with the catalogue rows, added up by readers, folded by a job."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from apps.analytics.events import Outcome, Traffic
from apps.telemetry.models import HourCount, OperationCount, UnnamedGroups
from apps.telemetry.resolve.identities import NOBODY
from apps.telemetry.resolve.sketch import Sketch
from apps.telemetry.resolve.unnamed import Evidence, Group

COLUMNS = ["ts", "customer", "service", "operation", "outcome", "traffic"]
"""The columns of a segment that are looked at."""


@dataclass(frozen=True)
class Counted:
    """Customers' requests of one operation in one segment."""

    service: int
    operation: int
    requests: int
    named: int
    failed: int
    latest_ms: int


def of_events(events: pa.Table) -> list[Counted]:
    """Count the customers' requests of a segment by operation; bots and probes are left out."""
    theirs = events.select(COLUMNS).filter(pc.equal(events["traffic"], int(Traffic.CUSTOMERS)))
    facts = pa.table(
        {
            "service": theirs["service"],
            "operation": theirs["operation"],
            "named": pc.not_equal(theirs["customer"], NOBODY),
            "failed": pc.equal(theirs["outcome"], int(Outcome.FAILED)),
            "ts": theirs["ts"],
        }
    )
    sums = facts.group_by(["service", "operation"], use_threads=False).aggregate(
        [("ts", "count"), ("named", "sum"), ("failed", "sum"), ("ts", "max")]
    )
    names = ["service", "operation", "ts_count", "named_sum", "failed_sum", "ts_max"]
    return [Counted(*row) for row in zip(*(sums[n].to_pylist() for n in names), strict=True)]


def save(counted: Iterable[tuple[int, list[Counted]]]) -> None:
    """Write the counts of segments, each given with its hour since 1970, inside the caller's transaction."""
    hours: dict[tuple[int, int], list[int]] = {}
    days: dict[tuple[int, int], list[int]] = {}
    for hour, rows in counted:
        for one in rows:
            of_hour = hours.setdefault((hour, one.service), [0, 0])
            of_hour[0] += one.requests
            of_hour[1] += one.named
            of_day = days.setdefault((hour // 24, one.operation), [0, 0, 0])
            of_day[0] += one.requests
            of_day[1] += one.failed
            of_day[2] = max(of_day[2], one.latest_ms)
    HourCount.objects.bulk_create(
        [
            HourCount(hour=hour, service_id=service, requests=n, named=named)
            for (hour, service), (n, named) in hours.items()
        ],
        batch_size=5_000,
    )
    OperationCount.objects.bulk_create(
        [
            OperationCount(
                day=day, operation_id=operation, requests=n, failed=failed, latest_ms=latest
            )
            for (day, operation), (n, failed, latest) in days.items()
        ],
        batch_size=5_000,
    )


def save_unnamed(evidence: Evidence) -> None:
    """Write the sketches of a batch, inside the caller's transaction."""
    UnnamedGroups.objects.bulk_create(
        [row_of(day, attribute, sketch) for (day, attribute), sketch in evidence.items()],
        batch_size=500,
    )


def row_of(day: int, attribute: str, sketch: Sketch[Group]) -> UnnamedGroups:
    """Return a sketch as a row."""
    return UnnamedGroups(
        day=day,
        attribute=attribute,
        total=sketch.total,
        missed=sketch.missed,
        groups=[[group.service, group.value, count] for group, count in sketch.counts.items()],
    )


def sketch_of(row: UnnamedGroups) -> Sketch[Group]:
    """Return the sketch that a row holds."""
    counts = {Group(service, value): count for service, value, count in row.groups}
    return Sketch(counts=counts, total=row.total, missed=row.missed)
