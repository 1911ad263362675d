"""What a draft says: the facts about one customer, and a draft written anew by them."""

from collections.abc import Iterable
from datetime import datetime

from apps.core.nudge import nudge
from apps.customers.models import Contact, Customer
from apps.guidance.queries import advice_for
from apps.incidents.models import Incident
from apps.outreach import drafting, queries
from apps.outreach.models import (
    Outreach,
    State,
)

#: What customers met, as an error code: a snapshot does not tell codes apart.
FAILING = "5xx"


def facts_for(
    incident: Incident, customer: Customer, recipients: Iterable[Contact] = ()
) -> drafting.Facts:
    """Collect what a draft to these people of `customer` is written from, as of now."""
    people = list(recipients)
    impacts = queries.latest_impacts(incidents=[incident.pk], customers=[customer.pk])
    impact = impacts.get((incident.pk, customer.pk))
    language, zone = spoken(customer, people)
    return drafting.Facts(
        incident=incident,
        customer=customer,
        impact=impact,
        update=queries.latest_update(incident),
        advice=advice_for(FAILING, customer.kind),
        sender=customer.account_manager,
        language=language,
        zone=zone,
    )


def spoken(customer: Customer, people: Iterable[Contact]) -> tuple[str, str]:
    """Return the language and the time zone of what these people of `customer` will read."""
    people = list(people)
    language = _shared([one.language for one in people], unset="en") or customer.language
    return language, _shared([one.time_zone for one in people], unset="UTC") or customer.time_zone


def _shared(values: list[str], *, unset: str) -> str:
    """Return what all who will read it have set; empty where they differ, or left it as it was."""
    return values[0] if len(set(values)) == 1 and values[0] != unset else ""


def redraft(outreach: Outreach, *, now: datetime) -> None:
    """Write the draft anew from what is known now; the caller holds its lock."""
    facts = facts_for(outreach.incident, outreach.customer, outreach.recipients.all())
    outreach.subject = drafting.subject(facts)
    outreach.text = drafting.text(facts, purpose=outreach.purpose)
    outreach.snapshot_id = facts.impact.snapshot_id if facts.impact else None
    outreach.incident_version = outreach.incident.version
    without_picture(outreach)
    outreach.state, outreach.reason, outreach.changed_at = State.DRAFT, "", now
    outreach.save(
        update_fields=[
            "subject", "text", "snapshot", "incident_version", "state", "reason", "changed_at",
            "picture", "illustrated",
        ]
    )  # fmt: skip


def without_picture(outreach: Outreach) -> None:
    """Take off a picture whose numbers are not the message's any more, and have another drawn; not saved."""
    outreach.picture, outreach.illustrated = None, False
    nudge("outreach.illustrate")
