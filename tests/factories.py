"""The shared world, plainly made. People: Alice (staff), Bob (customer of Acme), Charlie (customer of Globex)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.text import slugify

from apps.accounts.models import Role, User
from apps.analytics.results import Fact
from apps.catalog.models import Journey, JourneyStep, Operation, Service
from apps.customers.models import Contact, Customer, Kind
from apps.impact.models import CustomerImpact, ImpactRun, ImpactSnapshot
from apps.incidents.models import Incident

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"


def make_user(name: str = "Alice", *, role: str = Role.LEAD, email: str = "") -> User:
    return User.objects.create_user(
        email=email or f"{slugify(name)}@example.com", name=name, role=role, password=PASSWORD
    )


def make_customer(name: str = "Acme", *, kind: str = Kind.BUSINESS, **columns: Any) -> Customer:
    return Customer.objects.create(
        name=name, slug=columns.pop("slug", slugify(name)), kind=kind, **columns
    )


def make_contact(
    customer: Customer, name: str = "Bob", *, email: str = "", **columns: Any
) -> Contact:
    return Contact.objects.create(
        customer=customer,
        name=name,
        email=email or f"{slugify(name)}@{customer.slug}.example",
        **columns,
    )


def make_service(name: str = "Shop", **columns: Any) -> Service:
    return Service.objects.create(name=name, slug=columns.pop("slug", slugify(name)), **columns)


def make_operation(service: Service, name: str = "POST /checkout", **columns: Any) -> Operation:
    method, _, pattern = name.partition(" ")
    return Operation.objects.create(
        service=service,
        name=name,
        method=method,
        pattern=pattern,
        changes_state=method != "GET",
        **columns,
    )


def make_journey(
    service: Service, name: str = "Purchase", *operations: Operation, **columns: Any
) -> Journey:
    journey = Journey.objects.create(service=service, name=name, slug=slugify(name), **columns)
    for position, operation in enumerate(operations, start=1):
        JourneyStep.objects.create(journey=journey, operation=operation, position=position)
    return journey


def make_incident(title: str = "Checkout fails for some", **columns: Any) -> Incident:
    services = columns.pop("services", [])
    columns.setdefault("started_at", NOW - timedelta(minutes=26))
    columns.setdefault("declared_at", columns["started_at"] + timedelta(minutes=1))
    if "declared_by" not in columns:
        columns["declared_by"] = User.objects.filter(role=Role.LEAD).first() or make_user()
    incident = Incident.objects.create(title=title, **columns)
    incident.services.set(services)
    return incident


def make_snapshot(
    *customers: Customer,
    grade: str = "partly_hit",
    result: dict[str, Any] | None = None,
    now: datetime = NOW,
) -> ImpactSnapshot:
    """A finished run's snapshot with the same small result for each customer."""
    run = ImpactRun.objects.create(
        window_from=now - timedelta(minutes=26),
        window_to=now,
        state="done",
        created_at=now,
        finished_at=now,
    )
    own = {
        "requests": {
            "total": 480,
            "failed": 60,
            "client_aborts": 0,
            "bots": 0,
            "probes": 0,
            "duplicates": 0,
        },
        "actors": {"total": 410, "hit": 51},
        "attempts": {
            "total": 412,
            "first_try": 352,
            "slow": 0,
            "retried": 28,
            "gave_up": 32,
            "came_back": 0,
            "open": 0,
            "cannot_tell": 0,
        },
        "extra_wait_s": {"sum": 1344.0, "p50": 48.0, "p95": 130.0},
        **(result or {}),
    }
    snapshot = ImpactSnapshot.objects.create(
        run=run,
        as_of=now,
        watermark=now,
        provisional=True,
        method="test",
        created_at=now,
        result={
            "window": {"from": run.window_from.isoformat(), "to": run.window_to.isoformat()},
            "as_of": now.isoformat(),
            "watermark": now.isoformat(),
            "provisional": True,
            "coverage": {"named_customer": 0.97, "actor": 1.0, "key": 0.0},
            **own,
            "customers": [
                {
                    "id": customer.pk,
                    "name": customer.name,
                    "kind": customer.kind,
                    "grade": grade,
                    **own,
                }
                for customer in customers
            ],
            "journeys": [],
            "gaps": [],
            "story": ["Between 10:04 and 10:30, 410 people tried to buy something."],
        },
    )
    for customer in customers:
        CustomerImpact.objects.create(
            snapshot=snapshot,
            customer=customer,
            kind=customer.kind,
            grade=grade,
            result=own,
            story=[f"60 of {customer.name}'s 480 requests failed between 10:04 and 10:30 UTC."],
        )
    return snapshot


def facts_of_theirs(failed: int = 60, total: int = 480) -> list[dict[str, Any]]:
    """What a customer may read of a window, as a snapshot keeps it."""
    window = {"from": "2026-11-22T10:04:00Z", "to": "2026-11-22T10:30:00Z", "consumers": False}
    return [
        Fact(
            "theirs_failed",
            "customers.requests.failed",
            value=failed,
            low=failed,
            high=failed,
            detail={**window, "total": total},
        ).as_json(),
        Fact(
            "theirs_dark",
            "customers.outage",
            detail={
                **window,
                "outage_from": "2026-11-22T10:05:00Z",
                "outage_to": "2026-11-22T10:27:00Z",
            },
        ).as_json(),
    ]
