"""What an admin does when somebody asks to be forgotten."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.core.nudge import nudge
from apps.customers.models import Customer
from apps.telemetry import erasure
from apps.telemetry.models import Batch, Erasure

#: What a person can be named by.
WHO = ("user", "session", erasure.ADDRESS, "api_key", "oauth_client")

#: A shorter value is in too many excerpts by chance.
LEAST = 4


class UnableToErase(Exception):
    """It cannot be erased like this; the message says why."""


@transaction.atomic
def erase_events(
    *,
    customer: Customer | None,
    attribute: str = "",
    value: str = "",
    user: User | None,
    now: datetime,
) -> Erasure:
    """Ask for the erasure of a customer's events, or of those of one person: of this customer, or of any.

    `user` None: whoever runs commands on the machine. The value itself is kept nowhere. Raises UnableToErase.
    """
    if user is not None and not user.can("events.erase"):
        raise UnableToErase("Only admins may erase events.")
    if not customer and not value:
        raise UnableToErase("Say whose events: a customer, a person, or both.")
    if bool(attribute) != bool(value):
        raise UnableToErase("A person is named by an attribute and its value.")
    if attribute and attribute not in WHO:
        raise UnableToErase(f"A person is named by {', '.join(WHO)}, not by {attribute}.")
    actors, addresses = (
        erasure.people(attribute, value, customer=customer.pk if customer else None)
        if value
        else ([], [])
    )
    asked = Erasure.objects.create(
        customer=customer.pk if customer else None,
        actors=list(actors),
        addresses=list(addresses),
        asked_by=user,
        asked_at=now,
    )
    if len(value) >= LEAST:
        _blank_samples(value)
    AuditEvent.note(
        at=now,
        user=user,
        action="events.erase",
        target=asked,
        after={"customer": customer.slug if customer else None, "by": attribute or None},
    )
    nudge("telemetry.erase", queue="impact")
    return asked


def _blank_samples(value: str) -> None:
    """Take the value out of the excerpts of lines that could not be read."""
    for batch in Batch.objects.filter(rejected__gt=0, samples__icontains=value):
        batch.samples = [
            sample | {"excerpt": ""} if value in str(sample.get("excerpt", "")) else sample
            for sample in batch.samples
        ]
        batch.save(update_fields=["samples"])
