"""Celery shells of the jobs for people."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.accounts import jobs


@shared_task(name="accounts.mail", queue="mail")
def mail(**_: Any) -> None:
    """Mail the invitations that wait."""
    while jobs.mail_invitations(now=timezone.now()):
        pass


@shared_task(name="accounts.sweep")
def sweep(**_: Any) -> None:
    """Do whatever no wake-up did."""
    jobs.sweep(now=timezone.now())
