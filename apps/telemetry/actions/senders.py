"""What a person does about a sender that is missed."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.telemetry.models import Sender, SenderState

CHANGE = "catalog.edit"


class UnableToRetire(Exception):
    """The message says why, for who asked."""


@transaction.atomic
def retire_sender(*, sender: int, user: User, now: datetime) -> Sender:
    """Stop missing a sender that is gone for good; it flows again as soon as it sends again.

    Raise Sender.DoesNotExist, or UnableToRetire for one that is not missed.
    """
    found = Sender.objects.select_for_update(of=("self",)).select_related("service").get(pk=sender)
    if found.state not in {SenderState.QUIET, SenderState.STOPPED}:
        raise UnableToRetire("It is not missed any more: there is nothing to end.")
    before = found.state
    found.silences.filter(ended_at=None).update(ended_at=now)
    found.state = SenderState.RETIRED
    found.look_at = None
    found.save(update_fields=["state", "look_at"])
    AuditEvent.note(
        at=now,
        user=user,
        action="sender.retire",
        target=found,
        before={"name": str(found.service or found.source), "state": before},
        after={"state": found.state},
    )
    return found
