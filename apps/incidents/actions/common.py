"""What every action on an incident shares."""

from datetime import datetime
from typing import Any

from apps.accounts.models import AuditEvent, User
from apps.core.nudge import nudge
from apps.incidents.models import (
    Incident,
    TimelineEvent,
)


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


def permit(user: User, action: str, error: type[Refused]) -> None:
    """Raise `error` when the role does not let `user` do `action`."""
    if not user.can(action):
        raise error("Your role does not let you do this.")


def lock(incident: Incident) -> Incident:
    """Return the incident as it stands, locked until the transaction is over."""
    return Incident.objects.select_for_update().get(pk=incident.pk)


def one_line(text: str, most: int, what: str, error: type[Refused]) -> str:
    """Return one line of text without NUL; refuse one that is too long."""
    line = " ".join(text.replace("\0", " ").split())
    if len(line) > most:
        raise error(f"The {what} has {len(line)} characters; {most} fit.")
    return line


def columns_of(incident: Incident) -> dict[str, Any]:
    """Return what `edit` may change, fit for the audit log."""
    return {
        "title": incident.title,
        "cannot": incident.cannot,
        "fault": incident.fault,
        "visibility": incident.visibility,
        "lead": incident.lead_id,
        "liaison": incident.liaison_id,
        "started_at": incident.started_at.isoformat(),
    }


def log(
    incident: Incident,
    *,
    kind: str,
    text: str,
    action: str,
    user: User,
    now: datetime,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write the timeline for the room and the audit log for ever."""
    TimelineEvent.objects.create(incident=incident, at=now, kind=kind, text=text[:500], user=user)
    AuditEvent.note(at=now, user=user, action=action, target=incident, before=before, after=after)


def wake() -> None:
    """See to it that the pages and the messages follow."""
    nudge("statuspage.render")
    nudge("outreach.sweep")


def has_told(incident: Incident) -> bool:
    """Whether anything about it was ever published."""
    return incident.updates.filter(published_at__isnull=False).exists()
