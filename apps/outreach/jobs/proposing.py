"""Drafts: for whom an incident hit, and for whom was told and must hear that it is over."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import AuditEvent
from apps.customers.models import Contact, Customer
from apps.incidents.models import Incident
from apps.incidents.models import State as IncidentState
from apps.outreach import drafting, queries
from apps.outreach.jobs.standing import make_stale
from apps.outreach.jobs.writing import facts_for
from apps.outreach.models import (
    Outreach,
    Purpose,
    State,
)

#: A resolved incident is proposed for this long; an old one whose numbers are computed again is not.
RECENT = timedelta(days=14)


def propose(*, now: datetime) -> int:
    """Write the drafts that are missing and return how many: one per customer hit, and one when it is fixed."""
    made = 0
    for incident in queries.incidents_to_tell(resolved_after=now - RECENT):
        made += _propose_impact(incident, snapshot=incident.snapshot_id, now=now)
        if incident.state == IncidentState.RESOLVED:
            made += _propose_resolution(incident, now=now)
    return made


def _propose_impact(incident: Incident, *, snapshot: int, now: datetime) -> int:
    made = 0
    for customer in queries.customers_to_write_to(incident, snapshot=snapshot):
        if recipients := queries.reachable(customer):
            made += _write(incident, customer, Purpose.IMPACT, recipients, now=now)
    return made


def _propose_resolution(incident: Incident, *, now: datetime) -> int:
    """See to it that everyone who was told that it broke is told that it is fixed."""
    told = queries.told(incident)
    existing = {
        one.customer_id: one
        for one in incident.outreach.filter(purpose=Purpose.RESOLUTION, customer__in=told)
    }
    customers = Customer.objects.filter(pk__in=told).select_related("account_manager")
    made = 0
    for customer in customers.prefetch_related("contacts").order_by("pk"):
        owed = [
            one
            for one in customer.contacts.all()
            if one.pk in told[customer.pk] and not one.do_not_contact
        ]
        if outreach := existing.get(customer.pk):
            _add_recipients(outreach, owed, now=now)
        elif owed:
            made += _write(incident, customer, Purpose.RESOLUTION, owed, now=now)
    return made


@transaction.atomic
def _add_recipients(outreach: Outreach, owed: Sequence[Contact], *, now: datetime) -> None:
    """Add people who were told after the message on the resolution was written."""
    outreach = Outreach.objects.select_for_update(of=("self",)).get(pk=outreach.pk)
    had = {one.pk for one in outreach.recipients.all()}
    missing = [one for one in owed if one.pk not in had]
    if not missing or outreach.state == State.CLOSED:
        return
    outreach.recipients.add(*missing)
    if outreach.state != State.DRAFT:
        names = ", ".join(one.name for one in missing)
        make_stale(
            outreach, f"Also told that it broke, and not yet that it is fixed: {names}.", now=now
        )


@transaction.atomic
def _write(
    incident: Incident,
    customer: Customer,
    purpose: Purpose,
    recipients: Sequence[Contact],
    *,
    now: datetime,
) -> bool:
    """Write one draft unless somebody else just did; say whether it was written."""
    facts = facts_for(incident, customer, recipients)
    outreach, created = Outreach.objects.get_or_create(
        incident=incident,
        customer=customer,
        purpose=purpose,
        defaults={
            "subject": drafting.subject(facts),
            "text": drafting.text(facts, purpose=purpose),
            "snapshot_id": facts.impact.snapshot_id if facts.impact else None,
            "incident_version": incident.version,
            "created_at": now,
            "changed_at": now,
        },
    )
    if created:
        outreach.recipients.set(recipients)
        AuditEvent.note(at=now, user=None, action="outreach.proposed", target=outreach)
    return created
