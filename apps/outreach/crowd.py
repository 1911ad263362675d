"""A large base to try the console with: customers, contacts, services and incidents, written in bulk."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection, transaction

from apps.accounts.models import Role, User
from apps.catalog.models import Operation, Service
from apps.customers.models import Attribute, Contact, Customer, IdentificationRule, Kind, Purpose
from apps.impact.models import CustomerImpact, ImpactRun, ImpactSnapshot, RunState
from apps.incidents.models import Incident, IncidentRun, State, TimelineEvent, Update
from apps.outreach.models import Outreach
from apps.outreach.models import State as OutreachState
from apps.tenets.models import Tenet, TenetVersion

CONTACTS = 5  # of each customer
HIT = 20  # customers of each incident
OPEN_ONE_IN = 100  # incidents
OPERATIONS = 4  # of each service
KINDS = (Kind.BUSINESS, Kind.BUSINESS, Kind.BUSINESS, Kind.INTERNAL, Kind.CONSUMERS)
BATCH = 5_000


@dataclass(frozen=True)
class Crowd:
    """Who reads, and one of everything to open."""

    lead: User
    manager: User
    customer: Customer
    incident: Incident
    outreach: Outreach
    tenet: Tenet
    service: Service


@transaction.atomic
def gather(*, customers: int, services: int, incidents: int, now: datetime) -> Crowd:
    """Write them; the open incidents are the newest, each hit the next twenty customers."""
    mark = secrets.token_hex(3)
    lead, manager = (
        User.objects.create_user(
            email=f"{role}-{mark}@example.com", name=f"{name} {mark}", role=role
        )
        for role, name in ((Role.ADMIN, "Ada Crowd"), (Role.ACCOUNT_MANAGER, "Amy Crowd"))
    )
    accounts = _customers(mark, customers, manager)
    shop = _services(mark, services)
    tenet = _tenets(mark, shop, lead, now)
    handled = _incidents(incidents, accounts, shop, lead, now)
    told = _outreach(handled, accounts, manager, now)
    return Crowd(lead, manager, accounts[0], handled[0], told[0], tenet, shop[0])


def settle() -> None:
    """Let the planner know what was written."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _customers(mark: str, count: int, manager: User) -> list[Customer]:
    accounts = Customer.objects.bulk_create(
        [
            Customer(
                name=f"{_WORDS[n % len(_WORDS)]} {n} {mark}",
                slug=f"customer-{n}-{mark}",
                external_id=f"crm-{n}-{mark}",
                kind=KINDS[n % len(KINDS)],
                account_manager=manager if n % 10 == 0 else None,
                notes="They batch and reconcile at night.",
            )
            for n in range(count)
        ],
        batch_size=BATCH,
    )
    Contact.objects.bulk_create(
        [
            Contact(
                customer=account,
                name=f"Kim {k} of {account.name}",
                email=f"kim{k}@{account.slug}.example",
                purpose=list(Purpose)[k % len(Purpose)],
                do_not_contact=k == CONTACTS - 1,
            )
            for account in accounts
            for k in range(CONTACTS)
        ],
        batch_size=BATCH,
    )
    IdentificationRule.objects.bulk_create(
        [
            IdentificationRule(customer=one, attribute=Attribute.CUSTOMER, value=one.slug)
            for one in accounts
        ],
        batch_size=BATCH,
    )
    return accounts


def _services(mark: str, count: int) -> list[Service]:
    shop = Service.objects.bulk_create(
        [Service(slug=f"service-{n}-{mark}", name=f"Service {n} {mark}") for n in range(count)],
        batch_size=BATCH,
    )
    Operation.objects.bulk_create(
        [
            Operation(service=one, name=f"Operation {k}", proposed=k == 0)
            for one in shop
            for k in range(OPERATIONS)
        ],
        batch_size=BATCH,
    )
    return shop


def _tenets(mark: str, shop: list[Service], author: User, now: datetime) -> Tenet:
    made = Tenet.objects.bulk_create(
        [
            Tenet(slug=f"tenet-{n}-{mark}", name=f"Tenet {n}", service=one, kind=KINDS[n % 5])
            for n, one in enumerate(islice(shop, 100))
        ]
    )
    TenetVersion.objects.bulk_create(
        [TenetVersion(tenet=one, number=1, promise="It works.", author=author) for one in made]
    )
    return made[0]


def _incidents(
    count: int, accounts: list[Customer], shop: list[Service], lead: User, now: datetime
) -> list[Incident]:
    began = [now - timedelta(hours=1 + 8 * n) for n in range(count)]
    handled = Incident.objects.bulk_create(
        [
            Incident(
                title=f"Service {n % len(shop)} fails for some",
                state=State.IDENTIFIED if n % OPEN_ONE_IN == 0 else State.RESOLVED,
                started_at=at,
                ended_at=None if n % OPEN_ONE_IN == 0 else at + timedelta(minutes=26),
                declared_at=at,
                declared_by=lead,
                lead=lead,
            )
            for n, at in enumerate(began)
        ],
        batch_size=BATCH,
    )
    through = Incident.services.through
    through.objects.bulk_create(
        [
            through(incident_id=one.pk, service_id=shop[n % len(shop)].pk)
            for n, one in enumerate(handled)
        ]
    )
    _words(handled, lead)
    _impact(handled, accounts)
    return handled


