"""Incidents, what is said of them, their impact, gaps, and the messages to those who were hit."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from apps.accounts.models import User
from apps.catalog.models import Service
from apps.customers.models import Contact, Customer, Kind
from apps.impact.models import CustomerImpact, Gap, ImpactRun, ImpactSnapshot, RunState
from apps.incidents import severity
from apps.incidents.models import (
    Incident,
    IncidentRun,
    Severity,
    State,
    TimelineEvent,
    Update,
)
from apps.outreach.crowd.accounts import BATCH
from apps.outreach.models import Delivery, DeliveryState, Outreach
from apps.outreach.models import State as OutreachState

HIT = 20  # customers of each incident but the newest, which hit all
OPEN_ONE_IN = 100  # incidents
GAPS = 100


def incidents(
    count: int, accounts: Sequence[Customer], shop: Sequence[Service], lead: User, now: datetime
) -> list[Incident]:
    """Make incidents with updates, a timeline, severities and a snapshot; the newest comes first."""
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
    Severity.objects.bulk_create(
        [Severity(incident=one, kind=Kind.BUSINESS, level=2, reason="12 of 120") for one in handled]
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
    Update.objects.create(
        incident=handled[0],
        state=State.IDENTIFIED,
        text="A draft.",
        author=lead,
        created_at=handled[0].started_at,
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


def _impact(handled: list[Incident], accounts: Sequence[Customer]) -> None:
    runs = ImpactRun.objects.bulk_create(
        [
            ImpactRun(
                window_from=one.started_at,
                window_to=one.started_at + timedelta(minutes=26),
                apart=True,  # each stands for a window that somebody asked for as well
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
            IncidentRun(
                incident=one,
                run=run,
                settled_at=run.finished_at,
                proposals=severity.as_json(
                    severity.by_kind(_entry(account) for account in _those_hit(number, accounts))
                ),
            )
            for number, (one, run) in enumerate(zip(handled, runs, strict=True))
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


def _those_hit(number: int, accounts: Sequence[Customer]) -> list[Customer]:
    if number == 0:
        return list(accounts)
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


def _result(incident: Incident, hit: Sequence[Customer]) -> dict[str, object]:
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


def outreach(
    handled: Sequence[Incident], accounts: Sequence[Customer], author: User, now: datetime
) -> list[Outreach]:
    """Make two messages about each incident, and two hundred about the newest; most were sent."""
    made = Outreach.objects.bulk_create(
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
            for account in _those_hit(number, accounts)[: 2 if number else 200]
        ],
        batch_size=BATCH,
    )
    _recipients(made)
    return made


def _recipients(made: Sequence[Outreach]) -> None:
    """Address each message to a contact, and note the mail of those that were sent."""
    first: dict[int, Contact] = {}
    for contact in Contact.objects.filter(
        customer__in={one.customer_id for one in made}, do_not_contact=False
    ).order_by("pk"):
        first.setdefault(contact.customer_id, contact)
    through = Outreach.recipients.through
    through.objects.bulk_create(
        [through(outreach_id=one.pk, contact_id=first[one.customer_id].pk) for one in made]
    )
    Delivery.objects.bulk_create(
        [
            Delivery(
                outreach=one,
                contact=(to := first[one.customer_id]),
                email=to.email,
                name=to.name,
                state=DeliveryState.DELIVERED,
                message_id=f"<crowd-{one.pk}@example.com>",
                content_hash="0" * 64,
                send_after=one.created_at,
                expires_at=one.created_at + timedelta(days=1),
                accepted_at=one.created_at,
                created_at=one.created_at,
            )
            for one in made
            if one.state == OutreachState.CLOSED
        ],
        batch_size=BATCH,
    )


def answered_again(snapshot: ImpactSnapshot) -> int:
    """Let the window of a snapshot be asked for once more: two answers to compare. Return the run's key."""
    run = ImpactRun.objects.create(
        window_from=snapshot.run.window_from,
        window_to=snapshot.run.window_to,
        apart=True,
        state=RunState.DONE,
        progress=100,
        created_at=snapshot.created_at,
        finished_at=snapshot.created_at,
    )
    ImpactSnapshot.objects.create(
        run=run,
        as_of=snapshot.as_of,
        watermark=snapshot.watermark,
        provisional=False,
        method=snapshot.method,
        result=snapshot.result,
        created_at=snapshot.created_at,
    )
    return run.pk


def gaps(handled: Sequence[Incident], shop: Sequence[Service], now: datetime) -> Gap:
    """Open a gap for each of the first services, met by the newest snapshot."""
    snapshot = ImpactSnapshot.objects.filter(run__incident_run__incident=handled[0]).latest()
    return Gap.objects.bulk_create(
        [
            Gap(
                code="no_actor", question="How many people were hit?", why="The log names nobody.",
                service=one, first_snapshot=snapshot, latest_snapshot=snapshot, opened_at=now,
            )
            for one in shop[:GAPS]
        ]
    )[0]  # fmt: skip
