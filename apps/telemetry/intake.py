"""What *System → Telemetry* shows: what comes in, from whom, what could not be read, and what is stored."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Max, Min, Q, QuerySet, Sum, Value, When

from apps.telemetry.arrivals import HOUR_SLOTS, moment, slot_of
from apps.telemetry.models import Arrival, Batch, Segment, Sender, SenderState, Silence

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FAILURES_LOOKED_AT = 200
"""The latest batches of which something was rejected; older ones are not looked at."""
FAILURES_SINCE = timedelta(days=7)
SAMPLES_SHOWN = 3
LAG_OF = 100  # the latest batches

_SUMS = ("batches", "events", "rejected", "bots", "probes", "customers", "named")


@dataclass(frozen=True)
class Sums:
    """What came in. `events` are stored; `bots` and `probes` are those of them that are set apart."""

    batches: int = 0
    events: int = 0
    rejected: int = 0
    bots: int = 0
    probes: int = 0
    customers: int = 0
    named: int = 0

    @property
    def rejected_share(self) -> float | None:
        """The part of all lines that could not be used; None of nothing."""
        whole = self.events + self.rejected
        return self.rejected / whole if whole else None

    @property
    def unnamed_share(self) -> float | None:
        """The part of customers' requests that belong to nobody we can name; None of nothing."""
        return (self.customers - self.named) / self.customers if self.customers else None

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in _SUMS))


