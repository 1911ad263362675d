"""Who takes a gap on."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.impact.models import Gap


class UnableToAssign(Exception):
    """The gap cannot be given to this person; the message says why."""


@transaction.atomic
def assign_gap(*, gap: Gap, owner: User | None, user: User, now: datetime) -> Gap:
    """Give an open gap to `owner`, or to nobody. Raises UnableToAssign."""
    if not user.can("incident.edit"):
        raise UnableToAssign("Your role does not let you do this.")
    locked = Gap.objects.select_for_update().get(pk=gap.pk)
    if locked.closed_at:
        raise UnableToAssign("This gap has closed: the question can be answered now.")
    if owner and not owner.can("incident.edit"):
        raise UnableToAssign(f"{owner} cannot close gaps.")
    before, locked.owner = locked.owner_id, owner
    locked.save(update_fields=["owner"])
    AuditEvent.note(
        at=now,
        user=user,
        action="gap.assign",
        target=locked,
        before=before,
        after=owner and owner.pk,
    )
    return locked
