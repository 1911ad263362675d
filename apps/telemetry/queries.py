"""What is stored: the files of a window, how far the data goes, and from whom it came."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from apps.catalog.models import Operation, Service
from apps.core.kept import Kept
from apps.customers.models import IdentificationRule
from apps.telemetry.catalogue import RULE_ORDER
from apps.telemetry.counts import sketch_of
from apps.telemetry.models import (
    Batch,
    HourCount,
    OperationCount,
    Rollup,
    Segment,
    TraitSet,
    UnnamedGroups,
)
from apps.telemetry.resolve.checks import Ranked, covering, shadows
from apps.telemetry.resolve.sketch import Sketch
from apps.telemetry.resolve.unnamed import AGENT, Group
from apps.telemetry.space import free_bytes

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Coverage:
    """How much the store holds of a window; times in epoch ms."""

    segments: int
    rows: int  # of the files that overlap; the window itself may hold fewer
    bytes: int
    first_ms: int | None
    last_ms: int | None


def traits() -> dict[int, dict[str, str]]:
    """Return what each set of traits holds, by the number that events carry."""
    return dict(TraitSet.objects.values_list("pk", "traits"))


def segments(start_ms: int, end_ms: int) -> list[Path]:
    """Return the files that hold the events of [start, end): those that the catalogue names, no others."""
    found = Segment.objects.live().overlapping(start_ms=start_ms, end_ms=end_ms)
    root = Path(settings.EVENTS_DIR)
    return [root / path for path in found.order_by("min_ts", "pk").values_list("path", flat=True)]


def watermark() -> int | None:
    """Return the time of the latest event, epoch ms; None when there is none."""
    latest = Segment.objects.live().aggregate(latest=Max("max_ts"))["latest"]
    return None if latest is None else int(latest)


def data_span() -> tuple[int, int] | None:
    """Return the times of the first and the latest event, epoch ms; None when there is none."""
    span = Segment.objects.live().aggregate(first=Min("min_ts"), latest=Max("max_ts"))
    return None if span["first"] is None else (int(span["first"]), int(span["latest"]))


def coverage(start_ms: int, end_ms: int) -> Coverage:
    """Return how much the store holds of a window."""
    found = Segment.objects.live().overlapping(start_ms=start_ms, end_ms=end_ms)
    sums = found.aggregate(
        rows=Sum("rows"), bytes=Sum("bytes"), first=Min("min_ts"), last=Max("max_ts")
    )
    return Coverage(
        segments=found.count(),
        rows=sums["rows"] or 0,
        bytes=sums["bytes"] or 0,
        first_ms=sums["first"],
        last_ms=sums["last"],
    )


@dataclass(frozen=True)
class Disk:
    """Room for events; bytes."""

    free: int  # on the disk that holds them, whatever else it holds
    used: int  # events and their roll-ups, those included that are replaced and go within the hour
    kept_free: int  # below this nothing is taken in
    daily_growth: int | None  # of the latest whole days; None while there is none
    keep_days: int | None  # None = all
    keep_bytes: int | None

    @property
    def full(self) -> bool:
        """Whether nothing is taken in until there is more room."""
        return self.free < self.kept_free

    @property
    def days_left(self) -> float | None:
        """Days until nothing more is taken in; None when retention will have made room before, or nothing grows."""
        if self.full:
            return 0.0
        if not self.daily_growth:
            return None
        room = self.free - self.kept_free
        limits = [self.keep_bytes] if self.keep_bytes else []
        limits += [self.keep_days * self.daily_growth] if self.keep_days else []
        if limits and min(limits) - self.used <= room:
            return None
        return room / self.daily_growth


GROWTH_DAYS = 7
"""Whole days of event time, before the latest one, whose average is the daily growth."""


def disk() -> Disk:
    """Return how much room events take, how much is left, and for how long at today's pace."""
    latest = watermark()
    growth = None
    if latest is not None:
        end = latest // DAY_MS
        days = Segment.objects.live().filter(
            min_ts__gte=(end - GROWTH_DAYS) * DAY_MS, min_ts__lt=end * DAY_MS
        )
        about = days.aggregate(bytes=Sum("bytes"), first=Min("min_ts"))
        rolled = Rollup.objects.filter(day__gte=end - GROWTH_DAYS, day__lt=end)
        if about["bytes"]:
            size = about["bytes"] + (rolled.aggregate(bytes=Sum("bytes"))["bytes"] or 0)
            growth = int(size / (end - about["first"] // DAY_MS))
    events = Segment.objects.aggregate(bytes=Sum("bytes"))["bytes"] or 0
    rollups = Rollup.objects.aggregate(bytes=Sum("bytes"))["bytes"] or 0
    return Disk(
        free=free_bytes(),
        used=events + rollups,
        kept_free=settings.EVENTS_LEAST_FREE,
        daily_growth=growth,
        keep_days=settings.EVENTS_KEEP_DAYS or None,
        keep_bytes=settings.EVENTS_KEEP_BYTES or None,
    )


def stats(*, waiting: Collection[int] = ()) -> dict[str, int | float | str | None]:
    """Return what is stored in numbers; `waiting`: the hours that have files to merge."""
    live = Segment.objects.live()
    sums = live.aggregate(events=Sum("rows"), bytes=Sum("bytes"), files=Count("pk"))
    events, size = sums["events"] or 0, sums["bytes"] or 0
    hour = F("min_ts") / Value(3_600_000)
    span = data_span()
    first, last = (
        datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds") if at else None
        for at in span or (None, None)
    )
    room = disk()
    return {
        "events": events,
        "bytes": size,
        "bytes_per_event": round(size / events, 2) if events else None,
        "files": sums["files"],
        "hours": live.annotate(hour=hour).values("hour").distinct().count(),
        "days": live.annotate(day=hour / Value(24)).values("day").distinct().count(),
        "first": first,
        "last": last,
        "hours_to_merge": len(waiting),
        "small_files_waiting": live.annotate(hour=hour).filter(hour__in=waiting).count(),
        "damaged_files": live.exclude(damaged_at=None).count(),
        "replaced_files": Segment.objects.exclude(deleted_at=None).count(),
        "days_rolled_up": Rollup.objects.count(),
        "bytes_rolled_up": Rollup.objects.aggregate(bytes=Sum("bytes"))["bytes"] or 0,
        "bytes_free": room.free,
        "bytes_a_day": room.daily_growth,
        "days_left": None if room.days_left is None else round(room.days_left, 1),
    }


def stored_chunks(chain_before: str) -> list[Batch]:
    """Return the stored chunks that begin where a file now stands, the longest first."""
    return list(Batch.objects.filter(chain_before=chain_before).order_by("-length", "pk"))


@dataclass(frozen=True)
class SeenOperation:
    """An operation that customers' requests asked for; `operation.proposed` = nobody has confirmed it."""

    operation: Operation
    requests: int
    failed: int
    latest_at: datetime


def seen_operations(since: datetime) -> list[SeenOperation]:
    """Return the operations of customers' requests since the day of `since`, the most frequent first.

    Requests of an operation that was merged count for the one it was merged into.
    Two queries however many there are. Each operation comes with its service. Counts are of whole
    UTC days and go back `jobs.KEPT_DAYS` days.
    """
    rows = (
        OperationCount.objects.filter(day__gte=int(since.timestamp()) // 86_400)
        .values(now=Coalesce("operation__merged_into", "operation"))
        .annotate(n=Sum("requests"), bad=Sum("failed"), latest=Max("latest_ms"))
        .order_by("-n", "now")
    )
    found = list(rows)
    operations = Operation.objects.select_related("service").in_bulk([row["now"] for row in found])
    return [
        SeenOperation(
            operation=operations[row["now"]],
            requests=row["n"],
            failed=row["bad"],
            latest_at=datetime.fromtimestamp(row["latest"] / 1000, UTC),
        )
        for row in found
        if row["now"] in operations
    ]


def requests_of(operations: Iterable[int], since: datetime) -> dict[int, int]:
    """Return customers' requests of these operations (by primary key) since the day of `since`.

    Requests of an operation that was merged count for the one it was merged into.
    """
    asked = list(operations)
    into = {
        pk: merged or pk
        for pk, merged in Operation.objects.filter(
            Q(pk__in=asked) | Q(merged_into__in=asked)
        ).values_list("pk", "merged_into")
    }
    rows = OperationCount.objects.filter(
        day__gte=int(since.timestamp()) // 86_400, operation__in=list(into)
    )
    found: dict[int, int] = {}
    for pk, requests in rows.values_list("operation").annotate(Sum("requests")):
        found[into[pk]] = found.get(into[pk], 0) + requests
    return found


@dataclass(frozen=True)
class Share:
    """Customers' requests, and those of them that belong to somebody we can name."""

    requests: int = 0
    named: int = 0

    @property
    def unnamed(self) -> int:
        """Requests that belong to nobody we can name."""
        return self.requests - self.named

    @property
    def share(self) -> float | None:
        """The named ones' part; None of nothing."""
        return self.named / self.requests if self.requests else None


def named_by_service(first_hour: int, end_hour: int) -> list[tuple[Service, Share]]:
    """Return the counts of the hours [first, end), the service with most unnamed requests first.

    Windows that begin before the latest days (`jobs.HOURLY_DAYS`) have to begin with a day, UTC.
    """
    rows = (
        HourCount.objects.filter(hour__gte=first_hour, hour__lt=end_hour)
        .values("service")
        .annotate(n=Sum("requests"), known=Sum("named"))
        .order_by(F("known") - F("n"), "service")
    )
    found = {row["service"]: Share(int(row["n"]), int(row["known"])) for row in rows}
    services = Service.objects.in_bulk(list(found))
    return [(services[pk], share) for pk, share in found.items() if pk in services]


def named_over_time(first_hour: int, end_hour: int, *, hours: int) -> list[tuple[int, Share]]:
    """Return the counts of the hours [first, end) in steps of so many hours, each with its first hour.

    Steps before the latest days (`jobs.HOURLY_DAYS`) have to be whole days, UTC.
    """
    step = (F("hour") - Value(first_hour)) / Value(hours)
    rows = (
        HourCount.objects.filter(hour__gte=first_hour, hour__lt=end_hour)
        .values(step=step)
        .annotate(n=Sum("requests"), known=Sum("named"))
        .order_by("step")
    )
    found = {int(row["step"]): Share(int(row["n"]), int(row["known"])) for row in rows}
    steps = -(-(end_hour - first_hour) // hours)
    return [(first_hour + at * hours, found.get(at, Share())) for at in range(steps)]


def latest_hour() -> int | None:
    """Return the latest hour that is counted, since 1970."""
    return HourCount.objects.order_by("-hour").values_list("hour", flat=True).first()


@dataclass(frozen=True)
class UnnamedGroup:
    """Requests that belong to nobody we can name and have one thing in common."""

    attribute: str
    value: str
    services: tuple[int, ...]  # the one with most of them first
    at_least: int
    exact: bool  # otherwise there may be more


def unnamed_groups(first_day: int, end_day: int) -> list[UnnamedGroup]:
    """Return the groups of unnamed requests of the days [first, end) since 1970, the largest first."""
    rows = UnnamedGroups.objects.filter(day__gte=first_day, day__lt=end_day)
    # Rows are written once and only ever replaced by others: their keys name what they say.
    of = rows.aggregate(least=Min("pk"), most=Max("pk"), rows=Count("pk"), sum=Sum("pk"))
    return list(_GROUPS.get((first_day, end_day, *of.values()), lambda: _unnamed_groups(rows)))


#: Merging four weeks of sketches takes as long as drawing the page.
_GROUPS: Kept[list[UnnamedGroup]] = Kept(16)


def _unnamed_groups(rows: QuerySet[UnnamedGroups]) -> list[UnnamedGroup]:
    sketches: dict[str, Sketch[Group]] = {}
    for row in rows.order_by("pk"):
        sketches.setdefault(row.attribute, Sketch()).merge(sketch_of(row))
    found = []
    for attribute, sketch in sketches.items():
        of: dict[str, list[tuple[int, int]]] = {}
        for group, count in sketch.counts.items():
            of.setdefault(group.value, []).append((-count, group.service))
        for value, parts in of.items():
            parts.sort()
            services = tuple(service for _, service in parts)
            count = -sum(part for part, _ in parts)
            found.append(UnnamedGroup(attribute, value, services, count, not sketch.missed))
    return sorted(found, key=lambda g: (-g.at_least, g.attribute, g.value))


def rules_in_order() -> QuerySet[IdentificationRule]:
    """Return the rules, with their customers, in the order in which they are asked."""
    return IdentificationRule.objects.select_related("customer").order_by(*RULE_ORDER)


def shadows_of(rules: Iterable[IdentificationRule]) -> dict[int, Ranked]:
    """Return, by primary key, the earlier rule that takes every request of one of `rules` before it.

    All rules are read only if one of them could.
    """
    wanted = [one for one in rules if one.enabled]
    wider = {value for one in wanted for value in covering(one.attribute, one.value)}
    if not wider or not IdentificationRule.objects.filter(enabled=True, value__in=wider).exists():
        return {}
    return shadows(ranked_rules(), [one.pk for one in wanted])


def ranked_rules() -> list[Ranked]:
    """Return all rules in the order in which they are asked."""
    rows = IdentificationRule.objects.order_by(*RULE_ORDER).values_list(
        "pk", "attribute", "value", "customer_id", "enabled"
    )
    return [Ranked(rank, *row) for rank, row in enumerate(rows, 1)]


#: The attributes by which unnamed requests are grouped.
EVIDENCE = ("customer", "api_key", "oauth_client", "host", "path_prefix", "network", AGENT)


def service_names(pks: Iterable[int]) -> dict[int, str]:
    """Return the names of services."""
    return dict(Service.objects.filter(pk__in=pks).values_list("pk", "name"))