def steps(
    now: datetime, *, hours: int, step: int = 1, sender: Sender | None = None
) -> list[tuple[datetime, Sums]]:
    """Return what came in during the last hours, in steps of so many five minutes, the running one last.

    Of all sources, or of one sender. One query. Steps begin at whole multiples of themselves.
    """
    end = slot_of(now) // step * step + step
    first = end - hours * HOUR_SLOTS
    rows = Arrival.objects.filter(slot__gte=first, slot__lt=end)
    rows = rows.filter(sender=sender) if sender else rows.filter(sender__source__isnull=False)
    found = {
        at: Sums(*(int(n) for n in sums))
        for at, *sums in rows.values_list((F("slot") - Value(first)) / Value(step)).annotate(
            *(Sum(name) for name in _SUMS)
        )
    }
    return [
        (moment(first + at * step), found.get(at, Sums()))
        for at in range(hours * HOUR_SLOTS // step)
    ]


def summed(parts: Iterable[tuple[datetime, Sums]]) -> Sums:
    """Return the sum of steps."""
    return sum((one for _, one in parts), Sums())


def events_of_hour_before(now: datetime, *, ago: timedelta = DAY) -> int | None:
    """Return the events of the hour before the same time some time ago; None when nothing was known then."""
    end = slot_of(now - ago)
    n = Arrival.objects.filter(
        slot__gte=end - HOUR_SLOTS, slot__lt=end, sender__source__isnull=False
    ).aggregate(n=Sum("events"))["n"]
    return None if n is None else int(n)


@dataclass(frozen=True)
class Freshness:
    """How far the data goes, and how old events are when they come.

    `behind`: the latest event before now; negative when it lies ahead of our clock. `on_arrival`: the middle one of the
    latest hundred deliveries of the last hour, its newest event's age. `waiting`: deliveries that are stored but not
    counted yet, with their events.
    """

    latest: datetime | None
    behind: timedelta | None
    on_arrival: timedelta | None
    last_batch: datetime | None
    waiting: int
    waiting_events: int
    waiting_since: datetime | None


def freshness(now: datetime) -> Freshness:
    """Return how fresh the data is; three queries."""
    latest_ms = Segment.objects.live().aggregate(latest=Max("max_ts"))["latest"]
    latest = None if latest_ms is None else datetime.fromtimestamp(latest_ms / 1000, UTC)
    batches = list(
        Batch.objects.order_by("-pk").values_list("created_at", "tally__last_ms")[:LAG_OF]
    )
    ages = [
        max(at.timestamp() - last_ms / 1000, 0)
        for at, last_ms in batches
        if last_ms is not None and now - at <= HOUR
    ]
    waiting = Batch.objects.filter(arrival_counted=False).aggregate(
        n=Count("pk"), events=Sum("rows"), since=Min("created_at")
    )
    return Freshness(
        latest=latest,
        behind=now - latest if latest else None,
        on_arrival=timedelta(seconds=median(ages)) if ages else None,
        last_batch=max((at for at, _ in batches), default=None),
        waiting=waiting["n"],
        waiting_events=waiting["events"] or 0,
        waiting_since=waiting["since"],
    )


#: Those that somebody should look at first.
_ORDER = Case(
    When(state=SenderState.QUIET, then=0),
    When(state=SenderState.STOPPED, then=1),
    When(state=SenderState.RETIRED, then=3),
    default=2,
    output_field=IntegerField(),
)


def senders(*, services: bool) -> QuerySet[Sender]:
    """Return sources, or services, those that are missed first, then those heard last."""
    rows = Sender.objects.filter(service__isnull=not services).select_related("service")
    return rows.order_by(_ORDER, "-seen_at", "pk")


def open_silences(senders: Iterable[Sender] | None = None) -> dict[int, Silence]:
    """Return the silences that go on by their sender's primary key, of some senders or of all."""
    rows = Silence.objects.filter(ended_at=None).select_related("sender")
    if senders is not None:
        rows = rows.filter(sender__in=list(senders))
    return {one.sender_id: one for one in rows}


def longest_silences(most: int) -> list[Silence]:
    """Return the silences that go on, the longest first, each with its sender."""
    rows = Silence.objects.filter(ended_at=None).select_related("sender__service")
    return list(rows.order_by("began_at", "pk")[:most])


def silent_services() -> dict[int, datetime]:
    """Return the services that are silent, by primary key, and since when. For the apps above."""
    rows = Silence.objects.filter(ended_at=None, sender__service__isnull=False)
    return dict(rows.values_list("sender__service", "began_at"))


def sums_of(senders: Iterable[Sender], now: datetime, *, hours: int = 24) -> dict[int, Sums]:
    """Return what came from senders in the last hours, by primary key."""
    rows = Arrival.objects.filter(
        sender__in=list(senders), slot__gt=slot_of(now) - hours * HOUR_SLOTS
    )
    found = rows.values_list("sender").annotate(*(Sum(name) for name in _SUMS))
    return {pk: Sums(*(int(n) for n in sums)) for pk, *sums in found}


def counts_by_state(*, services: bool) -> dict[str, int]:
    """Return how many sources, or services, are in each state; every state is there."""
    rows = Sender.objects.filter(service__isnull=not services).values_list("state")
    return dict.fromkeys(SenderState.values, 0) | dict(rows.annotate(Count("pk")))


@dataclass
class Failure:
    """A reason for which lines could not be used, with the latest samples."""

    reason: str
    lines: int = 0
    latest_at: datetime | None = None
    sources: set[str] = field(default_factory=set)
    samples: list[dict[str, Any]] = field(default_factory=list)  # source, line, excerpt


@dataclass(frozen=True)
class Failures:
    """Why lines could not be used of late, the most frequent reason first. `more`: not all batches were looked at."""

    reasons: list[Failure]
    since: datetime
    more: bool


def failures(now: datetime) -> Failures:
    """Return why lines could not be used in the latest batches; one query."""
    since = now - FAILURES_SINCE
    rows = list(
        Batch.objects.filter(rejected__gt=0, created_at__gte=since)
        .order_by("-created_at")
        .values("source", "created_at", "reasons", "samples")[: FAILURES_LOOKED_AT + 1]
    )
    found: dict[str, Failure] = {}
    for row in rows[:FAILURES_LOOKED_AT]:
        for reason, lines in row["reasons"].items():
            one = found.setdefault(reason, Failure(reason))
            one.lines += lines
            one.latest_at = one.latest_at or row["created_at"]
            one.sources.add(row["source"])
        for sample in row["samples"]:
            told = found.get(sample["reason"])
            if told is None or len(told.samples) >= SAMPLES_SHOWN:
                continue
            # The same line again and again teaches nothing.
            if sample["excerpt"] not in {one["excerpt"] for one in told.samples}:
                told.samples.append(sample | {"source": row["source"]})
    more = len(rows) > FAILURES_LOOKED_AT
    if more:
        since = rows[FAILURES_LOOKED_AT - 1]["created_at"]
    reasons = sorted(found.values(), key=lambda one: (-one.lines, one.reason))
    return Failures(reasons, since, more)


def batches_of(sender: Sender) -> QuerySet[Batch]:
    """Return the batches of a source, the latest first."""
    return Batch.objects.filter(source=sender.source).order_by("-created_at", "-pk")


@dataclass(frozen=True)
class Stored:
    """The files of events. `replaced` wait to be removed; `damaged` are not what the catalogue says."""

    segments: int
    rows: int
    bytes: int
    replaced: int
    damaged: int
    first: datetime | None

    @property
    def per_event(self) -> float | None:
        """Bytes an event."""
        return self.bytes / self.rows if self.rows else None


def stored() -> Stored:
    """Return what is stored; one query over all files."""
    live = Q(deleted_at=None)
    found = Segment.objects.aggregate(
        segments=Count("pk", filter=live),
        rows=Sum("rows", filter=live),
        bytes=Sum("bytes", filter=live),
        replaced=Count("pk", filter=~live),
        damaged=Count("pk", filter=live & Q(damaged_at__isnull=False)),
        first=Min("min_ts", filter=live),
    )
    return Stored(
        segments=found["segments"],
        rows=found["rows"] or 0,
        bytes=found["bytes"] or 0,
        replaced=found["replaced"],
        damaged=found["damaged"],
        first=None
        if found["first"] is None
        else datetime.fromtimestamp(found["first"] / 1000, UTC),
    )
