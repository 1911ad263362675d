"""What the worker does: mail invitations, and drop what ran out. Safe to run twice."""

import smtplib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse

from apps.accounts import chain, sessions
from apps.accounts.models import Invitation, InvitationState
from apps.core.claims import claim, holds
from apps.core.nudge import nudge

#: The wait before the n-th try: 30 s, 1 min, 2 min … at most an hour, until the invitation runs out.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)


def sweep(*, now: datetime) -> None:
    """Wake the sender where its wake-up was lost, forget sessions that ran out, check the log once a day."""
    sessions.forget_ended()
    chain.check_daily(now=now)
    if _due(now).exists():
        nudge("accounts.mail", queue="mail")


def mail_invitations(*, now: datetime, limit: int = 20) -> int:
    """Mail the invitations that wait and return how many were tried.

    A worker that dies in between is taken over after its lease: that person may get the same link twice.
    """
    taken = claim(_due(now), state=InvitationState.SENDING, now=now, limit=limit)
    for row in taken:
        state, changes = _mail(row, now=now)
        holds(row, state=InvitationState.SENDING).update(state=state, claim_token=None, **changes)
    return len(taken)


def _due(now: datetime) -> QuerySet[Invitation]:
    waiting = Q(state=InvitationState.QUEUED, send_after__lte=now)
    left_behind = Q(state=InvitationState.SENDING, lease_until__lte=now)
    return (
        Invitation.objects.filter(waiting | left_behind)
        .select_related("user", "invited_by")
        .order_by("send_after", "pk")
    )


def _mail(row: Invitation, *, now: datetime) -> tuple[InvitationState, dict[str, Any]]:
    """Hand one invitation over; return what becomes of its row."""
    if row.used_at or row.expires_at <= now or not row.user.is_active:
        return InvitationState.FAILED, {"reply": "It opens nothing any more."}
    if not may_mail(row.user.email):
        return InvitationState.FAILED, {
            "reply": "This installation may not mail that domain (PORTAL_MAIL_DOMAINS)."
        }
    try:
        invitation_mail(row).send()
    except (OSError, smtplib.SMTPException) as error:
        said = " ".join(str(error).split())[:500] or type(error).__name__
        wait = min(FIRST_WAIT * 2 ** min(row.tries - 1, 10), LONGEST_WAIT)
        return InvitationState.QUEUED, {"reply": said, "send_after": now + wait}
    return InvitationState.SENT, {"reply": ""}


def invitation_mail(row: Invitation) -> EmailMessage:
    """Write the mail of an invitation."""
    context = {
        "name": " ".join(row.user.name.split()),
        "by": " ".join(row.invited_by.name.split()) if row.invited_by else settings.PORTAL_NAME,
        "portal": settings.PORTAL_NAME,
        "role": row.user.get_role_display(),
        "link": link_of(row),
        "until": row.expires_at,
    }
    return EmailMessage(
        subject=f"Your invitation to {' '.join(settings.PORTAL_NAME.split())}",
        body=render_to_string("accounts/email/invitation.txt", context),
        to=[row.user.email],
        headers={"Auto-Submitted": "auto-generated"},
    )


def link_of(row: Invitation) -> str:
    """Return the address that an invitation's mail names."""
    return f"{settings.PORTAL_URL}{reverse('invitation', args=[row.token])}"


def may_mail(address: str) -> bool:
    """Say whether this installation may mail an address (PORTAL_MAIL_DOMAINS)."""
    host = address.rpartition("@")[2].lower()
    allowed = [one.lower() for one in settings.PORTAL_MAIL_DOMAINS]
    return not allowed or any(
        host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in allowed
    )
