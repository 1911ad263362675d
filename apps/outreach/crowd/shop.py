"""What we run, how often it is asked for, what is promised of it, and advice on its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection

from apps.accounts.models import User
from apps.catalog.models import (
    Dependency,
    Journey,
    JourneyStep,
    Operation,
    RefusedPattern,
    Service,
)
from apps.customers.models import Attribute, Customer, Kind
from apps.guidance.models import Advice
from apps.incidents.models import CountState, Flow, SystemCount
from apps.outreach.crowd.accounts import BATCH, KINDS
from apps.outreach.crowd.people import People
from apps.telemetry.jobs import HOURLY_DAYS
from apps.telemetry.models import UnnamedGroups
from apps.tenets.models import Audience, Clause, ClauseKind, Dimension, Tenet, TenetVersion
from apps.tenets.models import VersionState as TenetState

OPERATIONS = 4  # of each service
MANY = 300  # operations of the first
TENETS = 100
CLAUSES = 5  # of each version
NAMED = 30  # customers that the first tenet's draft names
DAYS = 28  # of traffic
GROUPS = 256  # of unnamed requests, each day and attribute: as many as are kept
SEEN = 60  # customers of each kind on the system map
SUPPLIERS = 40


@dataclass(frozen=True)
class Shop:
    """One of everything to open."""

    services: list[Service]
    operation: Operation
    journey: Journey
    dependency: Dependency
    refused: RefusedPattern
    tenet: Tenet
    supplier: str


def make(mark: str, count: int, customers: Sequence[Customer], who: People, now: datetime) -> Shop:
    """Make services, their catalog, traffic and promises; the first has many operations."""
    services = Service.objects.bulk_create(
        [
            Service(slug=f"service-{n}-{mark}", name=f"Service {n} {mark}", proposed=n % 20 == 7)
            for n in range(count)
        ],
        batch_size=BATCH,
    )
    operations = Operation.objects.bulk_create(
        [
            Operation(
                service=one, name=f"POST /things/{k}", method="POST", pattern=f"/things/{k}",
                changes_state=True, proposed=k % OPERATIONS == 0,
            )
            for one in services
            for k in range(min(MANY, count) if one == services[0] else OPERATIONS)
        ],
        batch_size=BATCH,
    )  # fmt: skip
    journeys = _journeys(services, operations)
    dependencies = Dependency.objects.bulk_create(
        [
            Dependency(service=one, supplier=f"Supplier {n % SUPPLIERS}")
            if n % 2
            else Dependency(service=one, on=services[(n * 7 + 1) % count])
            for n, one in enumerate(services)
        ]
    )
    refused = RefusedPattern.objects.bulk_create(
        [
            RefusedPattern(service=services[0], method="GET", pattern=f"/refused-{n}/{{id}}")
            for n in range(min(MANY, count))
        ]
    )
    _traffic(services, operations, now)
    _flows(services, journeys, customers, now)
    _advice(mark, who.lead, now)
    return Shop(
        services=services,
        operation=operations[0],
        journey=journeys[0],
        dependency=dependencies[0],
        refused=refused[0],
        tenet=_tenets(mark, services, journeys, customers, who, now),
        supplier="Supplier 1",
    )


def _journeys(services: Sequence[Service], operations: Sequence[Operation]) -> list[Journey]:
    journeys = Journey.objects.bulk_create(
        [
            Journey(service=one, slug=f"journey-{k}", name=f"{name} at {one.name}", value="49.90", currency="EUR")
            for one in services
            for k, name in enumerate(("Purchase", "Refund"))
        ]
    )  # fmt: skip
    of: dict[int, list[Operation]] = {}
    for one in operations:
        of.setdefault(one.service_id, []).append(one)
    JourneyStep.objects.bulk_create(
        [
            JourneyStep(journey=one, operation=operation, position=position)
            for one in journeys
            for position, operation in enumerate(of[one.service_id][:3], 1)
        ],
        batch_size=BATCH,
    )
    return journeys


def _traffic(services: Sequence[Service], operations: Sequence[Operation], now: datetime) -> None:
    """Write the counts of four weeks as they are once folded: a row for each hour, later for each day."""
    hour, day = int(now.timestamp()) // 3600, int(now.timestamp()) // 86_400
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_hourcount (hour, service_id, requests, named)"
            " SELECT at, service, 1000 + at %% 100, 960 FROM generate_series(%s, %s) AS at,"
            " unnest(%s::bigint[]) AS service",
            [(day - HOURLY_DAYS) * 24, hour, [one.pk for one in services]],
        )
        cursor.execute(
            "INSERT INTO telemetry_hourcount (hour, service_id, requests, named)"
            " SELECT at * 24, service, 24 * (1000 + at %% 100), 24 * 960"
            " FROM generate_series(%s, %s) AS at, unnest(%s::bigint[]) AS service",
            [day - DAYS, day - HOURLY_DAYS - 1, [one.pk for one in services]],
        )
        cursor.execute(
            "INSERT INTO telemetry_operationcount (day, operation_id, requests, failed, latest_ms)"
            " SELECT at, operation, 1000 + at %% 100, 4, at * 86400000 FROM"
            " generate_series(%s::bigint, %s) AS at, unnest(%s::bigint[]) AS operation",
            [day - DAYS, day, [one.pk for one in operations]],
        )
    groups = min(GROUPS, 4 * len(services))
    UnnamedGroups.objects.bulk_create(
        [
            UnnamedGroups(
                day=day - ago,
                attribute=attribute,
                total=groups * 10_000,
                missed=0,
                groups=[
                    [services[n % len(services)].pk, f"{attribute}-{n}", 10_000 - n]
                    for n in range(groups)
                ],
            )
            for ago in range(DAYS)
            for attribute in (Attribute.CUSTOMER, Attribute.API_KEY, Attribute.HOST, Attribute.NETWORK)
        ]
    )  # fmt: skip


def _flows(
    services: Sequence[Service],
    journeys: Sequence[Journey],
    customers: Sequence[Customer],
    now: datetime,
) -> None:
    """Write what the count for the system map keeps: some customers by name, the others by kind."""
    SystemCount.objects.update_or_create(
        pk=1,
        defaults={
            "state": CountState.DONE,
            "window_from": now - timedelta(days=1),
            "window_to": now,
            "customers": {kind: len(customers) // 3 for kind in Kind.values},
            "finished_at": now,
        },
    )
    Flow.objects.bulk_create(
        [
            Flow(
                customer=one, kind=one.kind, service=services[(n + k) % len(services)],
                journey=journeys[(2 * (n + k) + k) % len(journeys)] if k else None,
                requests=1_000 + n, failed=n % 7,
            )
            for n, one in enumerate(customers[: SEEN * len(Kind)])
            for k in range(5)
        ]
        + [
            Flow(kind=kind, service=one, requests=40_000 + n, failed=n)
            for n, one in enumerate(services)
            for kind in (*Kind.values, "")
        ],
        batch_size=BATCH,
    )  # fmt: skip


def _advice(mark: str, lead: User, now: datetime) -> None:
    # The same codes for everybody: a second base adds none.
    Advice.objects.bulk_create(
        [
            Advice(
                code=code, kind=kind, title="We failed", what_happened="A server did not answer.",
                what_to_do="Try again in a minute.", author=lead, updated_at=now,
            )
            for code in ("500", "502", "503", "504", "429", *(f"declined-{n}-{mark}" for n in range(60)))
            for kind in ("", Kind.BUSINESS)
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def _tenets(
    mark: str,
    services: Sequence[Service],
    journeys: Sequence[Journey],
    customers: Sequence[Customer],
    who: People,
    now: datetime,
) -> Tenet:
    made = Tenet.objects.bulk_create(
        [
            Tenet(
                slug=f"tenet-{n}-{mark}", name=f"Tenet {n} {mark}", service=one,
                kind=KINDS[n % 5], owner=who.lead,
            )
            for n, one in enumerate(islice(services, TENETS))
        ]
    )  # fmt: skip
    versions = TenetVersion.objects.bulk_create(
        [
            TenetVersion(
                tenet=one, number=number, promise=f"It works, and says so ({number}).",
                rationale="They cannot work without it.", author=who.lead, owner=who.lead,
                review_by=now.date() + timedelta(days=7), audience=_audience(one, number, made),
            )
            for one in made
            for number in (1, 2, 3)
        ]
    )  # fmt: skip
    _clauses(versions, services, journeys)
    first = next(one for one in versions if one.tenet_id == made[0].pk and one.number == 3)
    first.customers.set(customers[:NAMED])
    mine = TenetVersion.objects.filter(tenet__in=made)
    mine.filter(number=1).update(
        state=TenetState.SUPERSEDED, valid_from=now - timedelta(days=90),
        valid_to=now - timedelta(days=30), approver=who.keeper,
    )  # fmt: skip
    mine.filter(number=2).update(
        state=TenetState.ACTIVE, valid_from=now - timedelta(days=30), approver=who.keeper
    )
    return made[0]


def _audience(tenet: Tenet, number: int, made: Sequence[Tenet]) -> str:
    return Audience.NAMED if (tenet, number) == (made[0], 3) else Audience.CLASS


def _clauses(
    versions: Sequence[TenetVersion], services: Sequence[Service], journeys: Sequence[Journey]
) -> None:
    journey = {one.service_id: one for one in journeys}
    Clause.objects.bulk_create(
        [
            Clause(
                version=one, position=k, kind=ClauseKind.BUDGET, dimension=Dimension.ERROR,
                text=f"Orders that work ({one.number})", target=f"0.99{k}",
                journey=journey[one.tenet.service_id],
            )
            for one in versions
            for k in range(1, CLAUSES + 1)
        ],
        batch_size=BATCH,
    )  # fmt: skip