def _words(handled: list[Incident], lead: User) -> None:
    Update.objects.bulk_create(
        [
            Update(
                incident=one,
                state=State.IDENTIFIED,
                text="A supplier's network drops a part of our requests.",
                author=lead,
                created_at=one.started_at + timedelta(minutes=5 * k),
                published_at=one.started_at + timedelta(minutes=5 * k),
                published_by=lead,
            )
            for one in handled
            for k in range(1, 5)
        ],
        batch_size=BATCH,
    )
    TimelineEvent.objects.bulk_create(
        [
            TimelineEvent(
                incident=one,
                at=one.started_at + timedelta(minutes=k),
                kind="note",
                text=f"Step {k}",
                user=lead,
            )
            for one in handled
            for k in range(10)
        ],
        batch_size=BATCH,
    )


def _impact(handled: list[Incident], accounts: list[Customer]) -> None:
    runs = ImpactRun.objects.bulk_create(
        [
            ImpactRun(
                window_from=one.started_at,
                window_to=one.started_at + timedelta(minutes=26),
                state=RunState.DONE,
                progress=100,
                created_at=one.started_at + timedelta(minutes=30),
                finished_at=one.started_at + timedelta(minutes=31),
            )
            for one in handled
        ],
        batch_size=BATCH,
    )
    IncidentRun.objects.bulk_create(
        [
            IncidentRun(incident=one, run=run, settled_at=run.finished_at)
            for one, run in zip(handled, runs, strict=True)
        ]
    )
    snapshots = ImpactSnapshot.objects.bulk_create(
        [
            ImpactSnapshot(
                run=run,
                as_of=run.created_at,
                watermark=run.created_at,
                provisional=False,
                method="attempts/1",
                result=_result(one, _those_hit(number, accounts)),
                created_at=run.created_at,
            )
            for number, (one, run) in enumerate(zip(handled, runs, strict=True))
        ],
        batch_size=BATCH,
    )
    CustomerImpact.objects.bulk_create(
        [
            CustomerImpact(
                snapshot=snapshot,
                customer=account,
                kind=account.kind,
                grade="hit",
                result=_entry(account),
                story=["12 of your 120 requests failed."],
            )
            for number, snapshot in enumerate(snapshots)
            for account in _those_hit(number, accounts)
        ],
        batch_size=BATCH,
    )


def _those_hit(number: int, accounts: list[Customer]) -> list[Customer]:
    return [accounts[(number * HIT + k) % len(accounts)] for k in range(min(HIT, len(accounts)))]


_ATTEMPTS = {
    "total": 120, "first_try": 100, "slow": 0, "retried": 8, "gave_up": 10, "came_back": 2,
    "open": 0, "cannot_tell": 0,
}  # fmt: skip


def _entry(account: Customer) -> dict[str, object]:
    return {
        "id": account.pk,
        "name": account.name,
        "kind": account.kind,
        "grade": "hit",
        "coverage": {"customer": 1.0, "actor": 0.9, "key": 0.0},
        "requests": {"total": 120, "failed": 12, "client_aborts": 0, "bots": 0, "probes": 0},
        "actors": {"total": 60, "hit": 10, "by_kind": {}},
        "attempts": _ATTEMPTS,
        "people": _ATTEMPTS,
        "outage": None,
        "journeys": [],
    }


def _result(incident: Incident, hit: list[Customer]) -> dict[str, object]:
    end = incident.started_at + timedelta(minutes=26)
    return {
        "window": {"from": incident.started_at.isoformat(), "to": end.isoformat()},
        **{
            key: value for key, value in _entry(hit[0]).items() if key not in {"id", "name", "kind"}
        },
        "customers": [_entry(account) for account in hit],
        "gaps": [],
        "story": [{"text": "10 people gave up.", "fact": "attempts"}],
    }


def _outreach(
    handled: list[Incident], accounts: list[Customer], author: User, now: datetime
) -> list[Outreach]:
    return Outreach.objects.bulk_create(
        [
            Outreach(
                incident=one,
                customer=account,
                state=OutreachState.DRAFT if number % OPEN_ONE_IN == 0 else OutreachState.CLOSED,
                subject=f"[{one.pk}] What failed this morning",
                text="Kim, a part of your requests failed.",
                incident_version=1,
                author=author,
                created_at=one.started_at,
                changed_at=now,
            )
            for number, one in enumerate(handled)
            for account in _those_hit(number, accounts)[:2]
        ],
        batch_size=BATCH,
    )


_WORDS = ("Acme", "Harbour", "Northwind", "Globex", "Initech", "Umbrella", "Lagoon", "Meridian")
