"""Reads of incidents: the list, and all that the room shows. Nothing here writes."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    Count,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce

from apps.accounts.models import PERMISSIONS, Role, User
from apps.core.charts import Chart
from apps.customers.models import Kind
from apps.impact import pictures
from apps.impact.models import CustomerImpact, ImpactRun, ImpactSnapshot, RunState
from apps.impact.queries import (
    HIT_GRADES,
    STAFF,
    CustomerRow,
    Impact,
    customer_rows,
    hardest_hit,
    impact_of,
    ranked_customers,
)
from apps.incidents import severity
from apps.incidents.models import LIVE, Incident, IncidentRun, Severity, TimelineEvent, Update

#: What the list can be narrowed to: key, label.
WHICH = (("open", "Open"), ("over", "Over"), ("all", "All"))
MOST_EVENTS, MOST_CUSTOMERS, MOST_MARKS = 20, 10, 30


def latest_snapshot(incident: Incident) -> ImpactSnapshot | None:
    """Return the newest answer to what the incident did to customers, without its long result."""
    return snapshots(incident).first()


def _snapshots(incident: Any) -> QuerySet[ImpactSnapshot]:
    return ImpactSnapshot.objects.filter(run__incident_run__incident=incident).order_by(
        "-created_at", "-pk"
    )


def snapshots(incident: Incident) -> QuerySet[ImpactSnapshot]:
    """Return the incident's snapshots, the newest first; their long answers are read where one is looked at."""
    return _snapshots(incident).defer("result", "overall")


def told_from(incident: Any) -> QuerySet[ImpactSnapshot]:
    """Return the snapshots that words to customers may rest on: those of whole runs, the newest first."""
    return _snapshots(incident).filter(run__light=False)


def compared(incident: Incident) -> QuerySet[ImpactSnapshot]:
    """Return the snapshots worth choosing from: all of whole runs, and the newest whatever it is."""
    newest = Subquery(_snapshots(incident).values("pk")[:1])
    return snapshots(incident).filter(Q(run__light=False) | Q(pk=newest))


# The list


def listing(*, user: User, which: str = "open", search: str = "") -> QuerySet[Any]:
    """Return incidents for the list, newest first, each with `gave_up`, `people_hit` and `customers_hit`.

    The numbers are of its newest snapshot; None where there is none, or where it cannot tell.
    """
    snapshot = _snapshots(OuterRef("pk"))
    hit = (
        CustomerImpact.objects.filter(snapshot=OuterRef("snapshot_id"), grade__in=HIT_GRADES)
        .order_by()
        .values("snapshot")
        .annotate(n=Count("pk"))
        .values("n")
    )
    rows = Incident.objects.visible_to(user).annotate(
        snapshot_id=Subquery(snapshot.values("pk")[:1]),
        gave_up=Subquery(snapshot.values("overall__people__gave_up")[:1]),
        people_hit=Subquery(snapshot.values("overall__actors__hit")[:1]),
    )
    rows = rows.annotate(
        customers_hit=Coalesce(Subquery(hit, output_field=IntegerField()), 0)
    ).select_related("lead")
    rows = rows.prefetch_related(
        Prefetch("severities", queryset=Severity.objects.order_by("level", "kind"))
    )
    return _searched(rows, search).filter(_which(which)).order_by("-started_at", "-pk")


def counts(*, user: User, search: str = "") -> dict[str, int]:
    """Return how many incidents each choice of WHICH shows."""
    found: dict[str, int] = (
        _searched(Incident.objects.visible_to(user), search)
        .order_by()
        .aggregate(**{key: Count("pk", filter=_which(key)) for key, _ in WHICH})
    )
    return found


def _which(which: str) -> Q:
    if which == "open":
        return Q(state__in=LIVE)
    return ~Q(state__in=LIVE) if which == "over" else Q(pk__isnull=False)


def _searched(rows: QuerySet[Any], search: str) -> QuerySet[Any]:
    if number := re.fullmatch(r"\s*inc-?\s*(\d{1,9})\s*", search, re.IGNORECASE):
        return rows.filter(pk=int(number[1]))
    if search:
        return rows.filter(Q(title__icontains=search) | Q(cannot__icontains=search))
    return rows


# The room


