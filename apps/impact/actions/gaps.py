"""Who takes a gap on, and who accepts not to know."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.impact.models import Gap


class UnableToAssign(Exception):
    """The gap cannot be given to this person; the message says why."""


class UnableToAccept(Exception):
    """Not knowing this cannot be accepted so; the message says why."""


LONGEST_ACCEPTED = timedelta(days=366)


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


@transaction.atomic
def accept_gap(*, gap: Gap, reason: str, until: datetime, user: User, now: datetime) -> Gap:
    """Accept not to know the answer until an instant, for a reason; from then on the gap is open again.

    Raises UnableToAccept.
    """
    if not user.can("incident.edit"):
        raise UnableToAccept("Your role does not let you do this.")
    reason = reason.strip()
    if not reason:
        raise UnableToAccept("Say why we can do without the answer.")
    if len(reason) > 500:
        raise UnableToAccept("Say why in 500 characters or fewer.")
    if until <= now:
        raise UnableToAccept("Give a day after today: from then on it is asked again.")
    if until > now + LONGEST_ACCEPTED:
        raise UnableToAccept("Give a day within a year: what was right then may be wrong by now.")
    locked = Gap.objects.select_for_update().get(pk=gap.pk)
    if locked.closed_at:
        raise UnableToAccept("This gap has closed: the question can be answered now.")
    before = _accepted(locked)
    locked.accepted_by, locked.accepted_at = user, now
    locked.accepted_until, locked.accepted_because = until, reason
    _save(locked)
    AuditEvent.note(
        at=now,
        user=user,
        action="gap.accept",
        target=locked,
        before=before,
        after=_accepted(locked),
    )
    return locked


@transaction.atomic
def reopen_gap(*, gap: Gap, user: User, now: datetime) -> Gap:
    """Take an acceptance back: the gap is open at once. Raises UnableToAccept."""
    if not user.can("incident.edit"):
        raise UnableToAccept("Your role does not let you do this.")
    locked = Gap.objects.select_for_update().get(pk=gap.pk)
    if locked.closed_at:
        raise UnableToAccept("This gap has closed: the question can be answered now.")
    if locked.accepted_until is None:
        return locked
    before = _accepted(locked)
    locked.accepted_by = locked.accepted_at = locked.accepted_until = None
    locked.accepted_because = ""
    _save(locked)
    AuditEvent.note(at=now, user=user, action="gap.reopen", target=locked, before=before)
    return locked


def _save(gap: Gap) -> None:
    gap.save(update_fields=["accepted_by", "accepted_at", "accepted_until", "accepted_because"])


def _accepted(gap: Gap) -> dict[str, str] | None:
    if gap.accepted_until is None:
        return None
    return {"until": gap.accepted_until.isoformat(), "reason": gap.accepted_because}
