"""What a draft says: the facts about one customer, and a draft written anew by them."""

from datetime import datetime

from apps.customers.models import Customer
from apps.guidance.queries import advice_for
from apps.incidents.models import Incident
from apps.outreach import drafting, queries
from apps.outreach.models import (
    Outreach,
    State,
)

#: What customers met, as an error code: a snapshot does not tell codes apart.
FAILING = "5xx"


def facts_for(incident: Incident, customer: Customer) -> drafting.Facts:
    """Collect what a draft to `customer` is written from, as of now."""
    impacts = queries.latest_impacts(incidents=[incident.pk], customers=[customer.pk])
    impact = impacts.get((incident.pk, customer.pk))
    return drafting.Facts(
        incident=incident,
        customer=customer,
        impact=impact,
        update=queries.latest_update(incident),
        advice=advice_for(FAILING, customer.kind),
        sender=customer.account_manager,
    )


def redraft(outreach: Outreach, *, now: datetime) -> None:
    """Write the draft anew from what is known now; the caller holds its lock."""
    facts = facts_for(outreach.incident, outreach.customer)
    outreach.subject = drafting.subject(facts)
    outreach.text = drafting.text(facts, purpose=outreach.purpose)
    outreach.snapshot_id = facts.impact.snapshot_id if facts.impact else None
    outreach.incident_version = outreach.incident.version
    outreach.state, outreach.reason, outreach.changed_at = State.DRAFT, "", now
    outreach.save(
        update_fields=[
            "subject", "text", "snapshot", "incident_version", "state", "reason", "changed_at",
        ]
    )  # fmt: skip