@dataclass(frozen=True, kw_only=True)
class SeverityRow:
    """How bad it is for one kind of customer: what stands, and what is measured now if that differs."""

    kind: str
    label: str
    level: int
    reason: str
    confirmed_by: User | None
    measured: severity.Proposal | None


@dataclass(frozen=True, kw_only=True)
class Room:
    """All that the incident room shows to one person."""

    incident: Incident
    services: Sequence[str]
    timeline: Sequence[TimelineEvent]
    more_events: bool
    draft: Update | None
    said: Update | None  # what customers read now
    severities: Sequence[SeverityRow]
    run: ImpactRun | None  # the whole one asked for last
    impact: Impact | None
    customers: Sequence[CustomerRow]
    customers_total: int
    picture: Chart | None  # attempts over time
    pictures: Sequence[Chart]  # more of them
    pulse: str

    @property
    def computing(self) -> bool:
        """Whether a worker has, or will have, something new to say."""
        return self.run is not None and self.run.state in {RunState.QUEUED, RunState.RUNNING}

    @property
    def failed(self) -> bool:
        """Whether the last computation came to nothing."""
        return self.run is not None and self.run.state == RunState.FAILED

    @property
    def changes(self) -> bool:
        """Whether the page is worth asking for again by itself."""
        return self.incident.is_live or self.computing


def incident_for(*, user: User, pk: int) -> Incident:
    """Return the incident with the people on it. Raise Incident.DoesNotExist where `user` may not see it."""
    return (
        Incident.objects.visible_to(user)
        .select_related("lead", "liaison", "declared_by")
        .get(pk=pk)
    )


def pulse(*, incident: Incident, now: datetime) -> str:
    """Return a short text that changes when anything that the room shows does, in one query."""
    # A light run is seen by its snapshot alone: the page need not stir twice a minute.
    runs = ImpactRun.objects.filter(incident_run__incident=OuterRef("pk"), light=False).order_by(
        "-pk"
    )
    events = TimelineEvent.objects.filter(incident=OuterRef("pk")).order_by("-pk")
    draft = Update.objects.filter(incident=OuterRef("pk"), published_at=None)
    facts = Incident.objects.filter(pk=incident.pk).values_list(
        "version",
        Subquery(events.values("pk")[:1]),
        Subquery(runs.values("pk")[:1]),
        Subquery(runs.values("state")[:1]),
        Subquery(runs.values("progress")[:1]),
        Subquery(_snapshots(OuterRef("pk")).values("pk")[:1]),
        Subquery(draft.values("pk")[:1]),
        Subquery(draft.values("revision")[:1]),
    )
    late = incident.next_update_at is not None and incident.next_update_at < now
    return hashlib.blake2b(repr([*facts, late]).encode(), digest_size=8).hexdigest()


def room(
    *, incident: Incident, user: User, now: datetime, sort: str = "-gave_up", reader: str = STAFF
) -> Room:
    """Return what the room shows of an incident to `user`, in a fixed number of queries.

    `reader` is who of ours the story is told to; `sort` orders the customers.
    """
    events = list(timeline(incident=incident, user=user)[: MOST_EVENTS + 1])
    updates = list(
        incident.updates.filter(Q(published_at=None) | Q(pk__in=_said_last(incident)))
        .select_related("author", "published_by")
        .order_by("pk")
    )
    drafts = [one for one in updates if one.published_at is None]
    said = [one for one in updates if one.published_at is not None]
    impact = impact_of(_snapshots(incident), names_all=user.is_staff, reader=reader)
    hit, total = [], 0
    shown: list[Chart | None] = [None]
    if impact:
        shown = _pictures(incident, impact, user)
        rows = customers(snapshot=impact.snapshot_id, user=user, sort=sort)
        total = rows.count()
        hit = customer_rows(rows[:MOST_CUSTOMERS])
    return Room(
        incident=incident,
        services=list(incident.services.order_by("name", "pk").values_list("name", flat=True)),
        timeline=events[:MOST_EVENTS],
        more_events=len(events) > MOST_EVENTS,
        draft=drafts[0] if drafts and user.is_staff else None,
        said=said[0] if said else None,
        severities=_severities(incident, impact),
        run=ImpactRun.objects.filter(incident_run__incident=incident, light=False)
        .order_by("-pk")
        .first(),
        impact=impact,
        customers=hit,
        customers_total=total,
        picture=shown[0],
        pictures=[one for one in shown[1:] if one],
        pulse=pulse(incident=incident, now=now),
    )


