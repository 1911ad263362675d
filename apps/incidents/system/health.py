"""How customers, journeys and services are now: from open incidents and what is measured of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Min, OuterRef, Subquery

from apps.accounts.models import User
from apps.analytics.names import HIT_GRADES
from apps.customers.models import Customer
from apps.impact.models import CustomerImpact, ImpactSnapshot
from apps.incidents.models import Incident, State
from apps.incidents.system.shape import FINE, Health, worst
from apps.telemetry.intake import silent_services

#: Open incidents that are looked at, the newest first.
MOST = 100
UNSEEN = Health("unknown", "no traffic seen")
UNMEASURED = Health("unknown", "not measured")
_OF_GRADE = {
    "hit": ("failing", "failing"),
    "partly_hit": ("failing", "partly failing"),
    "slowed": ("slowed", "slowed"),
}


@dataclass(frozen=True)
class Now:
    """The health of what open incidents touch; anything else is fine."""

    incidents: int = 0
    services: Mapping[int, Health] = field(default_factory=dict)
    customers: Mapping[int, Health] = field(default_factory=dict)
    #: kind -> customers that are hit, whether or not they are on the map
    hit: Mapping[str, int] = field(default_factory=dict)
    #: (service, journey's name) of those that a snapshot found unharmed
    unharmed: frozenset[tuple[int, str]] = frozenset()


def now(*, user: User, customers: Iterable[int], of: Collection[int] | None = None) -> Now:
    """Return how everything is, and each of `customers` by name; a fixed number of queries.

    With `of`, customers are hit by what touches those services, and only such incidents are counted;
    services have their health all the same: others may stand on them.
    """
    newest = ImpactSnapshot.objects.filter(run__incident_run__incident=OuterRef("pk")).order_by(
        "-created_at", "-pk"
    )
    incidents: list[Any] = list(
        Incident.objects.visible_to(user)
        .open()
        .annotate(snapshot_id=Subquery(newest.values("pk")[:1]), level=Min("severities__level"))
        .prefetch_related("services")
        .order_by("-started_at", "-pk")[:MOST]
    )
    touching = [one for one in incidents if of is None or _touches(one, of)]
    by_snapshot: dict[int, Any] = {one.snapshot_id: one for one in incidents if one.snapshot_id}
    impacts = CustomerImpact.objects.filter(snapshot__in=by_snapshot)
    grades: dict[int, dict[str, int]] = defaultdict(dict)
    for snapshot, grade, n in impacts.values_list("snapshot", "grade").annotate(Count("pk")):
        grades[snapshot][grade] = n
    services: dict[int, list[Health]] = defaultdict(list)
    for incident in incidents:
        found = _of_incident(incident, grades.get(incident.snapshot_id))
        for service in incident.services.all():
            services[service.pk].append(found)
    for pk, since in silent_services().items():
        # Nobody can be seen to fail where nothing is seen at all.
        services[pk].append(Health("unknown", f"silent since {since:%H:%M} UTC"))
    hit = impacts.filter(
        grade__in=HIT_GRADES, snapshot__in=[one.snapshot_id for one in touching if one.snapshot_id]
    )
    own: dict[int, list[Health]] = defaultdict(list)
    rows = hit.filter(customer__in=list(customers)).visible_to(user)
    for snapshot, customer, grade in rows.values_list("snapshot", "customer", "grade"):
        own[customer].append(_of_grade(by_snapshot[snapshot], grade))
    kinds = Customer.objects.filter(pk__in=hit.values("customer")).values_list("kind")
    return Now(
        incidents=len(touching),
        services={pk: worst(several) for pk, several in services.items()},
        customers={pk: worst(several) for pk, several in own.items()},
        hit=dict(kinds.annotate(Count("pk"))),
        unharmed=_unharmed(by_snapshot),
    )


def of_journey(now: Now, *, service: int, name: str) -> Health:
    """Return how a journey is: as its service, unless it was measured and nobody was stopped."""
    return FINE if (service, name) in now.unharmed else now.services.get(service, FINE)


def _touches(incident: Any, services: Collection[int]) -> bool:
    return any(one.pk in services for one in incident.services.all())


def _of_incident(incident: Any, grades: Mapping[str, int] | None) -> Health:
    because = incident.reference
    if incident.state == State.MONITORING:
        return Health("slowed", "recovering", because)
    for grade, (state, word) in _OF_GRADE.items():
        if grades and grades.get(grade):
            return Health(state, word, because)
    if grades:
        return Health("slowed", "incident open", because)
    if incident.level is not None and incident.level >= 3:
        return Health("slowed", "incident open", because)
    return Health("failing", "incident open", because)


def _of_grade(incident: Any, grade: str) -> Health:
    if incident.state == State.MONITORING:
        return Health("slowed", "recovering", incident.reference)
    return Health(*_OF_GRADE[grade], incident.reference)


def _unharmed(by_snapshot: Mapping[int, Any]) -> frozenset[tuple[int, str]]:
    """Return the journeys that every open incident of their service measured and found unharmed."""
    fine: dict[tuple[int, str], bool] = {}
    rows = ImpactSnapshot.objects.filter(pk__in=by_snapshot).values_list("pk", "overall__journeys")
    for snapshot, journeys in rows:
        for one in journeys or []:
            attempts = one.get("attempts") or {}
            bad = any(attempts.get(name) for name in ("gave_up", "came_back", "open", "retried"))
            bad = bad or bool(one.get("blocked_at")) or bool(attempts.get("cannot_tell"))
            for service in by_snapshot[snapshot].services.all():
                key = service.pk, str(one.get("name", ""))
                fine[key] = fine.get(key, True) and not bad
    return frozenset(key for key, well in fine.items() if well)
