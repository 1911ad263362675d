"""Codes by mail: left by who asks for one, mailed by the worker within a second or so.

Asking does the same work whoever asks, so its time does not tell whether an address is known.
"""

import logging
import smtplib
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string

from apps.accounts.jobs import FIRST_WAIT, may_mail
from apps.accounts.models import CodeMail, InvitationState
from apps.accounts.seals import seal, unseal
from apps.core.claims import claim, holds
from apps.core.nudge import nudge

logger = logging.getLogger(__name__)

#: What stands in for the code of nobody: as long as one.
NO_CODE = "0000-0000"


def leave(*, email: str, code: str, now: datetime) -> CodeMail:
    """Have a code mailed; without an address to nobody, which takes as long."""
    good_for = timedelta(seconds=settings.ACCOUNT_LOGIN_BY_CODE_TIMEOUT)
    left = CodeMail.objects.create(
        email=email, sealed=seal(code), send_after=now, expires_at=now + good_for
    )
    nudge("accounts.mail", queue="mail")
    return left


def due(now: datetime) -> QuerySet[CodeMail]:
    """Return the codes that are to be mailed now, those included that a worker left behind."""
    waiting = Q(state=InvitationState.QUEUED, send_after__lte=now)
    left_behind = Q(state=InvitationState.SENDING, lease_until__lte=now)
    return CodeMail.objects.filter(waiting | left_behind).order_by("send_after", "pk")


def mail(*, now: datetime, limit: int = 20) -> int:
    """Mail the codes that wait and return how many were tried. Of one that has left nothing is kept.

    A mail server that is away is tried again until the code has run out.
    """
    taken = claim(due(now), state=InvitationState.SENDING, now=now, limit=limit)
    for row in taken:
        mine = holds(row, state=InvitationState.SENDING)
        if _is_over(row, now=now) or _sent(row):
            mine.delete()
        else:
            wait = FIRST_WAIT * min(row.tries, 4)
            mine.update(state=InvitationState.QUEUED, claim_token=None, send_after=now + wait)
    return len(taken)


def _is_over(row: CodeMail, *, now: datetime) -> bool:
    if row.email and not may_mail(row.email):
        logger.warning("no code mailed: the domain is not in PORTAL_MAIL_DOMAINS")
        return True
    return not row.email or row.expires_at <= now


def _sent(row: CodeMail) -> bool:
    context = {"code": unseal(row.sealed), "portal": settings.PORTAL_NAME}
    subject = render_to_string("account/email/login_code_subject.txt", context)
    body = render_to_string("account/email/login_code_message.txt", context)
    mail = EmailMessage(
        " ".join(subject.split()), body, to=[row.email],
        headers={"Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("no code mailed yet: %s", type(error).__name__)
        return False
    return True