def _pictures(incident: Incident, impact: Impact, user: User) -> list[Chart | None]:
    """Return the charts of a snapshot, attempts over time first; None where it does not hold the numbers."""
    updates = (
        incident.updates.filter(published_at__isnull=False)
        .order_by("-published_at")
        .values_list("published_at", flat=True)[:MOST_MARKS]
    )
    marks = [(at, f"update {n}") for n, at in enumerate(sorted(at for at in updates if at), 1)]
    marks += [(incident.started_at, "began"), (incident.declared_at, "declared")]
    if incident.resolved_at:
        marks.append((incident.resolved_at, "resolved"))
    rows = CustomerImpact.objects.filter(snapshot=impact.snapshot_id).visible_to(user)
    return [
        pictures.attempts_over_time(impact.result, marks=marks),
        pictures.journey_steps(impact.result),
        pictures.uptime_over_time(impact.result, marks=marks),
        pictures.worst_windows(impact.result),
        pictures.customers_by_harm(hardest_hit(rows)),
        pictures.came_back(impact.result),
    ]


#: The kinds of events whose words are about everybody; a new kind is staff's until it is known to be.
NAMES_NOBODY = ("declared", "edit", "severity", "snapshot", "state", "update")


def timeline(*, incident: Incident, user: User) -> QuerySet[TimelineEvent]:
    """Return what happened, newest first. Notes and customers' reports name customers, so only staff read them."""
    events = incident.timeline.select_related("user").order_by("-at", "-pk")
    return events if user.is_staff else events.filter(kind__in=NAMES_NOBODY)


def customers(*, snapshot: int, user: User, sort: str = "-gave_up") -> QuerySet[Any]:
    """Return what a snapshot says about the customers that `user` may see, worst first by default."""
    return ranked_customers(
        CustomerImpact.objects.filter(snapshot=snapshot).visible_to(user), sort=sort
    )


def _said_last(incident: Incident) -> QuerySet[Any, Any]:
    return (
        Update.objects.filter(incident=incident, published_at__isnull=False)
        .order_by("-published_at", "-pk")
        .values("pk")[:1]
    )


def _severities(incident: Incident, impact: Impact | None) -> list[SeverityRow]:
    rows = list(incident.severities.select_related("confirmed_by").order_by("level", "kind"))
    measured = _measured(impact.snapshot_id) if impact and rows else {}
    return [
        SeverityRow(
            kind=row.kind,
            label=Kind(row.kind).label,
            level=row.level,
            reason=row.reason,
            confirmed_by=row.confirmed_by,
            measured=_if_other(measured.get(row.kind), row),
        )
        for row in rows
    ]


def _measured(snapshot: int) -> dict[str, severity.Proposal]:
    """Return what a snapshot says of severities: as it was kept, worked out where nobody has kept it yet."""
    kept = IncidentRun.objects.filter(run__snapshot=snapshot).values_list("proposals", flat=True)
    if (found := kept.get()) is not None:
        return severity.from_json(found)
    customers = ImpactSnapshot.objects.values_list("result__customers", flat=True).get(pk=snapshot)
    return severity.by_kind(customers or [])


def _if_other(found: severity.Proposal | None, row: Severity) -> severity.Proposal | None:
    return found if found and found.level != row.level else None


# For the forms


def draft_of(incident: Incident) -> Update | None:
    """Return the update that is being written."""
    return incident.updates.filter(published_at=None).select_related("author", "snapshot").first()


def facts_of(incident: Incident) -> Mapping[str, Any] | None:
    """Return the parts of the newest whole run's result that words in public may rest on."""
    impact = impact_of(told_from(incident), names_all=True)
    return impact.result if impact else None


def people_for(action: str) -> QuerySet[User]:
    """Return the active people whose role lets them do `action`, by name."""
    roles = [Role(role) for role in PERMISSIONS[action]]
    return User.objects.filter(is_active=True, role__in=roles).order_by("name", "pk")


def hit_customers(incident: Incident) -> int:
    """Return how many customers the newest snapshot says were hit."""
    snapshot = latest_snapshot(incident)
    return CustomerImpact.objects.filter(snapshot=snapshot).hit().count() if snapshot else 0
