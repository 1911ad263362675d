"""Celery shells of the jobs for people."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.accounts import codes, jobs
from apps.core.nudge import nudge


@shared_task(name="accounts.mail", queue="mail")
def mail(**_: Any) -> None:
    """Mail the codes and the invitations that wait; codes first, for somebody sits before the page."""
    while codes.mail(now=timezone.now()):
        pass
    while jobs.mail_invitations(now=timezone.now()):
        pass


@shared_task(name="accounts.sweep")
def sweep(**_: Any) -> None:
    """Do whatever no wake-up did."""
    now = timezone.now()
    jobs.sweep(now=now)
    if codes.due(now).exists():
        nudge("accounts.mail", queue="mail")
