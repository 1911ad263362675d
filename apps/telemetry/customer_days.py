"""Each customer's requests by day: counted by a worker from the segments, read by profiles.

Taking events in does not wait for it: a batch may hold ten thousand customers. Each segment is added once, in the
transaction that marks it, so a figure is the sum over the marked segments whoever counts at the same time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection
from django.db.models import Q

from apps.analytics.events import Outcome, Traffic
from apps.telemetry.models import CustomerDay, Segment
from apps.telemetry.resolve.identities import NOBODY

COLUMNS = ["ts", "customer", "outcome", "traffic"]
"""The columns of a segment that are looked at."""

KEPT_DAYS = 92
"""Days are kept for so long before the latest one: a profile shows 90."""

DAY_MS = 86_400_000

Sums = dict[tuple[int, int], list[int]]
"""(day since 1970, customer or NOBODY for everybody) -> requests, failed, epoch ms of the latest."""


def of_events(events: pa.Table) -> Sums:
    """Count customers' requests by day and customer, and everybody's by day; bots and probes are left out."""
    theirs = events.select(COLUMNS).filter(pc.equal(events["traffic"], int(Traffic.CUSTOMERS)))
    facts = pa.table(
        {
            "day": pc.divide(theirs["ts"], DAY_MS),
            "customer": theirs["customer"],
            "failed": pc.equal(theirs["outcome"], int(Outcome.FAILED)),
            "ts": theirs["ts"],
        }
    )
    counted = facts.group_by(["day", "customer"], use_threads=False).aggregate(
        [("ts", "count"), ("failed", "sum"), ("ts", "max")]
    )
    names = ["day", "customer", "ts_count", "failed_sum", "ts_max"]
    found: Sums = {}
    for day, customer, n, failed, latest in zip(
        *(counted[name].to_pylist() for name in names), strict=True
    ):
        # Whoever it was, it tells that the day has data.
        for whose in {customer, NOBODY}:
            _add(found, (day, whose), (n, failed, latest))
    return found


def added(parts: Iterable[Sums]) -> Sums:
    """Return the sum of counts."""
    whole: Sums = {}
    for part in parts:
        for key, sums in part.items():
            _add(whole, key, sums)
    return whole


def _add(found: Sums, key: tuple[int, int], sums: Iterable[int]) -> None:
    n, failed, latest = sums
    row = found.setdefault(key, [0, 0, 0])
    row[0] += n
    row[1] += failed
    row[2] = max(row[2], latest)


def save(sums: Sums) -> None:
    """Add counts to the days, inside the caller's transaction."""
    # In one order, so that two workers wait for each other instead of both for ever.
    rows = [(day, whose or None, *values) for (day, whose), values in sorted(sums.items())]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO telemetry_customerday AS d (day, customer_id, requests, failed, latest_ms)
            SELECT * FROM unnest(%s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            ON CONFLICT (customer_id, day) DO UPDATE SET
                requests = d.requests + excluded.requests,
                failed = d.failed + excluded.failed,
                latest_ms = greatest(d.latest_ms, excluded.latest_ms)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


@dataclass(frozen=True)
class Day:
    """A customer's requests of one UTC day; None where the store holds nobody's, so that nothing can be told."""

    date: date
    requests: int | None
    failed: int | None

    @property
    def share(self) -> float | None:
        """The failed ones' part; None of nothing."""
        return (self.failed or 0) / self.requests if self.requests else None


@dataclass(frozen=True)
class Days:
    """A customer's days, the first first, and how far what they rest on goes."""

    days: tuple[Day, ...]
    latest_at: datetime | None  # of theirs
    watermark: datetime | None  # of anybody's
    counting: bool  # whether there is more that no worker has counted yet

    @property
    def known(self) -> tuple[Day, ...]:
        """The days that hold data, of whomever."""
        return tuple(day for day in self.days if day.requests is not None)

    @property
    def requests(self) -> int | None:
        """Their requests; None where no day holds data."""
        return sum(day.requests or 0 for day in self.known) if self.known else None

    @property
    def failed(self) -> int | None:
        """Those of them that failed; None where no day holds data."""
        return sum(day.failed or 0 for day in self.known) if self.known else None

    @property
    def share(self) -> float | None:
        """The failed ones' part; None of nothing."""
        return (self.failed or 0) / self.requests if self.requests else None


def of_customer(customer: int, *, last: date, days: int) -> Days:
    """Return a customer's `days` days up to and with `last`, in two queries."""
    end = (last - date(1970, 1, 1)).days
    rows = CustomerDay.objects.filter(
        Q(customer=customer) | Q(customer=None), day__gt=end - days, day__lte=end
    ).values_list("day", "customer", "requests", "failed", "latest_ms")
    theirs: dict[int, tuple[int, int]] = {}
    anybody: set[int] = set()
    latest, watermark = 0, 0
    for day, whose, requests, failed, at in rows:
        if not whose:  # everybody
            anybody.add(day)
            watermark = max(watermark, at)
        else:
            theirs[day] = (requests, failed)
            latest = max(latest, at)
    found = []
    for day in range(end - days + 1, end + 1):
        n, failed_ = theirs.get(day, (0, 0)) if day in anybody else (None, None)
        found.append(Day(date(1970, 1, 1) + timedelta(days=day), n, failed_))
    return Days(
        days=tuple(found),
        latest_at=_moment(latest),
        watermark=_moment(watermark),
        counting=Segment.objects.live().filter(customers_counted=False).exists(),
    )


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
