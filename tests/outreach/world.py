"""What the tests of outreach share: an incident with a published update and a snapshot, people on both sides."""

from dataclasses import dataclass
from datetime import timedelta

from apps.accounts.models import Role
from apps.impact.models import CustomerImpact, ImpactRun, ImpactSnapshot
from apps.incidents.models import IncidentRun, Update
from apps.outreach import actions, jobs
from apps.outreach.content import content_hash
from apps.outreach.models import Outreach
from tests.factories import (
    NOW,
    make_contact,
    make_customer,
    make_incident,
    make_snapshot,
    make_user,
)


@dataclass
class World:
    alice: object
    liaison: object
    amy: object
    acme: object
    bob: object
    incident: object
    snapshot: object

    def draft(self) -> Outreach:
        jobs.propose(now=NOW)
        return Outreach.objects.get(incident=self.incident, customer=self.acme, purpose="impact")

    def in_review(self) -> Outreach:
        outreach = self.draft()
        actions.submit(outreach=outreach, user=self.amy, now=NOW)
        outreach.refresh_from_db()
        return outreach

    def approved(self) -> Outreach:
        outreach = self.in_review()
        approve(outreach, self.liaison)
        outreach.refresh_from_db()
        return outreach


def make_world() -> World:
    alice = make_user()
    liaison = make_user("Ben", role=Role.LIAISON)
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    acme = make_customer(account_manager=amy, time_zone="Europe/Berlin")
    bob = make_contact(acme)
    incident = make_incident(declared_by=alice, cannot="pay by card")
    snapshot = make_snapshot(acme)
    attach(incident, snapshot)
    publish(incident, alice)
    return World(alice, liaison, amy, acme, bob, incident, snapshot)


def attach(incident, snapshot):
    IncidentRun.objects.create(incident=incident, run=snapshot.run)


def publish(incident, user, *, text="One of two payment servers refuses work.", now=NOW, **columns):
    return Update.objects.create(
        incident=incident,
        state=incident.state,
        text=text,
        advice="If a payment failed, try once more in a minute.",
        author=user,
        created_at=now,
        published_at=now,
        published_by=user,
        next_update_at=now + timedelta(minutes=12),
        **columns,
    )


def new_snapshot(incident, customer, *, story, now=NOW + timedelta(minutes=5), grade="hit"):
    """A later snapshot of the incident with another story for one customer."""
    run = ImpactRun.objects.create(
        window_from=now - timedelta(minutes=26),
        window_to=now,
        state="done",
        created_at=now,
        finished_at=now,
    )
    snapshot = ImpactSnapshot.objects.create(
        run=run,
        as_of=now,
        watermark=now,
        provisional=True,
        method="test",
        created_at=now,
        result={},
    )
    CustomerImpact.objects.create(
        snapshot=snapshot,
        customer=customer,
        kind=customer.kind,
        grade=grade,
        result={},
        story=[story],
    )
    attach(incident, snapshot)
    return snapshot


def approve(outreach, user, *, now=NOW):
    outreach.refresh_from_db()
    return actions.approve(
        outreach=outreach,
        approver=user,
        content_hash_seen=content_hash(outreach, outreach.recipients.all()),
        now=now,
    )
